//! Services of the catch-all: those that admins name, and those that accounts publish.

#[cfg(test)]
mod fuzz;
pub(crate) mod http;
pub(crate) mod rules;
pub(crate) mod store;
pub(crate) mod view;

use std::sync::Arc;

use chassis::http::ApiError;
use common::event::Visibility;
use common::id::AccountId;
use common::names::ServiceName;
use common::rules::{InvalidRule, ServiceRules};
use common::scope::{Scope, ScopeSet, Verb};
use url::Url;

use crate::edge::access::{Access, offers};
use crate::edge::tokens::Known;
use crate::state::State;
use crate::table::{Service, Table};

/// How many services' scopes a key gets that asks for none in particular: a token has to fit into
/// a header.
const MOST_DEFAULTS: usize = 40;

/// How many upstreams a named service may have.
const MOST_UPSTREAMS: usize = 32;

/// A service to be named, or what one is to become.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The name.
    pub(crate) name: ServiceName,
    /// Where its requests go.
    pub(crate) upstreams: Upstreams,
    /// The verbs that its callers' scopes may name.
    pub(crate) verbs: Vec<Verb>,
    /// Who may call it.
    pub(crate) visibility: Visibility,
    /// What holds for its calls.
    pub(crate) rules: ServiceRules,
}

/// Where an admin lets a service's requests go: one address at least, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstreams(Vec<Upstream>);

/// Addresses that can't be a service's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadUpstreams {
    /// Which of them, where it is one.
    pub(crate) at: Option<usize>,
    /// What is wrong.
    pub(crate) message: &'static str,
}

impl Upstreams {
    /// Reads addresses.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, BadUpstreams> {
        if texts.is_empty() || texts.len() > MOST_UPSTREAMS {
            let message = "must be 1 to 32 addresses";
            return Err(BadUpstreams { at: None, message });
        }
        let mut upstreams = Vec::with_capacity(texts.len());
        for (at, text) in texts.iter().enumerate() {
            let wrong = |message| BadUpstreams {
                at: Some(at),
                message,
            };
            let upstream = Upstream::parse(text).map_err(wrong)?;
            // One that stands there twice would get twice as much to do, and be checked twice.
            if upstreams.contains(&upstream) {
                return Err(wrong("stands there twice"));
            }
            upstreams.push(upstream);
        }
        Ok(Self(upstreams))
    }

    /// As the database keeps them: a list of `host:port`.
    pub(crate) fn to_json(&self) -> String {
        let origins: Vec<_> = self.0.iter().map(Upstream::origin).collect();
        serde_json::json!(origins).to_string()
    }
}

/// An address that an admin named: `http://host:port` and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Upstream(String);

impl Upstream {
    /// Reads an address.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_why| "is no URL")?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || !url.username().is_empty() || url.password().is_some() || !bare
        {
            return Err("must be http://host:port alone");
        }
        let host = url.host_str().ok_or("must name a host")?;
        Ok(Self(format!(
            "{host}:{}",
            url.port_or_known_default().unwrap_or(80)
        )))
    }

    /// `host:port`.
    fn origin(&self) -> &str {
        &self.0
    }
}

