//! `/v1/realms`

use actix_web::{HttpResponse, web};
use chassis::audit::{self, Entry};
use chassis::auth::{ApiCaller, ServiceCaller};
use chassis::http::{ApiError, ClientAddress, Json, Path, Query};
use chassis::{Context, members};
use common::api::auth::{RealmChoice, RealmOf};
use common::id::{AccountId, RealmId};
use common::names::DisplayName;
use common::page::PageQuery;
use common::problem::Problem;
use common::role::Role;
use common::scope::{Resource, Scope, Verb};
use common::time::Time;
use diesel::result::Error;
use serde::{Deserialize, Serialize};

use super::access::{Seeker, reach, reached, require};
use super::{MOST_REALMS, OwnRealm, store};
use crate::password::Policy;
use crate::state::State;

/// A realm to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRealm {
    /// Its name, for people to read: 1 to 100 characters.
    name: DisplayName,
    /// The account that shall own it; without it, the caller does.
    account_id: Option<AccountId>,
    /// Which passwords are accepted, where not as on the platform.
    password_policy: Option<Policy>,
}

/// A realm's fields to be changed; those that aren't there stay.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RealmChange {
    /// Its name.
    name: Option<DisplayName>,
    /// Which passwords are accepted from now on.
    password_policy: Option<Policy>,
}

/// A realm.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RealmView {
    id: RealmId,
    name: DisplayName,
    account_id: Option<AccountId>,
    password_policy: Option<Policy>,
    created_at: Time,
}

/// A realm in its singular name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RealmAnswer {
    realm: RealmView,
}

/// A page of realms.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RealmsAnswer {
    realms: Vec<RealmView>,
    /// What to ask for as `after` to get the next page.
    next: Option<String>,
}

impl From<OwnRealm> for RealmView {
    fn from(realm: OwnRealm) -> Self {
        Self {
            id: realm.id,
            name: realm.name,
            account_id: realm.account_id,
            password_policy: realm.password_policy,
            created_at: realm.created_at,
        }
    }
}

fn read() -> Scope {
    Scope::Platform(Resource::Realms, Verb::Read)
}

fn write() -> Scope {
    Scope::Platform(Resource::Realms, Verb::Write)
}

/// Makes a realm: a set of people of one's own, apart from the platform's and from every other realm's.
#[utoipa::path(
    post,
    path = "/v1/realms",
    tag = "realms",
    request_body = NewRealm,
    responses(
        (status = 201, description = "The realm", body = RealmAnswer),
        (status = 403, description = "The role in the account is too low"),
        (status = 404, description = "No such account of the caller's"),
        (status = 409, description = "The caller has made too many"),
    ),
)]
pub async fn create(
    caller: ApiCaller,
    context: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Json(body): Json<NewRealm>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&write())?;
    let seeker = Seeker::of(&caller.claims)?;
    let account_id = body.account_id.or_else(|| seeker.confined.clone());
    if let Some(account) = &account_id {
        let role = seeker.role(&context, account, Role::Developer).await?;
        require(
            role.ok_or_else(|| Problem::not_found("account"))?,
            Role::Developer,
        )?;
    }
    let now = state.clock.now();
    let realm = OwnRealm {
        id: RealmId::new(now),
        owner_id: seeker.identity,
        account_id,
        name: body.name,
        password_policy: body.password_policy,
        created_at: now,
    };
    let (kept, claims) = (realm.clone(), caller.claims);
    let made = state
        .db
        .write(move |db| {
            chassis::db::lock(db, &format!("realms:{}", kept.owner_id))?;
            if store::count_of(db, &kept.owner_id)? >= MOST_REALMS {
                return Ok(false);
            }
            store::insert(db, &kept)?;
            let entry = Entry::by(&claims, "realm.created", kept.id.as_str(), address);
            audit::record(db, &entry, now)?;
            Ok::<_, Error>(true)
        })
        .await?;
    if !made {
        let detail = format!("You have made {MOST_REALMS} realms already");
        return Err(Problem::conflict("too_many_realms", detail).into());
    }
    Ok(HttpResponse::Created().json(RealmAnswer {
        realm: realm.into(),
    }))
}

