//! Requests to the platform's own host.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chassis::auth::{AuthError, bearer};
use chassis::http::{ApiError, CLIENT_ADDRESS_HEADER, ClientAddress, GATEWAY_TOKEN_HEADER};
use chassis::telemetry::TraceContext;
use common::ExposeSecret as _;
use common::problem::Problem;
use common::token::Rejection;

use super::session::keep_private;
use super::{Arrival, Counted, Label, Origin, Outcome, Place, Worker, answer_to};
use crate::edge::cors::Cors;
use crate::edge::tokens::Known;
use crate::platform::{self, CookieUse, Owner};
use crate::proxy::headers::{Cookies, Policy};
use crate::proxy::{ForwardError, Outgoing, Plan};
use crate::table::Service;
use crate::usage;

/// The service whose routes take tokens that it judges itself: a login must go through whatever
/// old token the client still sends along.
const AUTH: &str = "auth";

/// The service whose routes take tokens as passwords.
const GIT: &str = "github";

/// What a request on the platform's host is for, the gateway's own routes aside.
pub(super) enum What {
    /// To learn what a page of another origin may do.
    Preflight,
    /// For a platform service.
    Service(&'static str),
    /// For a service of the catch-all, and the path there.
    Named(String, String),
    /// Nothing that there is.
    Refused(Problem),
}

/// Decides by the path as it was sent.
pub(super) fn place(request: &HttpRequest) -> Place {
    let path = request.uri().path();
    if Cors::is_preflight(request.method(), request.headers()) {
        return Place::Platform(What::Preflight);
    }
    if platform::is_tricky(path) {
        let detail = "The path has segments that could be read in more than one way";
        return Place::Platform(What::Refused(Problem::bad_request("bad_path", detail)));
    }
    match platform::owner(path) {
        Owner::Gateway => Place::Own,
        Owner::Service(service) => Place::Platform(What::Service(service)),
        Owner::Named(name, rest) => Place::Platform(What::Named(name.to_owned(), rest.to_owned())),
        Owner::Nobody => Place::Platform(What::Refused(Problem::not_found("route"))),
    }
}

impl Worker {
    /// Answers on the platform's host.
    pub(super) async fn platform(&self, what: What, arrival: Arrival) -> (HttpResponse, Counted) {
        let request = arrival.request.clone();
        let preflight = matches!(what, What::Preflight);
        let service = match &what {
            What::Named(name, _) => self.view.now().service(name).cloned(),
            What::Preflight => self.named_by(request.uri().path()),
            What::Service(_) | What::Refused(_) => None,
        };
        let Outcome { response, counted } = match what {
            What::Preflight => Outcome {
                response: Ok(HttpResponse::new(StatusCode::NO_CONTENT)),
                counted: Counted::default(),
            },
            What::Refused(problem) => Outcome::refused(problem.into()),
            What::Service(service) => Box::pin(self.to_service(service, arrival)).await,
            What::Named(name, rest) => self.named(&name, &rest, arrival).await,
        };
        // On errors too: a page that may call must be able to read why it failed.
        let mut response = response.unwrap_or_else(|error| answer_to(&error));
        // A service's own say comes first; the platform's pages may call all the same.
        let (asked, headers) = (request.headers(), response.headers_mut());
        let answered = service.is_some_and(|service| {
            let cors = &service.rules.cors;
            cors.answer(asked, preflight, headers)
        });
        if !answered {
            self.gateway.cors.answer(asked, preflight, headers);
        }
        (response, counted)
    }

    /// The service of the catch-all that a path names.
    fn named_by(&self, path: &str) -> Option<Arc<Service>> {
        match platform::owner(path) {
            Owner::Named(name, _) => self.view.now().service(name).cloned(),
            Owner::Gateway | Owner::Service(_) | Owner::Nobody => None,
        }
    }

