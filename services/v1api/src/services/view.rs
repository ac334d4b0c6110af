//! Services as their callers, their accounts and admins see them.

use common::event::Visibility;
use common::id::{AccountId, EnvironmentId};
use common::names::ServiceName;
use common::rules::ServiceRules;
use common::scope::{Scope, Verb};
use common::time::Time;
use serde::Serialize;
use utoipa::ToSchema;

use crate::health::{Condition, Standing};
use crate::limits::Limit;
use crate::state::State;
use crate::table::store::{ServiceRow, verbs};
use crate::table::{Service, Target};

/// A service, as its callers see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceView {
    name: ServiceName,
    /// Where it is reached.
    path: String,
    /// The scopes that its callers may hold.
    scopes: Vec<String>,
    /// What holds for its calls.
    #[serde(flatten)]
    rules: ServiceRules,
    /// The account that publishes it; none for one that an admin has named.
    account_id: Option<AccountId>,
    /// The environment behind it, for those who may see that.
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_id: Option<EnvironmentId>,
    /// Its addresses, for admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstreams: Option<Vec<String>>,
    /// Who may call it, for admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility: Option<Visibility>,
    /// How often each caller may call it, for admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Vec<Limit>>,
    /// What its health checks have found, for admins and members of the account that publishes it, when
    /// one service is asked for and has such checks. Each gateway process looks for itself: this is what
    /// the one that answers has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    instances: Option<Vec<InstanceView>>,
}

/// An instance of a service, as its health checks have found it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InstanceView {
    /// Its address, for admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    /// Whether calls go to it; `unknown` before the first checks, which is as good as healthy.
    condition: Condition,
    /// Since when that has been known.
    since: Option<Time>,
    /// When it was asked last.
    checked_at: Option<Time>,
    /// What was wrong then.
    failure: Option<String>,
}

impl InstanceView {
    fn of(origin: &str, standing: Standing, for_admin: bool) -> Self {
        Self {
            upstream: for_admin.then(|| format!("http://{origin}")),
            condition: standing.condition,
            since: standing.since,
            checked_at: standing.checked_at,
            failure: standing.failure.map(|failure| failure.to_string()),
        }
    }
}

impl ServiceView {
    /// As the routes have it.
    pub(super) fn of(service: &Service, for_admin: bool) -> Self {
        let (environment_id, upstreams) = match &service.target {
            Target::Environment(id) => (Some(id.clone()), None),
            Target::Upstreams(origins) => (None, Some(addresses(origins))),
        };
        Self {
            path: format!("/v1/{}/", service.name),
            scopes: scope_names(&service.name, &service.verbs),
            rules: service.rules.given.clone(),
            name: service.name.clone(),
            account_id: service.account_id.clone(),
            environment_id,
            upstreams: upstreams.filter(|_| for_admin),
            visibility: for_admin.then(|| service.visibility.clone()),
            limits: None,
            instances: None,
        }
    }

    /// With its limits.
    pub(super) fn limited(self, limits: Option<Vec<Limit>>) -> Self {
        Self { limits, ..self }
    }

    /// With what its checks have found.
    pub(super) fn seen(self, instances: Option<Vec<InstanceView>>) -> Self {
        Self { instances, ..self }
    }

    /// A named one, as its row has it.
    pub(super) fn of_row(row: &ServiceRow) -> Self {
        Self {
            name: row.name.clone(),
            path: format!("/v1/{}/", row.name),
            scopes: scope_names(&row.name, &verbs(&row.scopes)),
            rules: serde_json::from_str(&row.rules).unwrap_or_default(),
            account_id: None,
            environment_id: None,
            upstreams: row.upstreams().map(|origins| addresses(&origins)),
            visibility: serde_json::from_str(&row.visibility).ok(),
            limits: None,
            instances: None,
        }
    }
}

fn scope_names(name: &ServiceName, verbs: &[Verb]) -> Vec<String> {
    verbs
        .iter()
        .map(|verb| Scope::Service(name.clone(), *verb).to_string())
        .collect()
}

fn addresses(origins: &[impl std::fmt::Display]) -> Vec<String> {
    let origins = origins.iter();
    origins.map(|origin| format!("http://{origin}")).collect()
}

/// What the checks of a service have found, if it has any.
pub(super) fn instances(
    state: &State,
    service: &Service,
    for_admin: bool,
) -> Option<Vec<InstanceView>> {
    service.rules.given.health.as_ref()?;
    let table = state.table();
    let found = state.health.of(&service.label, table.origins(service));
    let found = found.into_iter();
    Some(
        found
            .map(|(origin, standing)| InstanceView::of(origin, standing, for_admin))
            .collect(),
    )
}
