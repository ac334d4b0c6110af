//! Requests to an app's own host: the app owns all paths there, and everything that is sent to it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderValue};
use chassis::http::ApiError;
use common::problem::Problem;
use tokio::time::Instant;

use super::{Arrival, Counted, Label, Outcome, Place, Worker, answer_to};
use crate::proxy::headers::Policy;
use crate::proxy::{ForwardError, Outgoing, Plan};
use crate::sleep::{Activity, held_open};
use crate::table::{AppRoute, Service, Table};

/// How long a request waits at most for an instance that is on its way.
const LONGEST_HOLD: Duration = Duration::from_secs(10);
/// How often an instance that is on its way, and known, is tried.
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// When to come back to an app that runs nothing.
const RETRY_AFTER: u32 = 5;
/// When to come back to an app in maintenance, which people are at work on.
const RETRY_AFTER_MAINTENANCE: u32 = 120;

/// Where the file is that shows that a domain is meant to be served here.
const CHALLENGE: &str = "/.well-known/slipway-challenge/";

impl Worker {
    /// Decides for a host that isn't the platform's: it may be an account's own.
    pub(super) fn place_of_domain(&self, host: &str, path: &str) -> Place {
        let table = self.view.now();
        let Some((domain, app)) = table.domain(host) else {
            let detail = "This host is not served here";
            return Place::Nowhere(Problem::new(421, "misdirected_request", detail));
        };
        // A domain that leads here goes on being proved, whatever its app knows of that.
        if path.strip_prefix(CHALLENGE) == Some(domain.challenge.name.as_str()) {
            return Place::Shown(domain.challenge.content.clone());
        }
        Place::App(app.label.clone())
    }

    /// Answers for an app.
    pub(super) async fn app(&self, label: &str, arrival: Arrival) -> Outcome {
        let wants_page = wants_page(&arrival);
        let known = self.view.now().app(label).is_some();
        let mut response = self.pass_to_app(label, arrival).await;
        if wants_page && let Err(error) = response {
            response = Ok(page(&error));
        }
        // Made-up labels don't become services of their own.
        let counted = if known {
            Counted {
                service: Label::Shared(app_label(label)),
                endpoint: "*".into(),
                known: None,
            }
        } else {
            Counted::default()
        };
        Outcome { response, counted }
    }

    async fn pass_to_app(&self, label: &str, arrival: Arrival) -> Result<HttpResponse, ApiError> {
        let find = |table: &Table| table.app(label).cloned();
        if find(&self.view.now()).is_none() {
            return Err(unknown_app());
        }
        let target = arrival.request.uri().path_and_query();
        let target = target.map_or("/", |target| target.as_str());
        let plan = Plan {
            head: arrival.head(target, arrival.authority(), Policy::App, None)?,
            policy: Policy::App,
            max_body: self.gateway.max_body,
            max_response_body: None,
            patience: None,
            own_host: false,
            trip: arrival.trip.clone(),
        };
        let mut outgoing = Outgoing::new(&arrival.request, arrival.payload, plan)
            .map_err(|error| failed(&error))?;
        self.reach(find, None, &mut outgoing).await
    }

