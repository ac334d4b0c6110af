//! The caller, for handlers.

use std::future::Future;
use std::pin::Pin;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, web};

use crate::token::Claims;
use crate::{Error, Gateway, HEADER};

/// What a call may do at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Look.
    Read,
    /// Change.
    Write,
}

/// Who calls, as the gateway says. In a handler's arguments it keeps everybody else out: it needs a
/// [`Gateway`] in the application's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedCaller {
    /// The user; the identity, where it hasn't become one.
    pub subject: String,
    /// The platform's user.
    pub user: Option<String>,
    /// The API key by which the call came.
    pub key: Option<String>,
    /// The account that the key is confined to.
    pub account: Option<String>,
    /// What the caller acts as: `euser` or `admin`.
    pub actor: Option<String>,
    /// The scopes of the call: one of this service's.
    pub scopes: Vec<String>,
    verb: Option<Verb>,
}

impl ForwardedCaller {
    pub(crate) fn new(claims: Claims, service: &str) -> Self {
        let verb_of = |scope: &&str| {
            let (name, verb) = scope.strip_prefix("service:")?.rsplit_once(':')?;
            match verb {
                _ if name != service => None,
                "read" => Some(Verb::Read),
                "write" => Some(Verb::Write),
                _ => None,
            }
        };
        let scopes: Vec<_> = claims.scope.split_ascii_whitespace().collect();
        Self {
            verb: scopes.iter().filter_map(verb_of).max(),
            scopes: scopes.into_iter().map(str::to_owned).collect(),
            subject: claims.sub,
            user: claims.app_metadata.user_id,
            key: claims.key_id,
            account: claims.account_id,
            actor: claims.actor_type,
        }
    }

    /// Whether the call may do this: it has the scope that its endpoint needs, which for what only
    /// looks is `read` even where the caller could change things, too.
    #[must_use]
    pub fn may(&self, verb: Verb) -> bool {
        self.verb >= Some(verb)
    }
}

impl FromRequest for ForwardedCaller {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gateway = request.app_data::<web::Data<Gateway>>().cloned();
        let token = only_token(request);
        Box::pin(async move {
            let Some(gateway) = gateway else {
                tracing::error!("no `Gateway` in the application's data: nobody can be known");
                return Err(Error::KeysAway);
            };
            gateway.verify(&token?).await
        })
    }
}

/// The request's token; more than one is as good as none.
fn only_token(request: &HttpRequest) -> Result<String, Error> {
    let mut values = request.headers().get_all(HEADER);
    match (values.next(), values.next()) {
        (Some(token), None) => token
            .to_str()
            .map(str::to_owned)
            .map_err(|_unreadable| Error::Missing),
        _ => Err(Error::Missing),
    }
}

/// A middleware, for `actix_web::middleware::from_fn`, that lets only the gateway's requests through.
pub async fn require<B: MessageBody>(
    _caller: ForwardedCaller,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    next.call(request).await
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Missing | Self::Rejected(_) => StatusCode::UNAUTHORIZED,
            Self::KeysAway => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut answer = HttpResponse::build(status);
        if matches!(self, Self::KeysAway) {
            answer.insert_header((RETRY_AFTER, "5"));
        }
        let detail = self.to_string();
        let title = status.canonical_reason().unwrap_or_default();
        answer.content_type("application/problem+json").body(
            serde_json::json!({ "title": title, "status": status.as_u16(), "detail": detail })
                .to_string(),
        )
    }
}
