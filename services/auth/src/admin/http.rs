//! `/auth/admin/identities…`

use actix_web::{HttpResponse, web};
use chassis::auth::Admin;
use chassis::db::Db;
use chassis::http::{ApiError, ClientAddress, Json, Path, Query};
use common::id::IdentityId;
use common::page::PageQuery;
use common::problem::Problem;
use common::token::ActorType;
use serde::{Deserialize, Serialize};

use super::delete::DeleteError;
use super::view::IdentityView;
use super::{AdminError, Origin};
use crate::identities::{Identity, store};
use crate::medusa::{Medusa, slugged};
use crate::state::State;

/// Which identities to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// The beginning of their address; case doesn't matter.
    email: Option<String>,
    /// `platform`, or the id of somebody's own realm; all of them unless told.
    realm: Option<String>,
    /// How many entries, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// What is changed of an identity.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityChange {
    /// Whether it is kept from signing in. Its tokens and API keys end for good.
    disabled: bool,
}

/// How an identity is deleted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Deletion {
    /// Also where that leaves accounts without an owner, to be given another by an admin's invite.
    #[serde(default)]
    force: bool,
}

/// An identity in its singular name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct IdentityAnswer {
    identity: IdentityView,
}

/// A page of identities.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct IdentitiesAnswer {
    identities: Vec<IdentityView>,
    /// What to ask for as `after` to get the next page.
    next: Option<String>,
}

/// What was deleted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeletedIdentity {
    id: IdentityId,
    object: &'static str,
    deleted: bool,
}

/// Identities, newest first.
#[utoipa::path(
    get,
    path = "/auth/admin/identities",
    tag = "admin",
    params(Search),
    responses(
        (status = 200, description = "A page of identities", body = IdentitiesAnswer),
        (status = 403, description = "The caller is no admin"),
    ),
)]
pub async fn list(
    _: Medusa<Admin>,
    state: web::Data<State>,
    Medusa(Query(search)): Medusa<Query<Search>>,
) -> Result<HttpResponse, ApiError> {
    let page = PageQuery::new(search.limit, search.after);
    let wanted = store::Wanted {
        realm: parsed(
            search.realm.as_deref(),
            "`realm` is neither `platform` nor a realm's id",
        )?,
        email: search.email.as_deref().map(common::email::normal),
        after: parsed(page.after.as_deref(), "`after` is no cursor of this list")?,
    };
    let limit = page.fetch();
    let found = state
        .db
        .read(move |db| store::search(db, &wanted, limit))
        .await
        .map_err(failed)?;
    let views = found
        .into_iter()
        .map(|(identity, created_at, updated_at)| {
            IdentityView::brief(identity, created_at, updated_at)
        })
        .collect();
    let page = page.cut(views, |view| view.id().to_string());
    Ok(HttpResponse::Ok().json(IdentitiesAnswer {
        identities: page.items,
        next: page.next,
    }))
}

fn parsed<T: std::str::FromStr>(
    text: Option<&str>,
    why: &'static str,
) -> Result<Option<T>, ApiError> {
    text.map(str::parse)
        .transpose()
        .map_err(|_invalid| failed(Problem::bad_request("invalid_query", why)))
}

/// One identity: how it signs in, what it may act as, who it is. Never what it signs in by.
#[utoipa::path(
    get,
    path = "/auth/admin/identities/{identity_id}",
    tag = "admin",
    params(("identity_id" = IdentityId, Path)),
    responses(
        (status = 200, description = "The identity", body = IdentityAnswer),
        (status = 403, description = "The caller is no admin"),
        (status = 404, description = "No such identity"),
    ),
)]
pub async fn read(
    _: Medusa<Admin>,
    state: web::Data<State>,
    Medusa(Path(id)): Medusa<Path<IdentityId>>,
) -> Result<HttpResponse, ApiError> {
    answered(&state, move |db| {
        store::find(db, &id)?.ok_or(AdminError::Unknown)
    })
    .await
}

