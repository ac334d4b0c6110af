//! Services of the catch-all: those that admins name, and those that accounts publish.

pub(crate) mod http;
pub(crate) mod rules;
pub(crate) mod store;

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

/// A service to be named, or what one is to become.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The name.
    pub(crate) name: ServiceName,
    /// Where its requests go.
    pub(crate) upstream: Upstream,
    /// The verbs that its callers' scopes may name.
    pub(crate) verbs: Vec<Verb>,
    /// Who may call it.
    pub(crate) visibility: Visibility,
    /// What holds for its calls.
    pub(crate) rules: ServiceRules,
}

/// An address that an admin named: `http://host:port` and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream(String);

impl Upstream {
    /// Reads an address.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
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
    pub(crate) fn origin(&self) -> &str {
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
}