/// One's own realms, and those of one's accounts, newest first.
#[utoipa::path(
    get,
    path = "/v1/realms",
    tag = "realms",
    params(PageQuery),
    responses((status = 200, description = "A page of realms", body = RealmsAnswer)),
)]
pub async fn list(
    caller: ApiCaller,
    state: web::Data<State>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&read())?;
    let (seeker, asked) = (Seeker::of(&caller.claims)?, page.clone());
    let rows = state
        .db
        .read(move |db| {
            let mut accounts = match &seeker.user {
                Some(user) => members::accounts_of(db, user)?,
                None => Vec::new(),
            };
            let confined = seeker.confined.as_ref();
            accounts.retain(|(account, _)| confined.is_none_or(|own| own == account));
            let accounts: Vec<_> = accounts.into_iter().map(|(account, _)| account).collect();
            let owner = confined.is_none().then_some(&seeker.identity);
            store::list(db, owner, &accounts, &asked)
        })
        .await?;
    let page = page.cut(rows, |realm| realm.id.to_string());
    Ok(HttpResponse::Ok().json(RealmsAnswer {
        realms: page.items.into_iter().map(RealmView::from).collect(),
        next: page.next,
    }))
}

/// One realm.
#[utoipa::path(
    get,
    path = "/v1/realms/{realm_id}",
    tag = "realms",
    params(("realm_id" = RealmId, Path)),
    responses(
        (status = 200, description = "The realm", body = RealmAnswer),
        (status = 404, description = "None that the caller reaches"),
    ),
)]
pub async fn get(
    caller: ApiCaller,
    context: web::Data<Context>,
    state: web::Data<State>,
    Path(id): Path<RealmId>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&read())?;
    let seeker = Seeker::of(&caller.claims)?;
    let realm = reach(&context, &state, &seeker, &id, Role::Viewer).await?;
    Ok(HttpResponse::Ok().json(RealmAnswer {
        realm: realm.into(),
    }))
}

/// Gives a realm another name or password policy; passwords that are in use stay.
#[utoipa::path(
    patch,
    path = "/v1/realms/{realm_id}",
    tag = "realms",
    params(("realm_id" = RealmId, Path)),
    request_body = RealmChange,
    responses(
        (status = 200, description = "The realm", body = RealmAnswer),
        (status = 403, description = "The role in the account is too low"),
        (status = 404, description = "None that the caller reaches"),
    ),
)]
pub async fn change(
    caller: ApiCaller,
    context: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Path(id): Path<RealmId>,
    Json(body): Json<RealmChange>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&write())?;
    let seeker = Seeker::of(&caller.claims)?;
    let mut realm = reach(&context, &state, &seeker, &id, Role::Developer).await?;
    realm.name = body.name.unwrap_or(realm.name);
    realm.password_policy = body.password_policy.or(realm.password_policy);
    let (kept, claims, now) = (realm.clone(), caller.claims, state.clock.now());
    state
        .db
        .write(move |db| {
            store::update(db, &kept.id, &kept.name, kept.password_policy)?;
            let entry = Entry::by(&claims, "realm.changed", kept.id.as_str(), address);
            audit::record(db, &entry, now)
        })
        .await?;
    Ok(HttpResponse::Ok().json(RealmAnswer {
        realm: realm.into(),
    }))
}

/// `POST /internal/realms/choose`: the realm that a key to be made will name: the one that was asked
/// for, if its maker may use it, else the maker's first.
pub async fn choose(
    caller: ServiceCaller,
    context: web::Data<Context>,
    state: web::Data<State>,
    Json(body): Json<RealmChoice>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["v1api"])?;
    let seeker = Seeker {
        identity: body.identity_id,
        user: Some(body.user_id),
        confined: body.account_id,
    };
    let realm_id = match body.realm_id {
        Some(id) => reached(&context, &state, &seeker, &id, Role::Developer)
            .await?
            .map(|realm| realm.id),
        None => {
            state
                .db
                .read(move |db| match &seeker.confined {
                    Some(account) => store::first_of_account(db, account),
                    None => store::first_of(db, &seeker.identity),
                })
                .await?
        }
    };
    Ok(HttpResponse::Ok().json(RealmOf { realm_id }))
}