/// Keeps an identity from signing in, or lets it again. Disabling ends its tokens and API keys
/// everywhere within a second; enabling brings neither back.
#[utoipa::path(
    patch,
    path = "/auth/admin/identities/{identity_id}",
    tag = "admin",
    params(("identity_id" = IdentityId, Path)),
    request_body = IdentityChange,
    responses(
        (status = 200, description = "The identity", body = IdentityAnswer),
        (status = 409, description = "`last_admin`: nobody would be left who is an admin and can sign in"),
        (status = 403, description = "The caller is no admin"),
        (status = 404, description = "No such identity"),
    ),
)]
pub async fn change(
    Medusa(admin): Medusa<Admin>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Path(id)): Medusa<Path<IdentityId>>,
    Medusa(Json(body)): Medusa<Json<IdentityChange>>,
) -> Result<HttpResponse, ApiError> {
    let (origin, now) = (origin(admin, address), state.clock.now());
    answered(&state, move |db| {
        super::set_disabled(db, &id, body.disabled, &origin, now)
    })
    .await
}

/// Deletes an identity for good: with its user and her memberships, the invites and API keys she made,
/// and the realms she owns with whoever is in them. What belongs to accounts stays.
#[utoipa::path(
    delete,
    path = "/auth/admin/identities/{identity_id}",
    tag = "admin",
    params(("identity_id" = IdentityId, Path), Deletion),
    responses(
        (status = 200, description = "What was deleted", body = DeletedIdentity),
        (status = 409, description = "`last_admin`, or `last_owner`: accounts that would be left without an owner, named in `accounts`"),
        (status = 403, description = "The caller is no admin"),
        (status = 404, description = "No such identity"),
    ),
)]
pub async fn delete(
    Medusa(admin): Medusa<Admin>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Path(id)): Medusa<Path<IdentityId>>,
    Medusa(Query(how)): Medusa<Query<Deletion>>,
) -> Result<HttpResponse, ApiError> {
    super::delete::delete(&state, &id, how.force, origin(admin, address))
        .await
        .map_err(failed)?;
    Ok(HttpResponse::Ok().json(DeletedIdentity {
        id,
        object: "identity",
        deleted: true,
    }))
}

/// Ends what an identity is signed in by; its password is good for nothing until it has been reset, for
/// which a link goes to its address. API keys go on: they are no sign-in.
#[utoipa::path(
    post,
    path = "/auth/admin/identities/{identity_id}/force-reset",
    tag = "admin",
    params(("identity_id" = IdentityId, Path)),
    responses(
        (status = 200, description = "The identity", body = IdentityAnswer),
        (status = 409, description = "`last_admin`, or `no_password`: it signs in another way"),
        (status = 403, description = "The caller is no admin"),
        (status = 404, description = "No such identity"),
    ),
)]
pub async fn force_reset(
    Medusa(admin): Medusa<Admin>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Path(id)): Medusa<Path<IdentityId>>,
) -> Result<HttpResponse, ApiError> {
    let hash = state.hasher.unusable().map_err(ApiError::internal)?;
    let (origin, now) = (origin(admin, address), state.clock.now());
    let mailer = state.mail.clone();
    answered(&state, move |db| {
        mailer.wake();
        super::force_reset(db, &id, &hash, &origin, now)
    })
    .await
}

/// Lets an identity act as `euser` or `admin`.
#[utoipa::path(
    put,
    path = "/auth/admin/identities/{identity_id}/actors/{actor}",
    tag = "admin",
    params(("identity_id" = IdentityId, Path), ("actor" = String, Path, example = "admin")),
    responses(
        (status = 200, description = "The identity", body = IdentityAnswer),
        (status = 409, description = "`other_realm`: it is one of somebody's own realm"),
        (status = 403, description = "The caller is no admin"),
        (status = 404, description = "No such identity"),
    ),
)]
pub async fn grant(
    Medusa(admin): Medusa<Admin>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Path((id, actor))): Medusa<Path<(IdentityId, String)>>,
) -> Result<HttpResponse, ApiError> {
    let actor = grantable(&actor)?;
    let (origin, now) = (origin(admin, address), state.clock.now());
    answered(&state, move |db| super::grant(db, &id, actor, &origin, now)).await
}