    /// Sends a request to whichever instance is there; waits for one while one is on its way.
    /// Nothing that was sent is sent again. Instances that have failed the checks of this service get
    /// none.
    pub(super) async fn reach(
        &self,
        find: impl Fn(&Table) -> Option<Arc<AppRoute>>,
        service: Option<&Service>,
        outgoing: &mut Outgoing,
    ) -> Result<HttpResponse, ApiError> {
        let deadline = Instant::now() + LONGEST_HOLD;
        let mut open = None;
        let mut waiting = None;
        loop {
            let table = self.view.now();
            let mut changes = self.view.changes();
            let route = find(&table).ok_or_else(unknown_app)?;
            if route.maintenance {
                return Err(in_maintenance());
            }
            if open.is_none() {
                open = route.activity.as_ref().map(Activity::open);
            }
            if route.origins.is_empty() && route.asleep {
                if waiting.is_none() {
                    waiting = Some(self.gateway.waker.wait(&route.environment_id)?);
                }
                if let Some(waiting) = &mut waiting {
                    waiting.for_news(&mut changes).await?;
                }
                continue;
            }
            let error = if route.origins.is_empty() {
                Unanswered::NotDeployed
            } else {
                let left_out = service.and_then(|service| self.left_out(service));
                let (pool, turn) = (&self.upstreams, self.next_turn());
                match outgoing.send(pool, &route.origins, &left_out, turn).await {
                    Ok(response) => return Ok(held_open(response, open)),
                    Err(error @ ForwardError::Unreachable(_)) => Unanswered::Unreachable(error),
                    Err(error) => return Err(self.failed(&label_of(&route, service), &error)),
                }
            };
            let moved = find(&self.view.now()).is_none_or(|now| now.origins != route.origins);
            if moved && Instant::now() < deadline {
                continue;
            }
            let wake = self.hold(&route, deadline).ok_or_else(|| match error {
                Unanswered::NotDeployed => not_deployed(),
                Unanswered::Unreachable(error) => self.failed(&label_of(&route, service), &error),
            })?;
            // Either is a reason to look again.
            let _changed = Box::pin(tokio::time::timeout_at(wake, changes.changed())).await;
        }
    }

    /// Until when to wait before the next look, if an instance is on its way.
    fn hold(&self, route: &AppRoute, deadline: Instant) -> Option<Instant> {
        let left = route.hold_until? - self.gateway.context.clock.now();
        let now = Instant::now();
        let left = left
            .to_std()
            .ok()
            .filter(|left| !left.is_zero() && now < deadline)?;
        let wake = if route.origins.is_empty() {
            now + left
        } else {
            now + TRY_AGAIN
        };
        Some(wake.min(now + left).min(deadline))
    }
}

/// Why nobody has answered, which may be another matter in a moment.
enum Unanswered {
    NotDeployed,
    Unreachable(ForwardError),
}

/// As what calls are counted: those of a service, else those of the app.
fn label_of(route: &AppRoute, service: Option<&Service>) -> Arc<str> {
    match service {
        Some(service) => Arc::clone(&service.label),
        None => app_label(&route.label),
    }
}

fn app_label(label: &str) -> Arc<str> {
    format!("app:{label}").into()
}

/// What shows that a domain is meant to be served here.
pub(super) fn shown(content: String) -> Outcome {
    Outcome {
        response: Ok(HttpResponse::Ok().content_type("text/plain").body(content)),
        counted: Counted::default(),
    }
}

fn unknown_app() -> ApiError {
    Problem::new(404, "unknown_app", "There is no app under this name").into()
}

fn in_maintenance() -> ApiError {
    let detail = "This app is in maintenance, and will be back soon";
    let problem = Problem::unavailable("maintenance", detail);
    problem.retry_after(RETRY_AFTER_MAINTENANCE).into()
}

fn not_deployed() -> ApiError {
    let problem = Problem::unavailable("not_deployed", "This app has no live release yet");
    problem.retry_after(RETRY_AFTER).into()
}

/// A failure on the way to an upstream; what caused it goes to the log.
pub(super) fn failed(error: &ForwardError) -> ApiError {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let text = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    ApiError::caused(error.problem(), text)
}

fn wants_page(arrival: &Arrival) -> bool {
    let accept = arrival
        .request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The same as a page for people, who are the ones that browse to an app's host.
fn page(error: &ApiError) -> HttpResponse {
    let mut answer = answer_to(error);
    let status = answer.status();
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{status}</title>\
         <style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:36rem;margin:20vh auto;padding:0 1rem}}</style>\
         <h1>{status}</h1><p>{detail}.</p>",
        detail = error.problem().detail,
    );
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    answer
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    answer.set_body(BoxBody::new(html))
}
