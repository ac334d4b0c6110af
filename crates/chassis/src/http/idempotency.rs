//! `Idempotency-Key` on POSTs under `/v1` (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! A key belongs to its caller, method and path for 24 hours. The same payload gets the stored
//! answer, another one 422, and one whose first request still runs 409. An answer that held
//! a secret is not stored: its replay is 409 with the id of what was made.

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpResponse, HttpResponseBuilder, web};
use bytes::{Bytes, BytesMut};
use common::digest::sha256_hex;
use common::problem::Problem;
use common::time::Span;
use diesel::prelude::*;
use futures_util::StreamExt as _;

use super::ApiError;
use super::server::Limits;
use crate::context::Context;
use crate::db::{Db, is_unique_violation};
use crate::schema::idempotency_keys;

const HEADER: &str = "idempotency-key";
/// Names, inside an answer, the resource whose secret the answer holds; removed on the way out.
const SECRET_OF: HeaderName = HeaderName::from_static("slipway-secret-of");
const LIFETIME_HOURS: i64 = 24;

/// Marks an answer as one that shows a secret once: it is never stored.
#[must_use]
pub fn secret_answer(mut response: HttpResponse, resource_id: &str) -> HttpResponse {
    if let Ok(value) = HeaderValue::from_str(resource_id) {
        response.headers_mut().insert(SECRET_OF, value);
    }
    response
}

#[derive(Clone)]
struct Slot {
    caller: String,
    path: String,
    key: String,
    fingerprint: String,
}

enum Claim {
    Ours,
    Stored {
        fingerprint: String,
        state: String,
        status: Option<i64>,
        body: Option<String>,
    },
}

/// The layer inside the outermost one.
pub(super) async fn replay(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let applies = *request.method() == Method::POST && request.path().starts_with("/v1/");
    let key = request.headers().get(HEADER).cloned().filter(|_| applies);
    let (Some(key), Some(context)) = (key, request.app_data::<web::Data<Context>>().cloned())
    else {
        return Ok(without_mark(
            next.call(request).await?.map_into_boxed_body(),
        ));
    };
    let slot = match admit(&context, &mut request, &key).await {
        Ok(Admission::First(slot)) => slot,
        Ok(Admission::Answered(response)) => return Ok(request.into_response(response)),
        Err(error) => return Ok(request.error_response(error)),
    };
    match next.call(request).await {
        Ok(response) => finish(&context, slot, response.map_into_boxed_body()).await,
        Err(error) => {
            release(&context, slot).await;
            Err(error)
        }
    }
}

enum Admission {
    First(Slot),
    Answered(HttpResponse),
}

async fn admit(
    context: &Context,
    request: &mut ServiceRequest,
    key: &HeaderValue,
) -> Result<Admission, ApiError> {
    let slot = slot_of(request, key).await?;
    match claim(context, slot.clone()).await? {
        Claim::Ours => Ok(Admission::First(slot)),
        stored @ Claim::Stored { .. } => answer_stored(stored, &slot).map(Admission::Answered),
    }
}

fn without_mark(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    response.headers_mut().remove(SECRET_OF);
    response
}

/// Who asks for what. The caller is known by the digest of its credentials, so that nobody is
/// answered with what was said to another.
async fn slot_of(request: &mut ServiceRequest, key: &HeaderValue) -> Result<Slot, ApiError> {
    let invalid = || {
        Problem::bad_request(
            "invalid_idempotency_key",
            "`Idempotency-Key` must be 1 to 255 printable characters",
        )
    };
    let key = key
        .to_str()
        .map_err(|_| invalid())?
        .trim_matches('"')
        .to_owned();
    if key.is_empty() || key.len() > 255 {
        return Err(invalid().into());
    }
    let limit = request
        .app_data::<web::Data<Limits>>()
        .map_or(256 * 1024, |limits| limits.max_body);
    let mut payload = request.take_payload();
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| {
            ApiError::caused(
                Problem::bad_request("incomplete_body", "The body did not arrive whole"),
                e,
            )
        })?;
        if body.len() + chunk.len() > limit {
            return Err(Problem::new(
                413,
                "body_too_large",
                format!("The body is larger than {limit} bytes"),
            )
            .into());
        }
        body.extend_from_slice(&chunk);
    }
    let body = body.freeze();
    request.set_payload(Payload::from(body.clone()));
    let credentials = request
        .headers()
        .get("authorization")
        .map_or(&b""[..], HeaderValue::as_bytes);
    Ok(Slot {
        caller: sha256_hex(credentials),
        path: request.path().to_owned(),
        key,
        fingerprint: sha256_hex(&body),
    })
}

async fn claim(context: &Context, slot: Slot) -> Result<Claim, ApiError> {
    let now = context.clock.now();
    let claimed = context.db.write(move |db| insert(db, &slot, now)).await?;
    Ok(claimed)
}

