//! Cross-origin requests to the platform's own routes and to services of the catch-all. Apps on their
//! own hosts answer theirs themselves.

use std::collections::HashSet;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use common::rules::CorsRules;

const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, x-medusa-locale, x-publishable-api-key, idempotency-key, if-match, last-event-id, micro-namespace",
);
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "x-request-id, etag, location, retry-after, www-authenticate, ratelimit, ratelimit-policy",
);
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// The origins whose pages may call, each one named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cors {
    others: HashSet<String>,
    own: String,
}

impl Cors {
    /// These origins, beside the platform's own.
    pub(crate) fn new(others: impl IntoIterator<Item = String>, own: String) -> Self {
        Self {
            others: others.into_iter().collect(),
            own,
        }
    }

    /// The request's origin, if its pages may call.
    fn allowed<'a>(&self, request: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = only_origin(request)?;
        origin
            .to_str()
            .is_ok_and(|origin| self.others.contains(origin))
            .then_some(origin)
    }

    /// Whether a request comes from a page of ours, as browsers say with everything that could change
    /// something (the Fetch standard, section 3.2).
    pub(crate) fn is_ours(&self, request: &HeaderMap) -> bool {
        let origin = only_origin(request).and_then(|origin| origin.to_str().ok());
        origin.is_some_and(|origin| origin == self.own || self.others.contains(origin))
    }

    /// Whether a request only asks what would be allowed.
    pub(crate) fn is_preflight(method: &Method, request: &HeaderMap) -> bool {
        method == Method::OPTIONS
            && request.contains_key(header::ORIGIN)
            && request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Adds to an answer what its request's origin may know of it.
    pub(crate) fn answer(&self, request: &HeaderMap, preflight: bool, answer: &mut HeaderMap) {
        if self.others.is_empty() {
            return;
        }
        // Whatever the answer: a cache must not give it to another origin.
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = self.allowed(request) else {
            return;
        };
        let mut put = |name: HeaderName, value: HeaderValue| answer.insert(name, value);
        put(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        put(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        if preflight {
            put(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            put(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            put(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        } else {
            put(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
}

/// The origins whose pages may call one service.
///
/// They call by `Authorization`, never by a cookie: the answer doesn't allow credentials, so that a
/// browser keeps to that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ServiceCors {
    /// Nobody's.
    #[default]
    None,
    /// These.
    Named(Vec<String>),
    /// Everybody's.
    Any,
}

impl ServiceCors {
    /// What a service's rules say.
    pub(crate) fn new(rules: &CorsRules) -> Self {
        match rules.origins.as_slice() {
            [] => Self::None,
            [all] if all == "*" => Self::Any,
            origins => Self::Named(origins.to_vec()),
        }
    }

    /// Adds to an answer what its request's origin may know of it; false if that origin isn't one
    /// of the service's.
    pub(crate) fn answer(
        &self,
        request: &HeaderMap,
        preflight: bool,
        answer: &mut HeaderMap,
    ) -> bool {
        let allowed = match self {
            Self::None => return false,
            Self::Any => request
                .contains_key(header::ORIGIN)
                .then(|| HeaderValue::from_static("*")),
            Self::Named(origins) => {
                answer.append(header::VARY, HeaderValue::from_static("Origin"));
                let origin = only_origin(request).filter(|origin| {
                    origins
                        .iter()
                        .any(|own| own.as_bytes() == origin.as_bytes())
                });
                origin.cloned()
            }
        };
        let Some(origin) = allowed else {
            return false;
        };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if !preflight {
            // Without credentials, all of them.
            let every = HeaderValue::from_static("*");
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, every);
            return true;
        }
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        // Which headers the service knows is its own business.
        if let Some(asked) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            let vary = HeaderValue::from_static("Access-Control-Request-Headers");
            answer.append(header::VARY, vary);
        }
        true
    }
}

/// The origin that a request names; none where it names more than one.
pub(super) fn only_origin(request: &HeaderMap) -> Option<&HeaderValue> {
    let mut origins = request.get_all(header::ORIGIN);
    let first = origins.next()?;
    origins.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(origin: &str) -> HeaderMap {
        let mut request = HeaderMap::new();
        request.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        let mut answer = HeaderMap::new();
        cors().answer(&request, false, &mut answer);
        answer
    }

    fn cors() -> Cors {
        let own = "https://slipway.example".to_owned();
        Cors::new(["https://shop.example".to_owned()], own)
    }

    #[test]
    fn an_origin_is_ours_if_it_is_named_or_the_platforms_own() {
        let ours = |origins: &[&str]| {
            let mut request = HeaderMap::new();
            for origin in origins {
                request.append(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
            }
            cors().is_ours(&request)
        };
        assert!(ours(&["https://shop.example"]) && ours(&["https://slipway.example"]));
        for other in [
            &[][..],
            &["null"],
            &[""],
            &["http://slipway.example"],
            &["https://slipway.example:8443"],
            &["https://app.slipway.example"],
            &["https://evil.example", "https://slipway.example"],
            &["https://slipway.example", "https://slipway.example"],
        ] {
            assert!(!ours(other), "{other:?}");
        }
    }

    #[test]
    fn only_an_origin_that_is_named_is_told_anything() {
        assert_eq!(
            answered("https://shop.example")
                .get("access-control-allow-origin")
                .unwrap(),
            "https://shop.example"
        );
        for other in [
            "https://shop.example.evil",
            "http://shop.example",
            "null",
            "https://SHOP.example",
        ] {
            let answer = answered(other);
            assert!(
                !answer.contains_key("access-control-allow-origin"),
                "{other}"
            );
            assert_eq!(answer.get("vary").unwrap(), "Origin");
        }
    }
}
