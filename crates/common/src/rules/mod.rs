//! What a service of the gateway says of its calls, beside its name and who may call it.

#[cfg(test)]
mod fuzz;
mod health;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::scope::Verb;

pub use health::HealthCheck;

/// The methods that an endpoint may name.
pub const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// In the place of a path's last segment: whatever is below.
pub const REST: &str = "**";

/// The most endpoints that have rules of their own.
const MOST_ENDPOINTS: usize = 100;
/// The longest template.
const LONGEST_PATH: usize = 256;
/// The most origins.
const MOST_ORIGINS: usize = 50;
/// The longest that an upstream is waited for, in seconds.
const LONGEST_TIMEOUT: u32 = 600;

/// An endpoint, or several, whose calls go by rules of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointRule {
    /// The method, `GET` standing for `HEAD` too; any unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path below the service's own: `/orders/{id}`, where a part in braces stands for any
    /// segment, and `**` at the end for all that is below.
    pub path: String,
    /// The verb that a caller's scope must name; what the method says, unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Verb>,
    /// For how many seconds the head of an answer is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
}

/// Whose pages may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CorsRules {
    /// Origins, each scheme, host and port; `*` alone is everybody's. They get no cookies.
    pub origins: Vec<String>,
}

/// What a service says of its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(default)]
pub struct ServiceRules {
    /// Endpoints that go by rules of their own; of several that fit, the longest decides.
    pub endpoints: Vec<EndpointRule>,
    /// Whose pages may call.
    pub cors: CorsRules,
    /// For how many seconds the head of an answer is waited for.
    pub timeout: Option<u32>,
    /// The longest body of a request, in bytes.
    pub max_body: Option<u64>,
    /// The longest body of an answer, in bytes.
    pub max_response_body: Option<u64>,
    /// How its instances are asked whether they are well; they aren't unless told.
    pub health: Option<HealthCheck>,
}

/// A rule that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct InvalidRule {
    /// Where it stands.
    pub field: String,
    /// What is wrong.
    pub message: &'static str,
}

impl ServiceRules {
    /// Checks them for a service whose callers' scopes may name these verbs.
    pub fn check(&self, verbs: &[Verb]) -> Result<(), InvalidRule> {
        let wrong = |field: String, message| Err(InvalidRule { field, message });
        if self.endpoints.len() > MOST_ENDPOINTS {
            return wrong("endpoints".into(), "must be 100 at most");
        }
        for (at, rule) in self.endpoints.iter().enumerate() {
            let field = |name: &str| format!("endpoints[{at}].{name}");
            if rule
                .method
                .as_deref()
                .is_some_and(|method| !METHODS.contains(&method))
            {
                return wrong(field("method"), "must be a method in capitals, or left out");
            }
            if !is_template(&rule.path) {
                let message = "must be a path such as /orders/{id} or /admin/**";
                return wrong(field("path"), message);
            }
            let offered = |verb: Verb| verbs.iter().any(|offered| *offered >= verb);
            if rule
                .scope
                .is_some_and(|verb| verb == Verb::Admin || !offered(verb))
            {
                return wrong(field("scope"), "must be one of the service's `scopes`");
            }
            if !is_timeout(rule.timeout) {
                return wrong(field("timeout"), "must be 1 to 600 seconds");
            }
            let same = |other: &EndpointRule| {
                other.method == rule.method && shape(&other.path) == shape(&rule.path)
            };
            if self.endpoints.iter().take(at).any(same) {
                return wrong(field("path"), "stands there twice");
            }
        }
        if !is_timeout(self.timeout) {
            return wrong("timeout".into(), "must be 1 to 600 seconds");
        }
        for (field, limit) in [
            ("max_body", self.max_body),
            ("max_response_body", self.max_response_body),
        ] {
            if limit == Some(0) {
                return wrong(field.into(), "must be 1 byte at least");
            }
        }
        if let Some(Err((field, message))) = self.health.as_ref().map(HealthCheck::check) {
            return wrong(format!("health.{field}"), message);
        }
        let origins = &self.cors.origins;
        let all = origins.iter().any(|origin| origin == "*");
        if origins.len() > MOST_ORIGINS || (all && origins.len() > 1) {
            let message = "must be 50 at most, or `*` alone";
            return wrong("cors.origins".into(), message);
        }
        match origins
            .iter()
            .position(|origin| origin != "*" && !is_origin(origin))
        {
            Some(at) => wrong(
                format!("cors.origins[{at}]"),
                "must be an origin: scheme, host and port alone",
            ),
            None => Ok(()),
        }
    }
}

fn is_timeout(seconds: Option<u32>) -> bool {
    seconds.is_none_or(|seconds| (1..=LONGEST_TIMEOUT).contains(&seconds))
}

