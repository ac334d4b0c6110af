//! What account asks of the identity of somebody who looks at her data, or goes.

use actix_web::{HttpResponse, web};
use chassis::audit::Entry;
use chassis::auth::ServiceCaller;
use chassis::http::{ApiError, ClientAddress, Json, Path};
use common::ExposeSecret as _;
use common::api::auth::{IdentityDeleted, PasswordCheck, PasswordChecked};
use common::email::EmailAddress;
use common::id::IdentityId;
use common::token::ActorType;
use serde_json::Value;

use super::{Identity, Provider, store};
use crate::admin::view::IdentityView;
use crate::admin::{self, AdminError};
use crate::emailpass::{self, Credentials};
use crate::password::Password;
use crate::state::State;

/// `DELETE /internal/identities/{identity_id}`: the identity of a user who is gone.
pub async fn delete(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(id): Path<IdentityId>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["account"])?;
    let now = state.clock.now();
    let deleted = state
        .db
        .write(move |db| {
            let by = Entry {
                actor: &caller.service,
                actor_type: ActorType::Service,
                action: "identity.deleted",
                subject: id.as_str(),
                account_id: None,
                address: ClientAddress(None),
                details: Value::Null,
            };
            admin::remove_departed(db, &id, &by, now)
        })
        .await?;
    Ok(HttpResponse::Ok().json(IdentityDeleted { deleted }))
}

/// `GET /internal/identities/{identity_id}/record`: all that is kept of an identity but its secrets.
pub async fn record(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(id): Path<IdentityId>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["account"])?;
    let view = state
        .db
        .read(move |db| {
            let identity = store::find(db, &id)?.ok_or(AdminError::Unknown)?;
            Ok::<_, AdminError>(IdentityView::whole(db, identity)?)
        })
        .await?;
    Ok(HttpResponse::Ok().json(view))
}

/// `POST /internal/identities/{identity_id}/password`: whether this is hers.
pub async fn check_password(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(id): Path<IdentityId>,
    Json(body): Json<PasswordCheck>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["account"])?;
    let (identity, email) = state
        .db
        .read(move |db| {
            let identity = store::find(db, &id)?.ok_or(AdminError::Unknown)?;
            let providers = store::providers(db, &identity.id)?;
            let email = providers
                .into_iter()
                .find(|(provider, ..)| *provider == Provider::Emailpass)
                .map(|(_, email, _)| email);
            Ok::<_, AdminError>((identity, email))
        })
        .await?;
    let right = match credentials(&identity, email, &body) {
        Some(credentials) => emailpass::confirm(&state, &credentials).await?,
        None => false,
    };
    Ok(HttpResponse::Ok().json(PasswordChecked { right }))
}

fn credentials(
    identity: &Identity,
    email: Option<String>,
    body: &PasswordCheck,
) -> Option<Credentials> {
    Some(Credentials {
        realm: identity.realm.clone(),
        email: EmailAddress::parse(&email?).ok()?,
        password: Password::new(body.password.expose_secret()),
        actor: identity.actors.first().copied()?,
        address: ClientAddress(body.address),
    })
}
