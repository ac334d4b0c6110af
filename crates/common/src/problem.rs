//! Problems: what every error looks like to a caller (RFC 9457).
//!
//! A problem says only what the caller may know; the cause goes to the log.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A problem with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where it is: a JSON pointer's segments divided by dots, such as `github_data.owner`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// An error as a caller sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// A stable, `snake_case` name of the problem.
    pub code: Cow<'static, str>,
    /// What happened, for a person.
    pub detail: Cow<'static, str>,
    /// The `type` where it isn't `/problems/<code>`.
    pub kind: Option<Cow<'static, str>>,
    /// Which fields are wrong.
    pub errors: Vec<FieldError>,
    /// Further members of the body.
    pub extra: Map<String, Value>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
    /// The value of `WWW-Authenticate` (RFC 6750).
    pub authenticate: Option<Cow<'static, str>>,
    /// The value of `Allow`, for a method that isn't allowed.
    pub allow: Option<String>,
}

impl Problem {
    /// A problem of this status, code and explanation.
    pub fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            detail: detail.into(),
            kind: None,
            errors: Vec::new(),
            extra: Map::new(),
            retry_after: None,
            authenticate: None,
            allow: None,
        }
    }

    /// 400: the request can't be understood.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, code, detail)
    }

    /// 401: no valid credentials. The message is fixed by the Medusa contract.
    pub fn unauthorized() -> Self {
        Self {
            authenticate: Some("Bearer realm=\"slipway\"".into()),
            ..Self::new(401, "unauthorized", "Unauthorized")
        }
    }

    /// 401 for a token that was sent but isn't accepted (RFC 6750, section 3.1); `why` names no secret.
    pub fn invalid_token(why: &str) -> Self {
        let challenge = format!(
            "Bearer realm=\"slipway\", error=\"invalid_token\", error_description=\"{why}\""
        );
        Self {
            authenticate: Some(challenge.into()),
            ..Self::unauthorized()
        }
    }

    /// 403: known, but not allowed.
    pub fn forbidden(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(403, code, detail)
    }

    /// 403 for a token whose scopes don't reach (RFC 6750, section 3.1).
    pub fn insufficient_scope(needed: &str) -> Self {
        let challenge =
            format!("Bearer realm=\"slipway\", error=\"insufficient_scope\", scope=\"{needed}\"");
        Self {
            authenticate: Some(challenge.into()),
            ..Self::new(
                403,
                "insufficient_scope",
                format!("The token needs the scope `{needed}`"),
            )
        }
    }

    /// 404: there is no such thing, or none that the caller may know of.
    pub fn not_found(what: &str) -> Self {
        Self::new(404, "not_found", format!("No such {what}"))
    }

    /// 409: the state of things doesn't allow it.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(409, code, detail)
    }

    /// 422: understood, but can't be done with these values.
    pub fn unprocessable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(422, code, detail)
    }

    /// 422: one field's value is wrong.
    pub fn invalid_field(field: impl Into<String>, message: impl std::fmt::Display) -> Self {
        let field = field.into();
        Self::new(422, "invalid_data", format!("`{field}` {message}"))
            .with_field(field, message.to_string())
    }

    /// 500: our fault; the cause is in the log only.
    pub fn internal() -> Self {
        Self::new(
            500,
            "internal",
            "Something went wrong on our side; the request id finds it in the log",
        )
    }

    /// 503: what this needs is not there at the moment.
    pub fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            retry_after: Some(1),
            ..Self::new(503, code, detail)
        }
    }

    /// Names a wrong field.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Adds a member to the body.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(member.to_owned(), value.into());
        self
    }

    /// Sets the `type`.
    #[must_use]
    pub fn with_type(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Asks to come back after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The body (RFC 9457, section 3), with `message` for clients that look for that.
    #[must_use]
    pub fn body(&self, request_id: &str) -> Value {
        let mut body = self.extra.clone();
        let kind = self
            .kind
            .clone()
            .unwrap_or_else(|| format!("/problems/{}", self.code).into());
        body.insert("type".into(), kind.into());
        body.insert("title".into(), title(self.status).into());
        body.insert("status".into(), self.status.into());
        body.insert("detail".into(), self.detail.clone().into());
        body.insert("code".into(), self.code.clone().into());
        body.insert("message".into(), self.detail.clone().into());
        body.insert("request_id".into(), request_id.into());
        if !self.errors.is_empty() {
            let errors = self
                .errors
                .iter()
                .map(|e| serde_json::json!({"field": e.field, "message": e.message}));
            body.insert("errors".into(), errors.collect());
        }
        Value::Object(body)
    }

    /// Reads a problem back from a body that [`body`](Self::body) made; `None` if it is none of ours.
    #[must_use]
    pub fn from_body(status: u16, body: &Value) -> Option<Self> {
        const OWN: [&str; 8] = [
            "type",
            "title",
            "status",
            "detail",
            "code",
            "message",
            "request_id",
            "errors",
        ];
        let text = |member: &str| body.get(member).and_then(Value::as_str).map(str::to_owned);
        let mut problem = Self::new(status, text("code")?, text("detail")?);
        problem.kind = text("type").map(Into::into);
        if let Some(errors) = body.get("errors") {
            problem.errors = serde_json::from_value(errors.clone()).unwrap_or_default();
        }
        let members = body
            .as_object()?
            .iter()
            .filter(|(name, _)| !OWN.contains(&name.as_str()));
        problem.extra = members
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Some(problem)
    }
}

/// The standard phrase of a status.
fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_comes_back_from_its_body() {
        let problem =
            Problem::invalid_field("name", "must not be empty").with("existing_id", "user_1");
        let back = Problem::from_body(422, &problem.body("req_1")).unwrap();
        assert_eq!(back.code, "invalid_data");
        assert_eq!(back.errors, problem.errors);
        assert_eq!(back.extra, problem.extra);
    }

    #[test]
    fn every_problem_has_a_message_beside_its_detail() {
        let body = Problem::unauthorized().body("req_1");
        assert_eq!(body["message"], "Unauthorized");
        assert_eq!(body["type"], "/problems/unauthorized");
        assert_eq!(body["status"], 401);
    }
}