fn insert(db: &mut Db, slot: &Slot, now: common::time::Time) -> QueryResult<Claim> {
    use idempotency_keys::dsl as k;
    crate::db::lock(db, &format!("idempotency:{}:{}", slot.caller, slot.key))?;
    let expired = k::idempotency_keys.filter(k::expires_at.lt(now));
    diesel::delete(expired).execute(db)?;
    let found = find(slot)
        .select((k::fingerprint, k::state, k::status, k::body))
        .first::<(String, String, Option<i64>, Option<String>)>(db)
        .optional()?;
    if let Some((fingerprint, state, status, body)) = found {
        return Ok(Claim::Stored {
            fingerprint,
            state,
            status,
            body,
        });
    }
    let row = (
        k::caller.eq(&slot.caller),
        k::method.eq("POST"),
        k::path.eq(&slot.path),
        k::key.eq(&slot.key),
        k::fingerprint.eq(&slot.fingerprint),
        k::state.eq("running"),
        k::created_at.eq(now),
        k::expires_at.eq(now + Span::hours(LIFETIME_HOURS)),
    );
    match diesel::insert_into(idempotency_keys::table)
        .values(row)
        .execute(db)
    {
        Ok(_) => Ok(Claim::Ours),
        Err(error) if is_unique_violation(&error) => {
            Err(diesel::result::Error::RollbackTransaction)
        }
        Err(error) => Err(error),
    }
}

type Find<'a> = idempotency_keys::BoxedQuery<'a, <Db as Connection>::Backend>;

fn find(slot: &Slot) -> Find<'_> {
    use idempotency_keys::dsl as k;
    k::idempotency_keys
        .filter(k::caller.eq(&slot.caller))
        .filter(k::method.eq("POST"))
        .filter(k::path.eq(&slot.path))
        .filter(k::key.eq(&slot.key))
        .into_boxed()
}

fn answer_stored(claim: Claim, slot: &Slot) -> Result<HttpResponse, ApiError> {
    let Claim::Stored {
        fingerprint,
        state,
        status,
        body,
    } = claim
    else {
        return Err(ApiError::internal("a fresh claim has no stored answer"));
    };
    if fingerprint != slot.fingerprint {
        let detail = "This `Idempotency-Key` was used with another payload";
        return Err(Problem::unprocessable("idempotency_key_reused", detail).into());
    }
    let body = body.unwrap_or_default();
    match state.as_str() {
        "running" => {
            let detail = "The first request with this `Idempotency-Key` is still running";
            Err(Problem::conflict("request_in_progress", detail)
                .retry_after(1)
                .into())
        }
        "secret" => {
            let detail = "This was done already; its answer held a secret and is not kept";
            Err(Problem::conflict("already_done", detail)
                .with("id", body)
                .into())
        }
        _ => {
            let status = status
                .and_then(|s| u16::try_from(s).ok())
                .and_then(|s| StatusCode::from_u16(s).ok());
            Ok(HttpResponseBuilder::new(status.unwrap_or(StatusCode::OK))
                .insert_header((CONTENT_TYPE, "application/json"))
                .insert_header(("idempotency-replayed", "true"))
                .body(body))
        }
    }
}

/// Stores a success, and lets a failure be tried again.
async fn finish(
    context: &Context,
    slot: Slot,
    response: ServiceResponse<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if !response.status().is_success() {
        release(context, slot).await;
        return Ok(response);
    }
    let status = i64::from(response.status().as_u16());
    let secret_of = response
        .headers()
        .get(SECRET_OF)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let (request, response) = response.into_parts();
    let (response, body) = response.into_parts();
    let body: Bytes = to_bytes(body)
        .await
        .map_err(|_| ApiError::internal("the answer's body failed"))?;
    let (state, kept) = match secret_of {
        Some(id) => ("secret", id),
        None => ("done", String::from_utf8_lossy(&body).into_owned()),
    };
    let stored = context.db.write(move |db| {
        use idempotency_keys::dsl as k;
        diesel::update(k::idempotency_keys)
            .filter(
                k::caller
                    .eq(&slot.caller)
                    .and(k::method.eq("POST"))
                    .and(k::path.eq(&slot.path))
                    .and(k::key.eq(&slot.key)),
            )
            .set((
                k::state.eq(state),
                k::status.eq(Some(status)),
                k::body.eq(Some(kept)),
            ))
            .execute(db)
    });
    if let Err(error) = stored.await {
        tracing::warn!(error = %error, "an idempotent answer could not be kept");
    }
    let response = response.set_body(BoxBody::new(body));
    Ok(without_mark(ServiceResponse::new(request, response)))
}

async fn release(context: &Context, slot: Slot) {
    let removed = context.db.write(move |db| {
        use idempotency_keys::dsl as k;
        diesel::delete(k::idempotency_keys)
            .filter(
                k::caller
                    .eq(&slot.caller)
                    .and(k::method.eq("POST"))
                    .and(k::path.eq(&slot.path))
                    .and(k::key.eq(&slot.key)),
            )
            .execute(db)
    });
    if let Err(error) = removed.await {
        tracing::warn!(error = %error, "an idempotency key could not be given back");
    }
}