/// Why a service can't be named or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// The name is somebody's, or was until lately.
    #[error("the name is taken")]
    NameTaken,
    /// There is none that an admin has named.
    #[error("there is no such service")]
    Missing,
    /// It has been changed since the caller looked.
    #[error("it has been changed meanwhile")]
    Changed,
    /// Its rules can't be.
    #[error("its rules can't be")]
    Rules(#[from] InvalidRule),
    /// The database.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

/// The services as one caller sees them.
pub(crate) struct Catalogue {
    table: Arc<Table>,
    access: Access,
    known: Known,
}

impl Catalogue {
    /// What this caller sees; inside one account only, if one is named.
    pub(crate) fn of(state: &State, known: &Known, account: Option<&AccountId>) -> Self {
        let mut claims = known.verified.claims.clone();
        claims.account_id = account.cloned().or(claims.account_id);
        let known = Known::of(known.verified.kind, claims);
        Self {
            table: state.table(),
            access: Access::new(state.context.clone()),
            known,
        }
    }

    /// The service of this name, if the caller may know of it.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Arc<Service>>, ApiError> {
        let Some(service) = self.table.service(name) else {
            return Ok(None);
        };
        let sees = self
            .access
            .sees(service, &self.known, self.table.members)
            .await?;
        Ok(sees.then(|| Arc::clone(service)))
    }

    /// Whether the caller is a member of the account that publishes a service.
    pub(crate) async fn is_of_account(&self, service: &Service) -> Result<bool, ApiError> {
        self.access
            .is_of_account(service, &self.known, self.table.members)
            .await
    }

    /// The services after a name, in the order of their names.
    pub(crate) async fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Service>>, ApiError> {
        let after = after.unwrap_or_default();
        let mut services: Vec<_> = self
            .table
            .services()
            .filter(|service| service.name.as_str() > after)
            .collect();
        services.sort_by(|one, other| one.name.cmp(&other.name));
        let mut seen = Vec::new();
        for service in services {
            if seen.len() >= limit {
                break;
            }
            if self
                .access
                .sees(service, &self.known, self.table.members)
                .await?
            {
                seen.push(Arc::clone(service));
            }
        }
        Ok(seen)
    }

    /// The scopes of the services that the caller may call.
    pub(crate) async fn callable(&self) -> Result<Vec<Scope>, ApiError> {
        Ok(self
            .list(None, MOST_DEFAULTS)
            .await?
            .iter()
            .filter_map(|service| widest(service))
            .collect())
    }

    /// Of the services that these scopes name, the scopes that the caller holds.
    pub(crate) async fn held(&self, asked: &ScopeSet) -> Result<Vec<Scope>, ApiError> {
        let mut held = Vec::new();
        for scope in asked.iter() {
            if let Scope::Service(name, _) = scope
                && let Some(service) = self.find(name.as_str()).await?
            {
                held.extend(widest(&service));
            }
        }
        Ok(held)
    }
}

/// The most that a person may do with a service that she sees.
fn widest(service: &Service) -> Option<Scope> {
    let verb = [Verb::Write, Verb::Read]
        .into_iter()
        .find(|verb| offers(service, *verb))?;
    Some(Scope::Service(service.name.clone(), verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_a_host_and_a_port_and_nothing_else() {
        assert_eq!(
            Upstream::parse("http://127.0.0.1:9000").unwrap().origin(),
            "127.0.0.1:9000"
        );
        assert_eq!(
            Upstream::parse("http://db.internal/").unwrap().origin(),
            "db.internal:80"
        );
        for text in [
            "https://x",
            "http://a:b@x",
            "http://x/path",
            "http://x?q",
            "x:80",
            "file:///etc",
            "",
        ] {
            assert!(Upstream::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_service_has_upstreams_none_of_them_twice() {
        let parse = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            Upstreams::parse(&texts)
        };
        let two = parse(&["http://a:1", "http://b"]).unwrap();
        assert_eq!(two.to_json(), r#"["a:1","b:80"]"#);
        let at = |texts: &[&str]| parse(texts).unwrap_err().at;
        assert_eq!(at(&[]), None);
        assert_eq!(at(&["http://a:1", "https://b"]), Some(1));
        // The same, written otherwise.
        assert_eq!(at(&["http://a:80", "http://b", "http://A/"]), Some(2));
        let many = |count: usize| {
            let texts: Vec<_> = (1..=count).map(|port| format!("http://a:{port}")).collect();
            Upstreams::parse(&texts)
        };
        assert!(many(MOST_UPSTREAMS).is_ok());
        assert_eq!(many(MOST_UPSTREAMS + 1).unwrap_err().at, None);
    }
}
