//! A service's rules, made ready to be asked at each call.

use std::cmp::Reverse;
use std::time::Duration;

use actix_web::http::Method;
use common::rules::{EndpointRule, REST, ServiceRules, is_parameter};
use common::scope::Verb;

use crate::edge::access::verb_of;
use crate::edge::cors::ServiceCors;

/// What a service says of its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The longest templates first.
    endpoints: Vec<Endpoint>,
    /// Whose pages may call.
    pub(crate) cors: ServiceCors,
    patience: Option<Duration>,
    /// The longest body of a request.
    pub(crate) max_body: Option<u64>,
    /// The longest body of an answer.
    pub(crate) max_response_body: Option<u64>,
    /// The rules as they were given.
    pub(crate) given: ServiceRules,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Endpoint {
    method: Option<Method>,
    segments: Vec<Segment>,
    /// Whether it fits what is below, too.
    below: bool,
    verb: Option<Verb>,
    patience: Option<Duration>,
}

// In the order in which of two templates the first decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Any,
}

/// How a path fits a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Not,
    /// As some servers read it: letters of another size or encoded, a slash or parameters at the end.
    Loosely,
    Exactly,
}

/// What a call has to bring, and what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The verb that the caller's scope must name.
    pub(crate) verb: Verb,
    /// How long the head of the answer is waited for, if not for as long as usual.
    pub(crate) patience: Option<Duration>,
}

impl Rules {
    /// Makes rules ready.
    pub(crate) fn new(given: ServiceRules) -> Self {
        let mut endpoints: Vec<_> = given.endpoints.iter().map(Endpoint::new).collect();
        endpoints.sort_by_cached_key(|endpoint| {
            (
                Reverse(endpoint.segments.len()),
                endpoint.below,
                endpoint.segments.clone(),
                endpoint.method.is_none(),
            )
        });
        Self {
            endpoints,
            cors: ServiceCors::new(&given.cors),
            patience: given.timeout.map(seconds),
            max_body: given.max_body,
            max_response_body: given.max_response_body,
            given,
        }
    }