/// Takes an actor type from an identity. Its tokens end at once; without `euser` its API keys do, too.
#[utoipa::path(
    delete,
    path = "/auth/admin/identities/{identity_id}/actors/{actor}",
    tag = "admin",
    params(("identity_id" = IdentityId, Path), ("actor" = String, Path, example = "admin")),
    responses(
        (status = 200, description = "The identity", body = IdentityAnswer),
        (status = 409, description = "`last_admin`: nobody would be left who is an admin and can sign in"),
        (status = 403, description = "The caller is no admin"),
        (status = 404, description = "No such identity"),
    ),
)]
pub async fn withdraw(
    Medusa(admin): Medusa<Admin>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Path((id, actor))): Medusa<Path<(IdentityId, String)>>,
) -> Result<HttpResponse, ApiError> {
    let actor = grantable(&actor)?;
    let (origin, now) = (origin(admin, address), state.clock.now());
    answered(&state, move |db| {
        super::withdraw(db, &id, actor, &origin, now)
    })
    .await
}

fn grantable(actor: &str) -> Result<ActorType, ApiError> {
    match actor.parse() {
        Ok(actor @ (ActorType::Euser | ActorType::Admin)) => Ok(actor),
        Ok(ActorType::Service) | Err(_) => Err(failed(Problem::not_found("actor"))),
    }
}

pub(super) fn origin(admin: Admin, address: ClientAddress) -> Origin {
    Origin {
        claims: admin.claims,
        address,
    }
}

/// Runs an act in a transaction, and answers with the identity as it is after it.
pub(super) async fn answered<F>(state: &State, act: F) -> Result<HttpResponse, ApiError>
where
    F: FnOnce(&mut Db) -> Result<Identity, AdminError> + Send + 'static,
{
    let identity = state
        .db
        .write(move |db| {
            let identity = act(db)?;
            Ok::<_, AdminError>(IdentityView::whole(db, identity)?)
        })
        .await
        .map_err(failed)?;
    Ok(HttpResponse::Ok().json(IdentityAnswer { identity }))
}

pub(super) fn failed(error: impl Into<ApiError>) -> ApiError {
    slugged(error.into())
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Unknown => Problem::not_found("identity").into(),
            AdminError::LastAdmin => Problem::conflict(
                "last_admin",
                "Nobody else is an admin who can sign in; make somebody one first",
            )
            .into(),
            AdminError::OtherRealm => Problem::conflict(
                "other_realm",
                "People of somebody's own realm act as nothing of the platform's",
            )
            .into(),
            AdminError::NoPassword => {
                Problem::conflict("no_password", "The identity signs in without a password").into()
            }
            AdminError::Db(error) => error.into(),
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Refused(error) => error.into(),
            DeleteError::LastOwner(problem) => (*problem).into(),
            DeleteError::Call(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_decides_status_and_code() {
        let told = |error: AdminError| {
            let error = ApiError::from(error);
            (error.problem().status, error.problem().code.to_string())
        };
        assert_eq!(told(AdminError::Unknown), (404, "not_found".into()));
        assert_eq!(told(AdminError::LastAdmin), (409, "last_admin".into()));
        assert_eq!(told(AdminError::OtherRealm), (409, "other_realm".into()));
        assert_eq!(told(AdminError::NoPassword), (409, "no_password".into()));
    }

    #[test]
    fn nobody_is_made_a_service() {
        assert!(grantable("admin").is_ok() && grantable("euser").is_ok());
        assert!(grantable("service").is_err() && grantable("root").is_err());
    }
}
