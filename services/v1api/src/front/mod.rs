//! The way of every request: host, route, caller, upstream, count.
//!
//! A [`Worker`] belongs to one thread and shares nothing that it would have to wait for: it has
//! its own connections, its own copies of verified tokens and memberships, its own counts.

mod apps;
mod arrival;
mod catchall;
mod client;
mod meter;
mod outcome;
mod platform;
mod secure;
mod session;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody as _};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse};
use chassis::Context;
use chassis::http::{ApiError, Front};
use chassis::telemetry::TraceContext;
use common::problem::Problem;
use common::time::Time;
use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;

use crate::access_log::{AccessLog, Log, Note};
use crate::acme::{self, Acme};
use crate::edge::access::Access;
use crate::edge::cors::Cors;
use crate::edge::forward::ForwardSigner;
use crate::edge::guard::Guard;
use crate::edge::sessions::Sessions;
use crate::edge::tokens::Tokens;
use crate::health::{Ailing, Health};
use crate::hosts::{Hosts, Site};
use crate::limits::broker::Meters;
use crate::metrics::{Failures, Instances};
use crate::proxy::{ForwardError, Limits, Upstreams, grpc};
use crate::rules::Rules;
use crate::sleep::Waker;
use crate::table::Table;
use crate::usage::endpoints::Published;
use crate::usage::{self, Endpoints, Spent, Tallies, Tally};
use crate::view::View;
use arrival::{Arrival, authority, site};
pub(crate) use client::{Origin, Trusted};
use meter::{Entry, Inward, Kind, Metered, Metering};
use outcome::{Counted, Label, Outcome, answer_to, counted_as, refused_as};
pub(crate) use secure::Secure;

/// How often a worker looks for connections that have been unused for too long.
const SWEEP: Duration = Duration::from_secs(2);

/// What all workers of the gateway are made from.
#[derive(Clone)]
pub(crate) struct Gateway {
    /// The service's surroundings.
    pub(crate) context: Context,
    /// The hosts it answers on.
    pub(crate) hosts: Hosts,
    /// Who may call across origins.
    pub(crate) cors: Cors,
    /// The routes as they change.
    pub(crate) routes: watch::Receiver<Arc<Table>>,
    /// Waiting and keeping.
    pub(crate) limits: Limits,
    /// The longest body that is passed on.
    pub(crate) max_body: u64,
    /// Signs what upstreams get.
    pub(crate) signer: ForwardSigner,
    /// What is known of keys and limits beside what tokens say.
    pub(crate) rules: Rules,
    /// What is left of quotas.
    pub(crate) meters: Meters,
    /// Where calls are counted.
    pub(crate) tallies: Tallies,
    /// The endpoints that services publish, as they change.
    pub(crate) published: watch::Receiver<Arc<Published>>,
    /// The platform services' addresses, as `host:port`.
    pub(crate) services: HashMap<&'static str, Arc<str>>,
    /// Proxies in front.
    pub(crate) trusted: Trusted,
    /// What stands behind an app's label in its host, with the public port if there is one.
    pub(crate) apps_authority: String,
    /// What is known of the instances of services.
    pub(crate) health: Health,
    /// What workers tell of instances.
    pub(crate) instances: Instances,
    /// Requests that got no answer.
    pub(crate) failures: Arc<Failures>,
    /// Where calls are written down.
    pub(crate) access_log: AccessLog,
    /// The issuer of all tokens, which is also the default namespace.
    pub(crate) issuer: Arc<str>,
    /// Who is led to TLS, and who is told to stay there.
    pub(crate) secure: Secure,
    /// Who gets certificates, if anyone.
    pub(crate) acme: Option<Acme>,
    /// Has apps started that sleep.
    pub(crate) waker: Waker,
}

/// One thread's gateway.
pub(crate) struct Worker {
    gateway: Gateway,
    view: View<Table>,
    ailing: View<Ailing>,
    upstreams: Rc<Upstreams>,
    tokens: Tokens,
    sessions: Sessions,
    access: Access,
    guard: Guard,
    tally: Arc<Tally>,
    log: Option<Rc<Log>>,
    endpoints: Endpoints,
    turn: Cell<usize>,
}

