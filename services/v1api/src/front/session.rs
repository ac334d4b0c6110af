//! Requests by a session's cookie: a browser's, which sends it along whoever had it ask.

use std::rc::Rc;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use chassis::auth::AuthError;
use chassis::http::ApiError;
use common::problem::Problem;
use common::session::SessionCookie;
use common::token::Rejection;

use super::Worker;
use crate::platform::{CookieUse, cookie_use};

impl Worker {
    /// The token that stands for a request's cookie, where the request has one and nothing better. A
    /// cookie that is nobody's is as good as none. Requests without a cookie cost one look at their headers.
    pub(super) async fn session(&self, request: &HttpRequest) -> Result<Option<Rc<str>>, ApiError> {
        let headers = request.headers();
        if !headers.contains_key(header::COOKIE) {
            return Ok(None);
        }
        let path = request.uri().path();
        let cookie_use = cookie_use(path);
        let authorized = headers.contains_key(header::AUTHORIZATION);
        let counts = match cookie_use {
            CookieUse::Ignored => false,
            CookieUse::Subject => request.method() == Method::DELETE,
            CookieUse::Welcome | CookieUse::Credentials => !authorized,
        };
        let Some(cookie) = counts.then(|| cookie_of(headers)).flatten() else {
            return Ok(None);
        };
        let may = is_safe(request) || self.gateway.cors.is_ours(headers);
        match cookie_use {
            CookieUse::Subject | CookieUse::Credentials if !may => Err(foreign(path)),
            CookieUse::Credentials => self.traded(&cookie).await,
            // Who signs in is let through whatever becomes of an old cookie.
            CookieUse::Welcome if may => Ok(self.traded(&cookie).await.unwrap_or_default()),
            CookieUse::Welcome | CookieUse::Subject | CookieUse::Ignored => Ok(None),
        }
    }

    async fn traded(&self, cookie: &SessionCookie) -> Result<Option<Rc<str>>, ApiError> {
        // Once more where the token was revoked and the session lasts: it is of a new generation then.
        for _ in 0..2 {
            let Some(token) = self.sessions.token(cookie).await? else {
                return Ok(None);
            };
            match self.tokens.verify(&token).await {
                // Of another kind it is a login's whose second factor is pending: auth's to judge.
                Ok(_) | Err(AuthError::Rejected(Rejection::WrongKind)) => return Ok(Some(token)),
                Err(AuthError::Rejected(_)) => self.sessions.forget(cookie),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

/// The session's cookie of a request.
fn cookie_of(headers: &HeaderMap) -> Option<SessionCookie> {
    let values = headers.get_all(header::COOKIE);
    SessionCookie::find(values.filter_map(|value| value.to_str().ok()))
}

/// Whether a request can change nothing, whoever had the browser send it. One that turns into something
/// else can, and its answer is read by any page.
fn is_safe(request: &HttpRequest) -> bool {
    matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) && !request.headers().contains_key(header::UPGRADE)
}

/// A page of somebody else's had the browser ask.
fn foreign(path: &str) -> ApiError {
    let detail = "What changes something by a session's cookie needs an `Origin` of this platform";
    let problem = Problem::forbidden("origin_not_allowed", detail);
    // Under `/auth` a problem's type is the slug that Medusa's clients know.
    if path.starts_with("/auth/") {
        problem.with_type("not_allowed").into()
    } else {
        problem.into()
    }
}

/// Keeps an answer to a cookie from being given to anybody else.
pub(super) fn keep_private(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        let value = HeaderValue::from_static("private, no-cache");
        headers.insert(header::CACHE_CONTROL, value);
    }
}
