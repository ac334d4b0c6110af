//! `/auth/{actor}/providers`

use actix_web::{HttpResponse, web};
use chassis::http::{ApiError, Path};
use common::problem::Problem;
use serde::Serialize;

use crate::identities::Provider;
use crate::medusa::slugged;
use crate::state::State;

/// A way to sign in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProviderAnswer {
    /// Its name in paths.
    id: Provider,
    /// The same, as Medusa names it.
    identifier: Provider,
    /// Its name for people.
    display_name: &'static str,
    /// What it takes: `credentials` at once, or a `redirect`.
    flow: &'static str,
}

/// Ways to sign in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProvidersAnswer {
    /// Them.
    providers: Vec<ProviderAnswer>,
}

impl From<Provider> for ProviderAnswer {
    fn from(provider: Provider) -> Self {
        let (display_name, flow) = match provider {
            Provider::Emailpass => ("Email and password", "credentials"),
            Provider::Github => ("GitHub", "redirect"),
        };
        Self {
            id: provider,
            identifier: provider,
            display_name,
            flow,
        }
    }
}

/// The ways in which an actor can sign in: those that are allowed and set up.
#[utoipa::path(
    get,
    path = "/auth/{actor}/providers",
    tag = "auth",
    security(()),
    params(("actor" = String, Path, example = "euser")),
    responses((status = 200, description = "The providers", body = ProvidersAnswer)),
)]
pub async fn providers(
    state: web::Data<State>,
    Path(actor): Path<String>,
) -> Result<HttpResponse, ApiError> {
    let allowed = actor
        .parse()
        .map(|actor| state.providers.of(actor))
        .unwrap_or_default();
    if allowed.is_empty() {
        return Err(slugged(Problem::not_found("actor").into()));
    }
    let is_set_up = |provider: &Provider| match provider {
        Provider::Emailpass => true,
        Provider::Github => state.github.is_configured(),
    };
    let providers = allowed
        .into_iter()
        .filter(is_set_up)
        .map(Into::into)
        .collect();
    Ok(HttpResponse::Ok().json(ProvidersAnswer { providers }))
}