    /// The terms of a call. Of the templates that fit, the longest decides.
    ///
    /// The service may read a path more generously than is written in a template. Where that makes
    /// a difference the stronger verb is needed: an odd spelling opens nothing.
    pub(crate) fn terms(&self, method: &Method, path: &str) -> Terms {
        let mut terms = Terms {
            verb: verb_of(method),
            patience: self.patience,
        };
        let mut least = Verb::Read;
        for endpoint in &self.endpoints {
            if !endpoint.is_for(method) {
                continue;
            }
            match endpoint.fit(path) {
                Fit::Not => {}
                Fit::Loosely => least = least.max(endpoint.verb.unwrap_or(terms.verb)),
                Fit::Exactly => {
                    terms.verb = endpoint.verb.unwrap_or(terms.verb);
                    terms.patience = endpoint.patience.or(terms.patience);
                    break;
                }
            }
        }
        terms.verb = terms.verb.max(least);
        terms
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

impl Endpoint {
    fn new(rule: &EndpointRule) -> Self {
        let path = rule.path.strip_prefix('/').unwrap_or(&rule.path);
        let mut parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let below = parts.last() == Some(&REST);
        if below {
            parts.pop();
        }
        let segment = |part: &str| {
            if is_parameter(part) {
                Segment::Any
            } else {
                Segment::Literal(part.to_owned())
            }
        };
        Self {
            // The methods that a rule may name are all known here.
            method: rule.method.as_deref().and_then(|name| name.parse().ok()),
            segments: parts.into_iter().map(segment).collect(),
            below,
            verb: rule.scope,
            patience: rule.timeout.map(seconds),
        }
    }

    fn is_for(&self, method: &Method) -> bool {
        let asked = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        self.method
            .as_ref()
            .is_none_or(|own| own == method || own == asked)
    }

    fn fit(&self, path: &str) -> Fit {
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut parts = path.split('/');
        let mut exact = true;
        for segment in &self.segments {
            let Some(part) = parts.next().filter(|part| !part.is_empty()) else {
                return Fit::Not;
            };
            if let Segment::Literal(literal) = segment {
                if part == literal {
                    continue;
                }
                if !is_loosely(part, literal) {
                    return Fit::Not;
                }
                exact = false;
            }
        }
        if !self.below {
            // `/orders/` is `/orders` to many servers. The path of the service itself is `/`.
            match (parts.next(), parts.next()) {
                (None, _) => {}
                (Some(""), None) => exact &= self.segments.is_empty(),
                _ => return Fit::Not,
            }
        }
        if exact { Fit::Exactly } else { Fit::Loosely }
    }
}

/// Whether a segment of a path is a literal to a server that decodes it, ignores the size of letters,
/// and cuts parameters off.
fn is_loosely(part: &str, literal: &str) -> bool {
    let name = part.split(';').next().unwrap_or_default();
    let mut bytes = name.bytes();
    let mut decoded = std::iter::from_fn(|| {
        let byte = bytes.next()?;
        if byte != b'%' {
            return Some(byte);
        }
        let mut ahead = bytes.clone();
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (digit(ahead.next()), digit(ahead.next())) {
            (Some(high), Some(low)) => {
                bytes = ahead;
                u8::try_from(high * 16 + low).ok()
            }
            _ => Some(byte),
        }
    });
    // A parameter may be encoded, too.
    for wanted in literal.bytes() {
        match decoded.next() {
            Some(byte) if byte.eq_ignore_ascii_case(&wanted) => {}
            _ => return false,
        }
    }
    matches!(decoded.next(), None | Some(b';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(method: Option<&str>, path: &str, verb: Verb) -> EndpointRule {
        EndpointRule {
            method: method.map(str::to_owned),
            path: path.into(),
            scope: Some(verb),
            timeout: None,
        }
    }

    fn rules(endpoints: Vec<EndpointRule>) -> Rules {
        let given = ServiceRules {
            endpoints,
            ..ServiceRules::default()
        };
        given.check(&[Verb::Write]).unwrap();
        Rules::new(given)
    }

    fn shop() -> Rules {
        rules(vec![
            rule(None, "/**", Verb::Write),
            rule(Some("GET"), "/**", Verb::Read),
            rule(Some("POST"), "/search", Verb::Read),
            rule(Some("GET"), "/orders/{id}", Verb::Write),
            rule(Some("GET"), "/orders/open", Verb::Read),
            rule(None, "/admin/**", Verb::Write),
            rule(Some("GET"), "/admin/help", Verb::Read),
        ])
    }

    #[test]
    fn without_rules_the_method_decides() {
        let none = Rules::default();
        for (method, verb) in [
            (Method::GET, Verb::Read),
            (Method::HEAD, Verb::Read),
            (Method::OPTIONS, Verb::Read),
            (Method::POST, Verb::Write),
            (Method::DELETE, Verb::Write),
            (Method::from_bytes(b"PURGE").unwrap(), Verb::Write),
        ] {
            assert_eq!(none.terms(&method, "/x").verb, verb, "{method}");
        }
    }

    #[test]
    fn of_the_templates_that_fit_the_longest_decides() {
        let shop = shop();
        for (method, path, verb) in [
            (Method::GET, "/", Verb::Read),
            (Method::GET, "/products", Verb::Read),
            (Method::POST, "/products", Verb::Write),
            (Method::POST, "/search", Verb::Read),
            (Method::PUT, "/search", Verb::Write),
            (Method::GET, "/orders", Verb::Read),
            (Method::GET, "/orders/7", Verb::Write),
            (Method::HEAD, "/orders/7", Verb::Write),
            (Method::GET, "/orders/open", Verb::Read),
            (Method::GET, "/orders/7/lines", Verb::Read),
            (Method::GET, "/admin", Verb::Write),
            (Method::GET, "/admin/users/7", Verb::Write),
            (Method::GET, "/admin/help", Verb::Read),
        ] {
            assert_eq!(shop.terms(&method, path).verb, verb, "{method} {path}");
        }
    }

    #[test]
    fn an_odd_spelling_opens_nothing() {
        let shop = shop();
        for path in [
            "/ADMIN/users",
            "/admin;x=1/users",
            "/%61dmin/users",
            "/adm%49n",
            "/admin%3bx/users",
            "/orders/7/",
            "/Orders/7",
            // As an endpoint that needs less it counts only when spelt as that one is.
            "/admin/HELP",
            "/admin/help/",
            "/admin/%68elp",
            "/orders/OPEN",
        ] {
            assert_eq!(shop.terms(&Method::GET, path).verb, Verb::Write, "{path}");
        }
        for path in ["/Search", "/search/", "/s%65arch", "/search;x"] {
            assert_eq!(shop.terms(&Method::POST, path).verb, Verb::Write, "{path}");
        }
        // What only looks alike is something else.
        for path in ["/administrators", "/xadmin", "/%2561dmin", "/admi", "/%6"] {
            assert_eq!(shop.terms(&Method::GET, path).verb, Verb::Read, "{path}");
        }
    }

    #[test]
    fn an_endpoint_may_be_given_more_time_than_its_service() {
        let mut slow = rule(Some("GET"), "/report", Verb::Read);
        slow.timeout = Some(300);
        let rules = Rules::new(ServiceRules {
            endpoints: vec![slow],
            timeout: Some(5),
            ..ServiceRules::default()
        });
        let patience = |path| rules.terms(&Method::GET, path).patience;
        assert_eq!(patience("/report"), Some(Duration::from_mins(5)));
        assert_eq!(patience("/other"), Some(Duration::from_secs(5)));
        assert_eq!(Rules::default().terms(&Method::GET, "/").patience, None);
    }
}
