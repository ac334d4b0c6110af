//! `POST /github/webhooks`

use std::time::Duration;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use chassis::http::ApiError;
use common::problem::Problem;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use serde_json::json;
use tokio::sync::SemaphorePermit;
use utoipa::ToSchema;

use super::content;
use super::receive::{Received, keep};
use super::signature;
use crate::State;

/// The longest body, in bytes: GitHub sends none that is longer.
const LONGEST: usize = 25 << 20;
/// Up to how many bytes a body is read without waiting for a turn.
const SHORT: usize = 256 * 1024;

/// How long a whole body may take: GitHub gives up on a delivery after ten seconds itself.
const LONGEST_TIME: Duration = Duration::from_secs(10);

/// What became of a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceivedBody {
    /// `queued`, `known` or `ignored`.
    status: &'static str,
}

/// Take what GitHub delivers
///
/// The body's signature is all that counts; nothing is done before it is checked.
#[utoipa::path(post, path = "/github/webhooks", tag = "Repositories", security(()),
    responses(
        (status = 202, description = "It is kept, and will be worked off", body = ReceivedBody),
        (status = 200, description = "It was here before, or concerns nobody", body = ReceivedBody),
        (status = 400, description = "`invalid_delivery`"),
        (status = 401, description = "`invalid_signature`"),
        (status = 408, description = "`delivery_too_slow`: it took more than ten seconds"),
        (status = 413, description = "More than 25 MiB"),
        (status = 501, description = "`github_not_configured`"),
    ))]
pub(crate) async fn receive(
    state: web::Data<State>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let app = crate::installations::http::configured(&state)?;
    let secret = app.webhook_secret().ok_or_else(|| {
        let detail = "No secret for webhooks is configured on this platform";
        ApiError::from(Problem::new(501, "github_not_configured", detail))
    })?;
    let header = |name: &str| -> Option<&str> { request.headers().get(name)?.to_str().ok() };
    let signature = header("x-hub-signature-256").ok_or_else(unsigned)?;
    let (id, event) = header("x-github-delivery")
        .zip(header("x-github-event"))
        .filter(|(id, event)| is_plain(id) && is_plain(event))
        .ok_or_else(|| invalid("A delivery has a name and an event"))?;
    let _turn = turn(&state, &request)?;
    let limit = announced(&request).unwrap_or(SHORT).min(LONGEST);
    let body = read(payload, limit, LONGEST_TIME).await?;
    if !signature::is_good(secret, signature, &body) {
        return Err(unsigned());
    }
    let read = content::read(event, &body)
        .map_err(|_unreadable| invalid("The body isn't what GitHub delivers of this event"))?;
    let Some(read) = read else {
        return Ok(answer(Received::Ignored));
    };
    let digest = common::digest::sha256_hex([event.as_bytes(), b"\n", &body].concat());
    drop(body);
    let (id, event) = (id.to_owned(), event.to_owned());
    let (name, now) = (id.clone(), state.clock.now());
    let received = state
        .db
        .write(move |db| keep(db, (id, digest, event), read, now))
        .await?;
    tracing::info!(github.delivery = name, received = ?received, "GitHub delivered");
    Ok(answer(received))
}

fn answer(received: Received) -> HttpResponse {
    let (mut response, status) = match received {
        Received::Kept => (HttpResponse::Accepted(), "queued"),
        Received::Known => (HttpResponse::Ok(), "known"),
        Received::Ignored => (HttpResponse::Ok(), "ignored"),
    };
    response.json(json!(ReceivedBody { status }))
}

fn unsigned() -> ApiError {
    let detail = "The delivery isn't signed with this App's secret";
    Problem::new(401, "invalid_signature", detail).into()
}

fn invalid(detail: &'static str) -> ApiError {
    Problem::bad_request("invalid_delivery", detail).into()
}

fn too_large() -> ApiError {
    let detail = "The delivery is longer than any of GitHub's";
    Problem::new(413, "payload_too_large", detail).into()
}

fn too_slow() -> ApiError {
    let detail = "The delivery takes longer than any of GitHub's";
    Problem::new(408, "delivery_too_slow", detail).into()
}

fn is_plain(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn announced(request: &HttpRequest) -> Option<usize> {
    let length = request.headers().get(CONTENT_LENGTH)?.to_str().ok()?;
    length.parse().ok()
}

/// A turn to send a long body. Few are read at a time, as nobody has shown yet who sends it.
fn turn<'a>(
    state: &'a State,
    request: &HttpRequest,
) -> Result<Option<SemaphorePermit<'a>>, ApiError> {
    match announced(request) {
        Some(length) if length > LONGEST => Err(too_large()),
        Some(length) if length > SHORT => match state.long_deliveries.try_acquire() {
            Ok(turn) => Ok(Some(turn)),
            Err(_busy) => {
                let detail = "Too many long deliveries are under way";
                let problem = Problem::unavailable("busy", detail);
                Err(problem.into())
            }
        },
        Some(_) | None => Ok(None),
    }
}

/// The body, if it is no longer than this and comes in this time: whoever sends it isn't known yet,
/// and may hold the turn of another.
async fn read<S, E>(body: S, limit: usize, time: Duration) -> Result<BytesMut, ApiError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let reading = tokio::time::timeout(time, collect(body, limit));
    reading.await.unwrap_or_else(|_elapsed| Err(too_slow()))
}

async fn collect<S, E>(mut chunks: S, limit: usize) -> Result<BytesMut, ApiError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut body = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_broken| invalid("The body ended early"))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    type Chunk = Result<Bytes, std::convert::Infallible>;

    fn status(read: Result<BytesMut, ApiError>) -> u16 {
        use actix_web::ResponseError as _;
        read.unwrap_err().status_code().as_u16()
    }

    #[tokio::test]
    async fn a_body_that_is_sent_for_ever_is_given_up() {
        let begun = stream::iter([Ok(Bytes::from_static(b"{"))]);
        let endless = begun.chain(stream::pending::<Chunk>());
        let read = read(endless, 10, Duration::from_millis(1)).await;
        assert_eq!(status(read), 408);
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let chunks = || stream::iter(vec![Chunk::Ok(Bytes::from_static(b"12")); 2]);
        let whole = read(chunks(), 4, LONGEST_TIME).await.unwrap();
        assert_eq!(whole, "1212");
        assert_eq!(status(read(chunks(), 3, LONGEST_TIME).await), 413);
    }
}
