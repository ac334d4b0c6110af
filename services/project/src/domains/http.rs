//! The routes of domains.

use actix_web::{HttpResponse, web};
use chassis::auth::scope::{EnvironmentsRead, EnvironmentsWrite};
use chassis::auth::{AccountMember, Developer, Viewer};
use chassis::http::{ApiError, ClientAddress, Json, Path, Query};
use common::api::v1api::CertificateStanding;
use common::id::{AccountId, EnvironmentId};
use common::names::DomainName;
use common::page::PageQuery;
use common::problem::Problem;
use common::time::{Span, Time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::certificate::Certificates;
use super::{Domain, DomainError, DomainStatus, MOST, Method, RECORD_PREFIX, store};
use crate::State;
use crate::answer::{Actor, Deleted, after, invalid};
use crate::environments::{self, EnvironmentError};
use crate::paths::{DomainPath, EnvironmentPath};

impl From<DomainError> for ApiError {
    fn from(error: DomainError) -> Self {
        match error {
            DomainError::NotFound => Problem::not_found("domain").into(),
            DomainError::Exists => {
                Problem::conflict("domain_exists", "The environment has this domain already").into()
            }
            DomainError::InUse => Problem::conflict("domain_in_use", "The domain is in use").into(),
            DomainError::TooMany => Problem::conflict(
                "too_many_domains",
                format!("An environment has at most {MOST} domains"),
            )
            .into(),
            DomainError::TooSoon(left) => {
                let seconds = u32::try_from(left.num_seconds()).unwrap_or(u32::MAX);
                let detail = "The domain was checked a moment ago";
                Problem::new(429, "checked_just_now", detail)
                    .retry_after(seconds.saturating_add(1))
                    .into()
            }
            DomainError::NotShown(missing) => {
                let detail = format!("Nothing shows that the domain is yours: {missing}");
                Problem::unprocessable("domain_not_verified", detail).into()
            }
            DomainError::Environment(error) => error.into(),
            DomainError::Db(error) => error.into(),
        }
    }
}

/// A domain of one's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClaimDomain {
    /// `shop.example`; letters of any script. Not the platform's own, nor a registry's.
    domain: String,
}

/// A TXT record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordView {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    value: String,
}

/// A file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileView {
    url: String,
    content: String,
}

/// What shows that a domain is one's own: one of them is enough.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChallengeView {
    dns: RecordView,
    file: FileView,
}

/// A domain as a caller sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainView {
    domain: DomainName,
    account_id: AccountId,
    environment_id: EnvironmentId,
    /// Where the environment is reached, once the domain is verified and leads here.
    url: String,
    status: DomainStatus,
    /// By what it was shown last.
    method: Option<Method>,
    challenge: ChallengeView,
    /// Why the last check failed.
    problem: Option<String>,
    created_at: Time,
    checked_at: Option<Time>,
    verified_at: Option<Time>,
    /// Since when nothing shows it. It is served for a while yet.
    failing_since: Option<Time>,
    /// How it stands with its certificate, where the gateway gets one. Told when one asks for a domain or for a
    /// list of them.
    certificate: Option<CertificateStanding>,
}

impl DomainView {
    fn new(claim: Domain, state: &State) -> Self {
        let challenge = ChallengeView {
            dns: RecordView {
                name: format!("{RECORD_PREFIX}{}", claim.domain),
                kind: "TXT",
                value: claim.proof.clone(),
            },
            file: FileView {
                url: state.domains.checker.file_url(&claim),
                content: claim.proof.clone(),
            },
        };
        Self {
            url: state.urls.of_domain(claim.domain.as_str()),
            domain: claim.domain,
            account_id: claim.account_id,
            environment_id: claim.environment_id,
            status: claim.status,
            method: claim.method,
            challenge,
            problem: claim.problem,
            created_at: claim.created_at,
            checked_at: claim.checked_at,
            verified_at: claim.verified_at,
            failing_since: claim.failing_since,
            certificate: None,
        }
    }

    /// The same with what the gateway says of its certificate.
    fn certified(mut self, certificates: &Certificates) -> Self {
        self.certificate = certificates.standing(self.domain.as_str());
        self
    }
}

/// A domain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainBody {
    domain: DomainView,
}

/// Domains, in the order of their names.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainsBody {
    domains: Vec<DomainView>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

fn show(claim: Domain, state: &State) -> DomainBody {
    DomainBody {
        domain: DomainView::new(claim, state),
    }
}

/// The domain that a path names. A text that can't be one names none that is there.
fn named(state: &State, path: &DomainPath) -> Result<DomainName, DomainError> {
    let parsed = state.domains.reserved.parse(&path.domain);
    parsed.map_err(|_why| DomainError::NotFound)
}

/// List an environment's domains
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/domains",
    tag = "domains", params(EnvironmentPath, PageQuery), responses((status = 200, description = "A page of domains", body = DomainsBody)),
)]
pub(crate) async fn list(
    member: AccountMember<Viewer, EnvironmentsRead>,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
    Query(page): Query<PageQuery>,
) -> Result<web::Json<DomainsBody>, ApiError> {
    let cursor = after::<DomainName>(&page)?;
    let fetch = page.fetch();
    let environment = path.environment_id.clone();
    let rows = state
        .db
        .read(move |db| {
            let environment = environments::store::find(
                db,
                &member.account_id,
                &path.project_id,
                &path.environment_id,
            )?;
            let environment = environment.ok_or(EnvironmentError::NotFound)?;
            let rows = store::page(db, &environment.id, cursor.as_ref(), fetch)?;
            Ok::<_, DomainError>(rows)
        })
        .await?;
    // Only now: whose environment it is has been looked at.
    let certificates = Certificates::of(&state.calls, &environment).await;
    let page = page
        .cut(rows, |claim| claim.domain.to_string())
        .map(|claim| DomainView::new(claim, &state).certified(&certificates));
    Ok(web::Json(DomainsBody {
        domains: page.items,
        next: page.next,
    }))
}

