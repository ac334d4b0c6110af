//! Extractors whose errors are problems that name what is wrong and where.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_TYPE, IF_MATCH};
use actix_web::{FromRequest, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use common::problem::Problem;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;

use super::ApiError;
use super::server::Limits;

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

/// A JSON body. No body at all is as good as `{}`.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T> Json<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let body = body_of(&request, payload).await?;
            if !body.is_empty() {
                check_content_type(&request)?;
            }
            parse(if body.is_empty() { b"{}" } else { &body }).map(Json)
        })
    }
}

/// A body of `application/x-www-form-urlencoded`, which OAuth's endpoints take.
#[derive(Clone, Copy, Debug)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Form<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let body = body_of(&request, payload).await?;
            if essence(&request) != FORM {
                return Err(unsupported(FORM));
            }
            if body.contains(&0) || body.windows(3).any(|part| part == b"%00") {
                return Err(Problem::bad_request("invalid_request", NUL).into());
            }
            serde_urlencoded::from_bytes(&body)
                .map(Self)
                .map_err(|error| {
                    let reason = without_value(&error.to_string());
                    let detail = format!("The form can't be read: {reason}");
                    Problem::bad_request("invalid_request", detail).into()
                })
        })
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The body of a request whose caller, if the handler asks for one, has been let pass.
async fn body_of(request: &HttpRequest, mut payload: Payload) -> Result<Bytes, ApiError> {
    let limit = request
        .app_data::<web::Data<Limits>>()
        .map_or(256 * 1024, |limits| limits.max_body);
    crate::auth::passed(request).await;
    read_body(&mut payload, limit).await
}

/// Reads a whole body of at most `limit` bytes.
async fn read_body(payload: &mut Payload, limit: usize) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            ApiError::caused(
                Problem::bad_request("incomplete_body", "The request's body did not arrive whole"),
                error,
            )
        })?;
        if body.len() + chunk.len() > limit {
            let detail = format!("The body is larger than the {limit} bytes that are taken here");
            return Err(Problem::new(413, "body_too_large", detail).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The media type of a body, without parameters.
fn essence(request: &HttpRequest) -> String {
    let given = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn unsupported(wanted: &str) -> ApiError {
    let detail = format!("Send the body as `Content-Type: {wanted}`");
    Problem::new(415, "unsupported_media_type", detail).into()
}

fn check_content_type(request: &HttpRequest) -> Result<(), ApiError> {
    let essence = essence(request);
    if essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
    {
        return Ok(());
    }
    Err(unsupported("application/json"))
}

/// Why a text with the character NUL is refused everywhere: PostgreSQL keeps none, and much that reads
/// texts takes it for their end.
const NUL: &str = "No text may hold the character NUL";

/// Where a JSON text has `\u0000`: after an even number of backslashes it would be another's end.
fn nul_in(body: &[u8]) -> Option<usize> {
    let escape = br"\u0000";
    let begins = |place: &usize| {
        let before = body.get(..*place).unwrap_or_default();
        let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\');
        backslashes.count() % 2 == 0
    };
    let places = body.windows(escape.len()).enumerate();
    places
        .filter(|(_, part)| part == escape)
        .map(|(place, _)| place)
        .find(begins)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    use serde_json::error::Category;
    if let Some(place) = nul_in(body) {
        let detail = format!("{NUL}: there is one at byte {place} of the body");
        return Err(Problem::unprocessable("invalid_data", detail).into());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner();
        match inner.classify() {
            Category::Data => {
                let field = if path == "." { String::new() } else { path };
                let reason = data_reason(inner);
                if field.is_empty() {
                    Problem::unprocessable(
                        "invalid_data",
                        format!("The body is not as expected: {reason}"),
                    )
                } else {
                    Problem::invalid_field(field, format_args!("is not as expected: {reason}"))
                }
            }
            Category::Syntax | Category::Eof | Category::Io => Problem::bad_request(
                "invalid_json",
                format!(
                    "The body is not JSON (line {}, column {})",
                    inner.line(),
                    inner.column()
                ),
            ),
        }
    })?;
    json.end().map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::bad_request(
            "invalid_json",
            format!("There is something after the JSON value ({place})"),
        )
    })?;
    Ok(parsed)
}

