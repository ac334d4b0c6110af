//! What the gateway routes by: apps by label and by domain, services by name. One immutable table in memory,
//! replaced as a whole when the database says that something has changed.

pub(crate) mod events;
pub(crate) mod loader;
pub(crate) mod store;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use common::event::{DomainChallenge, Visibility};
use common::id::{AccountId, EnvironmentId};
use common::names::ServiceName;
use common::scope::Verb;
use common::time::Time;

use crate::services::rules::Rules;
use crate::sleep::Activity;

/// An environment that requests can reach.
#[derive(Clone, Debug)]
pub(crate) struct AppRoute {
    /// The environment.
    pub(crate) environment_id: EnvironmentId,
    /// The label of its host.
    pub(crate) label: String,
    /// Where its instances listen, as `host:port`.
    pub(crate) origins: Vec<Arc<str>>,
    /// Until when requests wait for an instance.
    pub(crate) hold_until: Option<Time>,
    /// Whether it runs nothing until a request wakes it.
    pub(crate) asleep: bool,
    /// Whether its members want no request to reach it.
    pub(crate) maintenance: bool,
    /// When it was asked for, where it is put to sleep when nobody does.
    pub(crate) activity: Option<Arc<Activity>>,
}

/// A domain of an account's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DomainRoute {
    /// The environment that answers under it.
    pub(crate) environment_id: EnvironmentId,
    /// What goes on showing that the domain is meant to be served here.
    pub(crate) challenge: DomainChallenge,
}

/// Where a service's requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To whatever is live in an environment.
    Environment(EnvironmentId),
    /// To the addresses that an admin named, as `host:port`: at least one.
    Upstreams(Vec<Arc<str>>),
}

/// A service of the catch-all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// The name.
    pub(crate) name: ServiceName,
    /// The name once more, shared with what counts its calls.
    pub(crate) label: Arc<str>,
    /// Where its requests go.
    pub(crate) target: Target,
    /// Whose it is; none for one that an admin has named.
    pub(crate) account_id: Option<AccountId>,
    /// Who may call it.
    pub(crate) visibility: Visibility,
    /// The verbs that its callers' scopes may name.
    pub(crate) verbs: Vec<Verb>,
    /// What holds for its calls.
    pub(crate) rules: Rules,
    /// Whether an admin still has to approve that everyone may call it.
    pub(crate) pending_approval: bool,
}

/// All routes of one moment.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The last change that is in it.
    pub(crate) seq: i64,
    /// The last change of memberships that the database had then.
    pub(crate) members: i64,
    apps: HashMap<String, Arc<AppRoute>>,
    environments: HashMap<EnvironmentId, Arc<AppRoute>>,
    services: HashMap<String, Arc<Service>>,
    domains: HashMap<String, Arc<DomainRoute>>,
}

/// What a change makes of a route.
pub(crate) enum Change {
    /// An environment is reached like this.
    App(AppRoute),
    /// An environment is gone.
    AppGone(EnvironmentId),
    /// A service is reached like this.
    Service(Arc<Service>),
    /// A service is gone.
    ServiceGone(String),
    /// A domain leads to an app.
    Domain(String, DomainRoute),
    /// A domain is nobody's.
    DomainGone(String),
}

impl Table {
    /// The app whose host has this label.
    pub(crate) fn app(&self, label: &str) -> Option<&Arc<AppRoute>> {
        self.apps.get(label)
    }

    /// The domain of an account's own that a host is, and the app there.
    pub(crate) fn domain(&self, host: &str) -> Option<(&Arc<DomainRoute>, &Arc<AppRoute>)> {
        let domain = self.domains.get(host)?;
        Some((domain, self.environments.get(&domain.environment_id)?))
    }

    /// Whether a host is a domain of an account's own, wherever it leads.
    pub(crate) fn has_domain(&self, host: &str) -> bool {
        self.domains.contains_key(host)
    }

    /// The app that an environment runs.
    pub(crate) fn environment(&self, id: &EnvironmentId) -> Option<&Arc<AppRoute>> {
        self.environments.get(id)
    }