/// Where a request goes.
enum Place {
    /// To an app.
    App(String),
    /// To nothing but what shows that a domain is meant to be served here.
    Shown(String),
    /// To the gateway's own routes.
    Own,
    /// Elsewhere on the platform's host.
    Platform(platform::What),
    /// To no host of ours.
    Nowhere(Problem),
    /// To where the same is by TLS.
    ByTls(String),
}

/// What is known of a call before its answer.
struct Ended {
    method: Method,
    began: Instant,
    inward: Inward,
    note: Option<Note>,
}

impl Worker {
    /// A worker of this gateway, for the thread that it is made on.
    pub(crate) fn new(gateway: &Gateway) -> Rc<Self> {
        let context = &gateway.context;
        let worker = Rc::new(Self {
            view: View::new(gateway.routes.clone()),
            ailing: gateway.health.view(),
            upstreams: Upstreams::new(gateway.limits, gateway.instances.clone()),
            tokens: Tokens::new(context.verifier.clone(), context.clock.clone()),
            sessions: Sessions::new(context.clone()),
            access: Access::new(context.clone()),
            guard: Guard::new(
                gateway.rules.clone(),
                gateway.meters.clone(),
                context.clock.clone(),
            ),
            tally: gateway.tallies.add(),
            log: gateway.access_log.of_worker(),
            endpoints: Endpoints::new(gateway.published.clone()),
            turn: Cell::new(0),
            gateway: gateway.clone(),
        });
        let upstreams = Rc::downgrade(&worker.upstreams);
        actix_web::rt::spawn(async move {
            while let Some(upstreams) = upstreams.upgrade() {
                upstreams.sweep(Instant::now());
                drop(upstreams);
                tokio::time::sleep(SWEEP).await;
            }
        });
        worker
    }

    async fn serve(
        self: Rc<Self>,
        request: ServiceRequest,
        inner: Next<BoxBody>,
    ) -> Result<ServiceResponse, actix_web::Error> {
        let began = Instant::now();
        let now = self.gateway.context.clock.now();
        let trace = TraceContext::of_request(request.headers(), now);
        let request_id = HeaderValue::from_str(&trace.request_id);
        let origin = self.gateway.trusted.origin(request.request());
        let is_grpc = grpc::is_call(request.request());
        let method = request.method().clone();
        let note = self.note(request.request(), now, &trace, &origin);
        let trip = note.as_ref().map(|note| Rc::clone(&note.trip));
        let (inward, request) = Inward::of(request);
        let secure = &self.gateway.secure;
        let shown = match self.challenged(request.request()) {
            Some((acme, host, token)) => Box::pin(acme.shown(&host, token)).await,
            None => None,
        };
        let place = match shown {
            Some(content) => Place::Shown(content),
            None => self.place(request.request()),
        };
        let place = match place {
            // What shows that a domain is served here is asked for before there is a certificate for it.
            place @ (Place::Shown(_) | Place::Nowhere(_)) => place,
            place => match secure.elsewhere(origin.scheme, request.request()) {
                Some(url) => Place::ByTls(url),
                None => place,
            },
        };
        let stays = match &place {
            Place::Own | Place::Platform(_) => secure.stays(origin.scheme),
            _ => None,
        };
        let answering = pin!(async {
            let (response, counted) = match place {
                // What is seldom waited for stands apart, so that what holds the others stays small.
                Place::Own => Box::pin(self.own(request, inner, &origin)).await?,
                place => {
                    let (request, payload) = request.into_parts();
                    let arrival = Arrival {
                        request: request.clone(),
                        payload,
                        origin,
                        trace: trace.clone(),
                        trip,
                    };
                    let (response, counted) = self.answer(place, arrival).await;
                    (ServiceResponse::new(request, response), counted)
                }
            };
            let response = if is_grpc {
                grpc::refuse(response)
            } else {
                response
            };
            let ended = Ended {
                method,
                began,
                inward,
                note,
            };
            Ok(self.count(counted, ended, response))
        });
        let answered: Result<ServiceResponse, actix_web::Error> =
            trace.clone().scope(answering).await;
        let mut response = answered?;
        if let Some(stays) = stays {
            response
                .headers_mut()
                .insert(header::STRICT_TRANSPORT_SECURITY, stays);
        }
        if let Ok(request_id) = request_id {
            response
                .headers_mut()
                .insert(HeaderName::from_static("x-request-id"), request_id);
        }
        Ok(response)
    }