/// What serde says, without the place (it stands in the field's path) and without the value:
/// a wrong password's text doesn't belong in an answer or a log.
fn data_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(reason, _)| reason);
    without_value(text)
}

/// serde's words without the value that it names. A field's name stays, as it is no value.
fn without_value(text: &str) -> String {
    let names_value = ["invalid type: ", "invalid value: ", "unknown variant "]
        .iter()
        .any(|beginning| text.contains(beginning));
    match text.rsplit_once(", expected ") {
        Some((_, expected)) if names_value => format!("expected {expected}"),
        _ => text.chars().take(300).collect(),
    }
}

/// Typed parts of the path. A part that can't be read names nothing that exists: 404.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Path<T> {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let holds_nul = request.uri().path().contains("%00");
        let parts = web::Path::<T>::from_request(request, payload).into_inner();
        std::future::ready(
            parts
                .ok()
                .filter(|_| !holds_nul)
                .ok_or_else(|| Problem::not_found("resource").into())
                .map(|parts| Self(parts.into_inner())),
        )
    }
}

/// Typed query parameters.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            crate::auth::passed(&request).await;
            if request.query_string().contains("%00") {
                return Err(Problem::bad_request("invalid_query", NUL).into());
            }
            let parsed = web::Query::<T>::from_query(request.query_string());
            parsed
                .map(|query| Self(query.into_inner()))
                .map_err(|error| {
                    let reason = without_value(&error.to_string());
                    Problem::bad_request(
                        "invalid_query",
                        format!("The query parameters can't be read: {reason}"),
                    )
                    .into()
                })
        })
    }
}

/// The version that `If-Match` asks for (RFC 9110, section 13.1.1); none if the header isn't there or is `*`.
/// Our entity tags are `"<version>"`.
pub fn if_match(request: &HttpRequest) -> Result<Option<i64>, ApiError> {
    let Some(value) = request.headers().get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .and_then(|tag| tag.parse().ok());
    version.map(Some).ok_or_else(|| {
        Problem::new(
            412,
            "precondition_failed",
            "`If-Match` is not an entity tag of this resource",
        )
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only parsed")]
        owner: String,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only parsed")]
        github_data: Inner,
    }

    fn problem(body: &str) -> Problem {
        parse::<Body>(body.as_bytes())
            .unwrap_err()
            .problem()
            .clone()
    }

    #[test]
    fn a_wrong_field_is_named_with_its_path_and_without_its_value() {
        let wrong = problem(r#"{"github_data": {"owner": 4711}}"#);
        assert_eq!(
            (wrong.status, wrong.errors[0].field.as_str()),
            (422, "github_data.owner")
        );
        assert!(!wrong.detail.contains("4711"), "{wrong}");
        let role = parse::<common::role::Role>(b"\"4711\"")
            .unwrap_err()
            .problem()
            .clone();
        assert!(
            role.detail.contains("owner") && !role.detail.contains("4711"),
            "{role}"
        );
        assert_eq!(
            problem(r#"{"github_data": {"owner": "x", "more": 1}}"#).status,
            422
        );
    }

    #[test]
    fn a_text_with_the_character_nul_is_refused_by_its_place() {
        let wrong = problem(r#"{"github_data": {"owner": "a\u0000"}}"#);
        assert_eq!(wrong.status, 422);
        assert!(wrong.detail.contains("byte 28"), "{wrong}");
        assert_eq!(nul_in(br#"{"a": "\\u0000"}"#), None);
        assert_eq!(nul_in(br#"{"a": "\\\u0000"}"#), Some(9));
    }

    #[test]
    fn what_is_no_json_or_more_than_one_value_is_a_400() {
        assert_eq!(problem("{").code, "invalid_json");
        assert_eq!(
            problem(r#"{"github_data": {"owner": "x"}} {}"#).code,
            "invalid_json"
        );
        assert!(
            [400, 422].contains(&problem(&"[".repeat(100_000)).status),
            "deep nesting ends early"
        );
    }
}