    /// Every app.
    pub(crate) fn apps(&self) -> impl Iterator<Item = &Arc<AppRoute>> {
        self.environments.values()
    }

    /// The service of this name.
    pub(crate) fn service(&self, name: &str) -> Option<&Arc<Service>> {
        self.services.get(name)
    }

    /// Every service.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// Where a service's instances listen, as `host:port`.
    pub(crate) fn origins<'a>(&'a self, service: &'a Service) -> &'a [Arc<str>] {
        match &service.target {
            Target::Upstreams(origins) => origins,
            Target::Environment(id) => self
                .environment(id)
                .map_or(&[], |route| route.origins.as_slice()),
        }
    }

    /// The host by which the instance of a service at this address knows itself. `apps_authority` is
    /// what stands behind an app's label in its host.
    pub(crate) fn host(&self, service: &Service, origin: &str, apps_authority: &str) -> String {
        match &service.target {
            Target::Upstreams(_) => origin.to_owned(),
            Target::Environment(id) => {
                let route = self.environment(id);
                let label = route.map_or("app", |route| route.label.as_str());
                format!("{label}{apps_authority}")
            }
        }
    }

    /// The same table with these changes in it.
    pub(crate) fn with(&self, changes: Vec<Change>, seq: i64, members: i64) -> Self {
        let mut next = Self {
            seq,
            members,
            apps: self.apps.clone(),
            environments: self.environments.clone(),
            services: self.services.clone(),
            domains: self.domains.clone(),
        };
        for change in changes {
            next.apply(change);
        }
        next
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::App(mut route) => {
                if let Some(before) = self.environments.get(&route.environment_id)
                    && let (Some(activity), Some(known)) = (&mut route.activity, &before.activity)
                {
                    *activity = Arc::clone(known);
                }
                self.forget(&route.environment_id);
                let route = Arc::new(route);
                self.environments
                    .insert(route.environment_id.clone(), Arc::clone(&route));
                self.apps.insert(route.label.clone(), route);
            }
            Change::AppGone(environment) => self.forget(&environment),
            Change::Service(service) => {
                self.services
                    .insert(service.name.as_str().to_owned(), service);
            }
            Change::ServiceGone(name) => {
                self.services.remove(&name);
            }
            Change::Domain(domain, route) => {
                self.domains.insert(domain, Arc::new(route));
            }
            Change::DomainGone(domain) => {
                self.domains.remove(&domain);
            }
        }
    }

    /// Takes an environment out; its label only if no other has taken that since.
    fn forget(&mut self, environment: &EnvironmentId) {
        let Some(old) = self.environments.remove(environment) else {
            return;
        };
        if self
            .apps
            .get(&old.label)
            .is_some_and(|route| route.environment_id == *environment)
        {
            self.apps.remove(&old.label);
        }
    }
}

/// Addresses as upstream origins.
pub(crate) fn origins(addresses: &[SocketAddr]) -> Vec<Arc<str>> {
    addresses
        .iter()
        .map(|address| Arc::from(address.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(environment: &EnvironmentId, label: &str) -> Change {
        Change::App(AppRoute {
            environment_id: environment.clone(),
            label: label.into(),
            origins: vec!["127.0.0.1:1".into()],
            hold_until: None,
            asleep: false,
            maintenance: false,
            activity: None,
        })
    }

    #[test]
    fn a_label_given_to_another_environment_stays_when_the_first_one_goes() {
        let (first, second) = (
            EnvironmentId::new(Time::EPOCH),
            EnvironmentId::new(Time::EPOCH),
        );
        let table = Table::default().with(vec![app(&first, "shop"), app(&second, "shop")], 2, 0);
        let table = table.with(vec![Change::AppGone(first)], 3, 0);
        assert_eq!(table.app("shop").unwrap().environment_id, second);
        assert!(
            table
                .with(vec![Change::AppGone(second)], 4, 0)
                .app("shop")
                .is_none()
        );
    }
}