fn is_origin(text: &str) -> bool {
    // A star would look like a pattern, and is a letter like any other to the URL standard.
    let plain = !text.contains('*');
    let same = |url: Url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
    };
    plain && Url::parse(text).is_ok_and(same)
}

/// Whether a segment of a template stands for any one.
#[must_use]
pub fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

fn is_template(path: &str) -> bool {
    let Some(rest) = path
        .strip_prefix('/')
        .filter(|_| path.len() <= LONGEST_PATH)
    else {
        return false;
    };
    let named = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let literal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,=:@".contains(&byte);
    let segments: Vec<_> = rest.split('/').collect();
    let last = segments.len() - 1;
    rest.is_empty()
        || segments.iter().enumerate().all(|(at, segment)| {
            if let Some(inner) = segment.strip_prefix('{') {
                return inner.strip_suffix('}').is_some_and(named);
            }
            (*segment == REST && at == last)
                || (!segment.is_empty()
                    && !matches!(*segment, "." | "..")
                    && segment.bytes().all(literal))
        })
}

/// A template without the names of its parameters: two of one shape fit the same paths.
fn shape(path: &str) -> Vec<String> {
    let shaped = |segment: &str| {
        if is_parameter(segment) {
            "{}".to_owned()
        } else {
            segment.to_ascii_lowercase()
        }
    };
    path.split('/').map(shaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(method: Option<&str>, path: &str, scope: Option<Verb>) -> EndpointRule {
        EndpointRule {
            method: method.map(str::to_owned),
            path: path.into(),
            scope,
            timeout: None,
        }
    }

    fn field(rules: &ServiceRules) -> Option<String> {
        let checked = rules.check(&[Verb::Read, Verb::Write]);
        checked.err().map(|invalid| invalid.field)
    }

    fn of(endpoints: Vec<EndpointRule>) -> ServiceRules {
        ServiceRules {
            endpoints,
            ..ServiceRules::default()
        }
    }

    #[test]
    fn what_can_be_said_of_endpoints_is_taken() {
        let rules = of(vec![
            rule(None, "/", None),
            rule(Some("POST"), "/search", Some(Verb::Read)),
            rule(None, "/orders/{order_id}/lines/{line}", Some(Verb::Write)),
            rule(None, "/admin/**", Some(Verb::Write)),
            rule(Some("GET"), "/admin/**", None),
            rule(None, "/a.b/~c:d@e", None),
        ]);
        assert_eq!(field(&rules), None);
        assert_eq!(field(&ServiceRules::default()), None);
    }

    #[test]
    fn a_template_that_could_mean_several_things_is_refused() {
        for path in [
            "", "orders", "//", "/orders/", "/a//b", "/{}", "/{id", "/id}", "/x{id}", "/**/a",
            "/a/../b", "/.", "/a%2fb", "/a;b", "/a b", "/a?b", "/a*", "/{a-b}",
        ] {
            let wrong = of(vec![rule(None, path, None)]);
            assert_eq!(
                field(&wrong).as_deref(),
                Some("endpoints[0].path"),
                "{path}"
            );
        }
        let twice = vec![rule(None, "/a/{b}", None), rule(None, "/A/{c}", None)];
        assert_eq!(field(&of(twice)).as_deref(), Some("endpoints[1].path"));
    }

    #[test]
    fn what_cannot_be_is_named() {
        let wrong = |rule| field(&of(vec![rule])).unwrap();
        assert_eq!(wrong(rule(Some("get"), "/", None)), "endpoints[0].method");
        assert_eq!(
            wrong(rule(None, "/", Some(Verb::Admin))),
            "endpoints[0].scope"
        );
        let narrow = of(vec![rule(None, "/", Some(Verb::Write))]);
        assert!(narrow.check(&[Verb::Read]).is_err());
        for timeout in [0, 601] {
            let rules = ServiceRules {
                timeout: Some(timeout),
                ..ServiceRules::default()
            };
            assert_eq!(field(&rules).as_deref(), Some("timeout"));
        }
        for (origins, refused) in [
            (vec!["https://shop.example", "http://localhost:3000"], false),
            (vec!["*"], false),
            (vec!["*", "https://shop.example"], true),
            (vec!["null"], true),
            (vec!["https://shop.example/"], true),
            (vec!["https://*.example"], true),
            (vec!["https://SHOP.example"], true),
            (vec!["file:///x"], true),
        ] {
            let rules = ServiceRules {
                cors: CorsRules {
                    origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
                },
                ..ServiceRules::default()
            };
            assert_eq!(field(&rules).is_some(), refused, "{origins:?}");
        }
    }
}