    /// The gateway's own routes, which the chassis serves like any service's.
    pub(super) async fn own(
        &self,
        mut request: ServiceRequest,
        inner: Next<BoxBody>,
        origin: &Origin,
    ) -> Result<(ServiceResponse, Counted), actix_web::Error> {
        let asked = request.headers().clone();
        let session = match self.session(request.request()).await {
            Ok(session) => session,
            Err(error) => {
                let (request, _) = request.into_parts();
                let mut response = answer_to(&error);
                let headers = response.headers_mut();
                self.gateway.cors.answer(&asked, false, headers);
                let response = ServiceResponse::new(request, response);
                return Ok((response, counted(None, "v1api")));
            }
        };
        let token = session.as_deref().or_else(|| bearer(request.request()));
        let (known, refused) = match self.confined(token, request.headers(), origin).await {
            Ok(known) => (known, None),
            Err((known, error)) => (known, Some(error)),
        };
        if let Some(error) = refused {
            let (request, _) = request.into_parts();
            let mut response = answer_to(&error);
            let headers = response.headers_mut();
            self.gateway.cors.answer(&asked, false, headers);
            let response = ServiceResponse::new(request, response);
            return Ok((response, counted(known.as_ref(), "v1api")));
        }
        request
            .extensions_mut()
            .insert(ClientAddress(origin.client));
        let headers = request.headers_mut();
        for name in [CLIENT_ADDRESS_HEADER, GATEWAY_TOKEN_HEADER, "cookie"] {
            headers.remove(name);
        }
        if let Some(token) = &session
            && let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}"))
        {
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(trace) = TraceContext::current() {
            for (name, value) in [
                ("x-request-id", trace.request_id.to_string()),
                ("traceparent", trace.traceparent()),
            ] {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    headers.insert(HeaderName::from_static(name), value);
                }
            }
        }
        let mut response = inner.call(request).await?;
        if session.is_some() {
            keep_private(response.headers_mut());
        }
        self.gateway
            .cors
            .answer(&asked, false, response.headers_mut());
        let endpoint = response
            .request()
            .match_pattern()
            .map_or_else(|| usage::OTHER.into(), Cow::Owned);
        Ok((
            response,
            Counted {
                endpoint,
                ..counted(known.as_ref(), "v1api")
            },
        ))
    }

    async fn to_service(&self, service: &'static str, arrival: Arrival) -> Outcome {
        let path = arrival.request.uri().path().to_owned();
        let (session, known) = match self.caller(service, &arrival.request).await {
            Ok(caller) => caller,
            Err(error) => {
                return Outcome {
                    response: Err(error),
                    counted: counted(None, service),
                };
            }
        };
        let client = arrival.origin.client;
        if let Some(known) = &known
            && let Err(error) = self.guard.admit(known, client, arrival.request.headers())
        {
            return Outcome {
                response: Err(error),
                counted: counted(Some(known), service),
            };
        }
        let mut counted = counted(known.as_ref(), service);
        let mut response = self
            .pass_to_service(service, session.as_deref(), arrival)
            .await;
        if session.is_some()
            && let Ok(response) = &mut response
        {
            keep_private(response.headers_mut());
        }
        // A path that nobody without a token could have meant isn't worth a name of its own.
        let meant = known.is_some()
            || response
                .as_ref()
                .is_ok_and(|response| !matches!(response.status().as_u16(), 404 | 405));
        if meant {
            counted.endpoint = usage::folded(&path).into_owned().into();
        }
        Outcome { response, counted }
    }

    /// The token that stands for a request's cookie, and who calls by that or by one of its own.
    async fn caller(
        &self,
        service: &str,
        request: &HttpRequest,
    ) -> Result<(Option<Rc<str>>, Option<Rc<Known>>), ApiError> {
        let session = self.session(request).await?;
        let token = session.as_deref().or_else(|| bearer(request));
        let known = if service == AUTH || platform::is_open(request.uri().path()) {
            self.advice(token).await
        } else if service == GIT && token.is_none() {
            // Git sends a key as a password. Whether it is one is for the service to judge; where it
            // may be used from, and whether it still may, is ours.
            self.key(basic_password(request).as_deref()).await?
        } else {
            self.check(token).await?
        };
        Ok((session, known))
    }