    /// The host and the token, if a request may be that of a maker of certificates. Hosts that none is got
    /// for are told here, so that nobody makes the database work by names of her own.
    fn challenged<'a>(
        &'a self,
        request: &'a HttpRequest,
    ) -> Option<(&'a Acme, Cow<'a, str>, &'a str)> {
        let acme = self.gateway.acme.as_ref()?;
        let token = acme::token(request.uri().path())?;
        // One that can't be read isn't answered for; the rest of the way says so.
        site(&self.gateway.hosts, request).ok()?;
        let host = crate::hosts::host_name(authority(request)?).ok()?;
        let is_ours = acme.is_platform(&host) || self.view.now().has_domain(&host);
        is_ours.then_some((acme, host, token))
    }

    /// Decides by host, then by path.
    fn place(&self, request: &HttpRequest) -> Place {
        match site(&self.gateway.hosts, request) {
            Ok(Site::App(label)) => Place::App(label.into_owned()),
            Ok(Site::Platform) => platform::place(request),
            Ok(Site::Other(host)) => self.place_of_domain(&host, request.uri().path()),
            Err(bad) => Place::Nowhere(Problem::bad_request("bad_host", bad.0)),
        }
    }

    async fn answer(&self, place: Place, arrival: Arrival) -> (HttpResponse, Counted) {
        let outcome = match place {
            Place::App(label) => self.app(&label, arrival).await,
            Place::Platform(what) => return self.platform(what, arrival).await,
            Place::Shown(content) => apps::shown(content),
            Place::Nowhere(problem) => Outcome::refused(problem.into()),
            Place::ByTls(url) => secure::led(&url),
            Place::Own => Outcome::refused(Problem::not_found("route").into()),
        };
        (
            outcome.response.unwrap_or_else(|error| answer_to(&error)),
            outcome.counted,
        )
    }

    /// What is noted of a call when it comes, if calls are written down.
    fn note(
        &self,
        request: &HttpRequest,
        time: Time,
        trace: &TraceContext,
        origin: &Origin,
    ) -> Option<Note> {
        self.log.as_ref().map(|_| Note {
            time,
            trace: trace.clone(),
            host: authority(request).unwrap_or_default().to_owned(),
            client: origin.client,
            trip: Rc::default(),
        })
    }

    /// Counts a call, and writes it down; what its bodies come to, if that isn't known yet, when they
    /// have ended.
    fn count(&self, counted: Counted, ended: Ended, response: ServiceResponse) -> ServiceResponse {
        let Ended {
            method,
            began,
            inward,
            note,
        } = ended;
        let status = counted_as(&response);
        let kind = Kind {
            counted,
            status_class: u8::try_from(status.as_u16() / 100).unwrap_or(0),
            hour: usage::hour_of(self.gateway.context.clock.now()),
            method,
        };
        let outward = meter::short(&kind.method, response.response().body().size());
        let spent = Spent {
            time: began.elapsed(),
            bytes_in: inward.known(),
            bytes_out: outward.unwrap_or(0),
        };
        kind.with_call(|call| self.tally.count(call, &spent));
        let entry = self.log.as_ref().zip(note).map(|(log, note)| Entry {
            log: Rc::clone(log),
            note,
            began,
            status,
            refused: refused_as(&response),
        });
        if outward.is_some() && matches!(inward, Inward::Known(_)) {
            if let Some(entry) = entry {
                entry.tell(&kind, spent.bytes_in, spent.bytes_out);
            }
            return response;
        }
        let metered = Metering {
            tally: Arc::clone(&self.tally),
            kind,
            inward,
            outward,
            entry,
        };
        response.map_body(|_, body| BoxBody::new(Metered::new(body, metered)))
    }

    /// A request of this service that got no answer, as the client is told.
    fn failed(&self, service: &str, error: &ForwardError) -> ApiError {
        self.gateway.failures.count(service, error);
        apps::failed(error)
    }

    fn next_turn(&self) -> usize {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        turn
    }
}

impl Front for Worker {
    fn handle(
        self: Rc<Self>,
        request: ServiceRequest,
        inner: Next<BoxBody>,
    ) -> LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, actix_web::Error>> {
        Box::pin(self.serve(request, inner))
    }
}
