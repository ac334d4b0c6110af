//! A request on its way in: the host that it names, and its head as an upstream gets it.

use std::rc::Rc;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::HOST;
use chassis::http::ApiError;
use chassis::telemetry::TraceContext;

use super::apps;
use super::client::Origin;
use crate::hosts::{BadHost, Hosts, Site};
use crate::proxy::headers::{self, Hop, Policy};
use crate::proxy::{ForwardError, Head, Trip};

/// A request on its way in.
pub(crate) struct Arrival {
    pub(super) request: HttpRequest,
    pub(super) payload: Payload,
    pub(super) origin: Origin,
    pub(super) trace: TraceContext,
    pub(super) trip: Option<Rc<Trip>>,
}

impl Arrival {
    /// The authority that the client asked for, as it wrote it.
    pub(super) fn authority(&self) -> &str {
        authority(&self.request).unwrap_or_default()
    }

    /// The head of the request as an upstream gets it: what the client sent and may pass, and the
    /// way so far. `token` stands for whatever authorization the client sent.
    pub(super) fn head(
        &self,
        target: &str,
        host: &str,
        policy: Policy,
        token: Option<&str>,
    ) -> Result<Head, ApiError> {
        let method = self.request.method().as_str();
        let mut head =
            Head::new(method, target).ok_or_else(|| apps::failed(&ForwardError::Unsendable))?;
        head.put_host(host);
        let from = self.request.headers();
        headers::pass(&mut head, from, policy, token.is_some());
        if let Some(token) = token {
            head.put_all("authorization", &[b"Bearer ", token.as_bytes()]);
        }
        let Origin {
            peer,
            client,
            trusted,
            scheme,
        } = &self.origin;
        let hop = Hop {
            client: *client,
            peer: *peer,
            trusted: *trusted,
            host: self.authority(),
            scheme,
        };
        headers::add_forwarded(&mut head, from, &hop);
        let trace = &self.trace;
        head.put("x-request-id", &*trace.request_id);
        let (trace_id, span_id) = (trace.trace_id.as_bytes(), trace.span_id.as_bytes());
        head.put_all("traceparent", &[b"00-", trace_id, b"-", span_id, b"-01"]);
        Ok(head)
    }
}

/// The target's own authority goes before the header (RFC 9112, section 3.2.2).
pub(super) fn authority(request: &HttpRequest) -> Option<&str> {
    let target = request
        .uri()
        .authority()
        .map(actix_web::http::uri::Authority::as_str);
    target.or_else(|| request.headers().get(HOST)?.to_str().ok())
}

/// Whose host a request names. More than one name for it is refused, even where a rule would
/// choose: the upstream might choose otherwise.
pub(super) fn site<'a>(hosts: &Hosts, request: &'a HttpRequest) -> Result<Site<'a>, BadHost> {
    let mut values = request.headers().get_all(HOST);
    let first = values.next().ok_or(BadHost("The request names no host"))?;
    if values.next().is_some() {
        return Err(BadHost("The request names more than one host"));
    }
    let host = first
        .to_str()
        .map_err(|_why| BadHost("The host is not a name"))?;
    if *request.method() == Method::CONNECT || !request.uri().path().starts_with('/') {
        return Err(BadHost("The request's target must be a path"));
    }
    if let Some(target) = request.uri().authority()
        && crate::hosts::host_name(target.as_str())? != crate::hosts::host_name(host)?
    {
        return Err(BadHost("The request names two different hosts"));
    }
    hosts.site(host)
}
