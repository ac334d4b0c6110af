//! Who may call: a project's server, by an API key that names its realm.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use chassis::Context;
use chassis::auth::KeyCaller;
use chassis::http::ApiError;
use common::id::RealmId;
use common::problem::Problem;
use common::role::Role;
use common::scope::{Resource, Scope, Verb};
use common::token::claim;

use crate::realms::access::{Seeker, reached};
use crate::state::State;

/// A project's server, calling with an API key of scope `clients:write` that names a realm which the
/// key's maker can still use.
#[derive(Clone, Debug)]
pub struct RealmServer {
    /// The realm.
    pub realm: RealmId,
}

impl FromRequest for RealmServer {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let key = KeyCaller::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move { server(&request, &key.await?).await })
    }
}

async fn server(request: &HttpRequest, key: &KeyCaller) -> Result<RealmServer, ApiError> {
    key.require(&Scope::Platform(Resource::Clients, Verb::Write))?;
    let named = key.claims.extra_str(claim::REALM_ID);
    let realm: RealmId = named
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Problem::forbidden("no_realm", "The key names no realm"))?;
    let (Some(context), Some(state)) = (
        request.app_data::<web::Data<Context>>(),
        request.app_data::<web::Data<State>>(),
    ) else {
        return Err(ApiError::internal("the service has no context"));
    };
    let seeker = Seeker::of(&key.claims)?;
    let found = reached(context, state, &seeker, &realm, Role::Developer).await?;
    if found.is_none() {
        let detail = "The key's maker has no part in its realm any more";
        return Err(Problem::forbidden("no_realm", detail).into());
    }
    Ok(RealmServer { realm })
}