    async fn pass_to_service(
        &self,
        service: &'static str,
        session: Option<&str>,
        arrival: Arrival,
    ) -> Result<HttpResponse, ApiError> {
        let unknown = || {
            Problem::unavailable(
                "service_unavailable",
                format!("The {service} service is not known"),
            )
        };
        let origin = self.gateway.services.get(service).ok_or_else(unknown)?;
        let token = self.gateway.context.calls.token(service).await?;
        let policy = Policy::Platform(cookies_for(service, arrival.request.uri().path()));
        let target = arrival.request.uri().path_and_query();
        let target = target.map_or("/", |target| target.as_str());
        let mut head = arrival.head(target, arrival.authority(), policy, session)?;
        if let Some(client) = arrival.origin.client {
            head.put(CLIENT_ADDRESS_HEADER, client.to_string());
        }
        head.put(GATEWAY_TOKEN_HEADER, token.expose_secret());
        let plan = Plan {
            head,
            policy,
            max_body: self.gateway.max_body,
            max_response_body: None,
            patience: None,
            own_host: false,
            trip: arrival.trip.clone(),
        };
        let sent = async {
            let mut outgoing = Outgoing::new(&arrival.request, arrival.payload, plan)?;
            outgoing
                .send(&self.upstreams, std::slice::from_ref(origin), &None, 0)
                .await
        };
        sent.await.map_err(|error| match error {
            ForwardError::Unreachable(_) => {
                let detail = format!("The {service} service can't be reached at the moment");
                self.failed(service, &error)
                    .map_problem(|_| Problem::unavailable("service_unavailable", detail))
            }
            error => self.failed(service, &error),
        })
    }

    /// The caller's token, if there is one: a bad one is refused at once. Tokens of other kinds are
    /// for the service to judge.
    pub(super) async fn check(&self, token: Option<&str>) -> Result<Option<Rc<Known>>, AuthError> {
        let Some(token) = token else {
            return Ok(None);
        };
        match self.tokens.verify(token).await {
            Ok(known) => self.guard.holds(&known).map(|()| Some(known)),
            Err(AuthError::Rejected(Rejection::WrongKind)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The caller, as far as it can be told, where it may come in from there; else why not. A token that
    /// is none is for the route to judge, which may need none.
    async fn confined(
        &self,
        token: Option<&str>,
        headers: &HeaderMap,
        origin: &Origin,
    ) -> Result<Option<Rc<Known>>, (Option<Rc<Known>>, ApiError)> {
        let Some(known) = self
            .key(token)
            .await
            .map_err(|error| (None, error.into()))?
        else {
            return Ok(None);
        };
        match self.guard.admit(&known, origin.client, headers) {
            Ok(()) => Ok(Some(known)),
            Err(error) => Err((Some(known), error)),
        }
    }

    /// The caller, as far as it can be told; a key that is revoked or can't be checked is refused.
    async fn key(&self, token: Option<&str>) -> Result<Option<Rc<Known>>, AuthError> {
        match self.check(token).await {
            Err(error @ (AuthError::Stale | AuthError::Rejected(Rejection::Revoked))) => Err(error),
            other => Ok(other.ok().flatten()),
        }
    }

    /// The caller, as far as it can be told; whether that is enough is decided elsewhere.
    async fn advice(&self, token: Option<&str>) -> Option<Rc<Known>> {
        self.check(token).await.ok().flatten()
    }
}

/// The token of `Authorization: Basic …`: the password, or the name where there is no password.
fn basic_password(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = pair.split_once(':')?;
    let token = if password.is_empty() { name } else { password };
    Some(token.to_owned())
}

/// The cookies that a service sees: the session's own goes to auth alone, where it is asked for.
fn cookies_for(service: &str, path: &str) -> Cookies {
    if service != AUTH {
        Cookies::None
    } else if platform::cookie_use(path) == CookieUse::Subject {
        Cookies::Session
    } else {
        Cookies::Own
    }
}

/// As whom a call is counted.
fn counted(known: Option<&Rc<Known>>, service: &'static str) -> Counted {
    Counted {
        known: known.cloned(),
        service: Label::Own(service),
        ..Counted::default()
    }
}
