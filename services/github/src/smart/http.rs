//! The three routes of the protocol, for the repositories that this service keeps.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use chassis::Context;
use chassis::http::ApiError;
use common::names::{RepoName, RepoOwner};
use common::problem::Problem;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::Body;
use super::caller::{Caller, Wish, authorise};
use super::refusal::Refusal;
use super::relay::{answer, relay};
use crate::State;
use crate::git::{Outcome, Service, Step};
use crate::state::Presence;

/// How long a request waits for its turn.
const WAIT: Duration = Duration::from_secs(30);
/// How long telling what a repository has may take.
const ADVERTISE_LIMIT: Duration = Duration::from_mins(1);
/// The most that a client may send to say what it wants and has, in bytes.
const FETCH_BODY: u64 = 64 << 20;
/// How much a push may send besides its pack, in bytes: the names of what it changes.
const PUSH_NAMES: u64 = 16 << 20;

/// Which service a client is about to use; none is the protocol of before 2010.
#[derive(Debug, Deserialize)]
pub(crate) struct InfoRefsQuery {
    service: Option<String>,
}

/// What a repository has: the beginning of each fetch and push.
pub(crate) async fn info_refs(
    request: HttpRequest,
    context: web::Data<Context>,
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    query: web::Query<InfoRefsQuery>,
) -> Result<HttpResponse, Refusal> {
    let (owner, repo) = names(&path)?;
    let service = query
        .service
        .as_deref()
        .and_then(Service::parse)
        .ok_or_else(|| {
            Problem::forbidden(
                "dumb_http",
                "Only Git's smart HTTP protocol is spoken here; a newer Git client speaks it.",
            )
        })?;
    let wish = wish(service);
    let caller = authorise(&context, &request, (&owner, &repo), wish).await?;
    let repository = match state.find(caller.account(), &owner, &repo).await? {
        Presence::There(repository) => repository,
        // The push that follows makes it.
        Presence::Missing if wish == Wish::Push => state.empty.clone(),
        Presence::Missing | Presence::Closed => return Err(Refusal::no_repository()),
    };
    let permit = turn(&state.permits).await?;
    let version = protocol_version(&request, service);
    let exchange = state
        .git
        .serve(
            &repository,
            (service, Step::Advertise),
            version,
            ADVERTISE_LIMIT,
            async move { drop(permit) },
        )
        .map_err(Refusal::git)?;
    exchange.input.finish().await;
    let preamble = match version {
        Some(2) => Vec::new(),
        _ => vec![preamble(service)],
    };
    let content_type = format!("application/x-{}-advertisement", service.name());
    answer_after(preamble, exchange.output, exchange.outcome, &content_type).await
}

/// Puts the protocol's first line before what git says, once git has said something.
async fn answer_after(
    mut preamble: Vec<Bytes>,
    mut output: tokio::sync::mpsc::Receiver<Bytes>,
    outcome: tokio::sync::oneshot::Receiver<Outcome>,
    content_type: &str,
) -> Result<HttpResponse, Refusal> {
    if let Some(first) = output.recv().await {
        preamble.push(first);
        return answer(preamble, output, outcome, content_type).await;
    }
    answer(Vec::new(), output, outcome, content_type).await
}

/// A fetch's negotiation and its objects.
pub(crate) async fn upload_pack(
    request: HttpRequest,
    context: web::Data<Context>,
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    let (owner, repo) = names(&path)?;
    let service = Service::UploadPack;
    let caller = authorise(&context, &request, (&owner, &repo), Wish::Fetch).await?;
    check_content_type(&request, service)?;
    let Presence::There(repository) = state.find(caller.account(), &owner, &repo).await? else {
        return Err(Refusal::no_repository());
    };
    let body = Body::new(&request, payload, FETCH_BODY)?;
    let permit = turn(&state.permits).await?;
    let version = protocol_version(&request, service);
    let exchange = state
        .git
        .serve(
            &repository,
            (service, Step::Exchange),
            version,
            state.fetch_limit,
            async move { drop(permit) },
        )
        .map_err(Refusal::git)?;
    relay(exchange, body, "application/x-git-upload-pack-result").await
}

/// A push: its names and its pack.
pub(crate) async fn receive_pack(
    request: HttpRequest,
    context: web::Data<Context>,
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    let (owner, repo) = names(&path)?;
    let service = Service::ReceivePack;
    let caller = authorise(&context, &request, (&owner, &repo), Wish::Push).await?;
    let Caller::Member(account, user) = caller else {
        return Err(Refusal::no_repository());
    };
    check_content_type(&request, service)?;
    // Git itself refuses a pack over the limit, with a message that the client shows; so that it
    // does, somewhat more is taken.
    let body = Body::new(
        &request,
        payload,
        state
            .push_limit
            .saturating_mul(2)
            .saturating_add(PUSH_NAMES),
    )?;
    if state.is_closed(&account).await? {
        return Err(Refusal::no_repository());
    }
    let permit = turn(&state.permits).await?;
    let (push, repository) = state.pushing.begin(&account, &repo, &user).await?;
    let pushing = state.pushing.clone();
    let after = async move {
        pushing.end(push).await;
        drop(permit);
    };
    let exchange = state
        .git
        .serve(
            &repository,
            (service, Step::Exchange),
            None,
            state.push_time_limit,
            after,
        )
        .map_err(Refusal::git)?;
    relay(exchange, body, "application/x-git-receive-pack-result").await
}

fn wish(service: Service) -> Wish {
    match service {
        Service::UploadPack => Wish::Fetch,
        Service::ReceivePack => Wish::Push,
    }
}

fn names(path: &(String, String)) -> Result<(RepoOwner, RepoName), Refusal> {
    match (RepoOwner::parse(&path.0), RepoName::parse(&path.1)) {
        (Ok(owner), Ok(repo)) => Ok((owner, repo)),
        // Names that can't be have no repository.
        _ => Err(Refusal::no_repository()),
    }
}

/// The first line of an advertisement, and the flush after it.
fn preamble(service: Service) -> Bytes {
    let line = format!("# service={}\n", service.name());
    Bytes::from(format!("{:04x}{line}0000", line.len() + 4))
}

/// The protocol's version that the client asks for; pushes know the first only.
fn protocol_version(request: &HttpRequest, service: Service) -> Option<u8> {
    let asked = request.headers().get("git-protocol")?.to_str().ok()?;
    if service == Service::ReceivePack {
        return None;
    }
    asked.split(':').find_map(|part| match part {
        "version=2" => Some(2),
        "version=1" => Some(1),
        _ => None,
    })
}

fn check_content_type(request: &HttpRequest, service: Service) -> Result<(), Refusal> {
    let expected = format!("application/x-{}-request", service.name());
    let given = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if given == Some(expected.as_str()) {
        return Ok(());
    }
    Err(Problem::new(
        415,
        "unsupported_media_type",
        format!("The body is to be of type {expected}."),
    )
    .into())
}

async fn turn(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
    match tokio::time::timeout(WAIT, Arc::clone(permits).acquire_owned()).await {
        Ok(permit) => permit.map_err(|closed| ApiError::internal(closed).into()),
        Err(_elapsed) => Err(Problem::unavailable(
            "busy",
            "Too many pushes and fetches are under way; try again soon.",
        )
        .into()),
    }
}