/// Name a domain of one's own
///
/// It is served once it has been verified: put up one of the two that `challenge` names, then verify.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/domains",
    tag = "domains", params(EnvironmentPath), responses(
        (status = 201, description = "The domain, and what shows that it is yours", body = DomainBody),
        (status = 409, description = "`domain_exists`, `domain_in_use` or `too_many_domains`"),
    ),
)]
pub(crate) async fn claim(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
    Json(body): Json<ClaimDomain>,
) -> Result<HttpResponse, ApiError> {
    let domain = state.domains.reserved.parse(&body.domain);
    let domain = domain.map_err(|why| invalid("domain", why))?;
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let claim = state
        .db
        .write(move |db| {
            let environment = environments::locked(db, &actor.account_id, &path)?;
            let claim = super::claim(db, &environment, domain, now)?;
            let details = json!({ "domain": claim.domain });
            actor.record(db, "domain.claimed", environment.id.as_str(), details, now)?;
            Ok::<_, DomainError>(claim)
        })
        .await?;
    Ok(HttpResponse::Created().json(show(claim, &state)))
}

/// Look at a domain
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/domains/{domain}",
    tag = "domains", params(DomainPath), responses((status = 200, description = "The domain", body = DomainBody)),
)]
pub(crate) async fn get(
    member: AccountMember<Viewer, EnvironmentsRead>,
    state: web::Data<State>,
    Path(path): Path<DomainPath>,
) -> Result<web::Json<DomainBody>, ApiError> {
    let domain = named(&state, &path);
    let environment = path.environment_id.clone();
    let claim = state
        .db
        .read(move |db| {
            let environment = environments::store::find(
                db,
                &member.account_id,
                &path.project_id,
                &path.environment_id,
            )?;
            let environment = environment.ok_or(EnvironmentError::NotFound)?;
            store::find(db, &environment.id, &domain?)?.ok_or(DomainError::NotFound)
        })
        .await?;
    let certificates = Certificates::of(&state.calls, &environment).await;
    let domain = DomainView::new(claim, &state).certified(&certificates);
    Ok(web::Json(DomainBody { domain }))
}

/// Take a domain away
///
/// It is served no more at once.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/domains/{domain}",
    tag = "domains", params(DomainPath), responses((status = 200, description = "It is gone", body = Deleted)),
)]
pub(crate) async fn remove(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<DomainPath>,
) -> Result<web::Json<Deleted>, ApiError> {
    let domain = named(&state, &path);
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let domain = state
        .db
        .write(move |db| {
            let environment = environments::locked(db, &actor.account_id, &path.environment())?;
            let found = store::find(db, &environment.id, &domain?)?;
            let claim = found.ok_or(DomainError::NotFound)?;
            super::remove(db, &claim, now)?;
            let details = json!({ "domain": claim.domain });
            actor.record(db, "domain.removed", environment.id.as_str(), details, now)?;
            Ok::<_, DomainError>(claim.domain)
        })
        .await?;
    tracing::info!(%domain, "a domain was taken away");
    Ok(web::Json(Deleted::new("domain", domain)))
}

/// Verify a domain
///
/// Looks for the record and the file that its `challenge` names. Verified, it is served at once, and
/// looked at again from time to time.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/domains/{domain}/verify",
    tag = "domains", params(DomainPath), responses(
        (status = 200, description = "It is verified", body = DomainBody),
        (status = 409, description = "`domain_in_use`: somebody has verified it"),
        (status = 422, description = "`domain_not_verified`: neither is there; `detail` says what was found"),
        (status = 429, description = "`checked_just_now`"),
    ),
)]
pub(crate) async fn verify(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<DomainPath>,
) -> Result<web::Json<DomainBody>, ApiError> {
    let domain = named(&state, &path);
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let pause = Span::from_std(state.domains.settings.pause.0).unwrap_or_default();
    let account = actor.account_id.clone();
    let claim = state
        .db
        .write(move |db| {
            let environment = environments::locked(db, &account, &path.environment())?;
            super::begin_check(db, &environment.id, &domain?, pause, now)
        })
        .await?;
    // Nothing is held while others are asked.
    let found = state.domains.checker.find(&claim).await;
    let missing = found.as_ref().err().cloned();
    let (pace, now) = (state.domains.settings.pace(), state.clock.now());
    let claim = state
        .db
        .write(move |db| {
            let shown = found.is_ok();
            let settled = super::settle(db, &claim, found, pace, now)?;
            if shown && claim.status != DomainStatus::Verified {
                let details = json!({ "domain": settled.domain, "method": settled.method });
                let subject = settled.environment_id.as_str();
                actor.record(db, "domain.verified", subject, details, now)?;
            }
            Ok::<_, DomainError>(settled)
        })
        .await?;
    if let Some(missing) = missing {
        return Err(DomainError::NotShown(missing).into());
    }
    tracing::info!(domain = %claim.domain, environment.id = %claim.environment_id, "a domain was verified");
    Ok(web::Json(show(claim, &state)))
}
