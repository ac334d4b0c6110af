//! Passing a request to an upstream and its answer back, both as they stream.

mod body;
mod deadlines;
#[cfg(test)]
mod fuzz;
pub(crate) mod grpc;
pub(crate) mod headers;
mod health;
mod http1;
mod pool;
mod upgrade;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody as _};
use actix_web::dev::Payload;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use common::problem::Problem;

use body::{RequestBody, ResponseBody};
use headers::Policy;
use http1::{Asked, Broken, Framing, HostSpan, Message, put_host};
pub(crate) use http1::{Head, HeadLimits, MOST_HEADERS};
use pool::{Answer, Nobody, SendError};
pub(crate) use pool::{LeftOut, Limits, Upstreams};

/// When to come back, in seconds, while no instance passes its health checks.
const TRY_AGAIN: u32 = 5;

/// Why a request got no answer from its upstream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    /// No instance could be connected to; nothing was sent.
    #[error("no instance of the upstream can be reached")]
    Unreachable(#[source] io::Error),
    /// Every instance has kept its callers waiting, and is left alone for so long.
    #[error("no instance of the upstream is asked at the moment")]
    LeftAlone(Duration),
    /// Every instance has failed its health checks.
    #[error("no instance of the upstream is healthy")]
    AllAiling,
    /// It broke off.
    #[error("the upstream broke off before it answered")]
    Broken(#[source] Broken),
    /// It closed a kept connection, and the request may not be sent twice.
    #[error("the upstream closed its connection before it answered")]
    Closed,
    /// It broke off a call that came by HTTP/2.
    #[error("the upstream broke off before it answered")]
    BrokenCall(#[source] h2::Error),
    /// Its answer is longer than is passed on.
    #[error("the upstream's answer is too long")]
    AnswerTooLarge,
    /// It took too long.
    #[error("the upstream took too long to answer")]
    Slow,
    /// The time that the client itself has given the call is over.
    #[error("the client's own deadline is over")]
    Overdue,
    /// The client took too long to send its body.
    #[error("the client took too long to send its request")]
    ClientSlow,
    /// The request's body is longer than is taken.
    #[error("the request's body is too long")]
    TooLarge,
    /// The request's target or body can't be passed on.
    #[error("the request can't be passed on")]
    Unsendable,
}

impl ForwardError {
    /// What the client is told.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Unreachable(_) => Problem::new(
                502,
                "upstream_unreachable",
                "The service behind this address can't be reached",
            ),
            Self::Broken(_) | Self::BrokenCall(_) | Self::Closed => Problem::new(
                502,
                "upstream_failed",
                "The service behind this address broke off before it answered",
            ),
            Self::LeftAlone(pause) => {
                let detail = "The service behind this address doesn't answer in time at the moment";
                let seconds = u32::try_from(pause.as_secs() + 1).unwrap_or(u32::MAX);
                Problem::unavailable("upstream_unavailable", detail).retry_after(seconds)
            }
            Self::AllAiling => {
                let detail =
                    "No instance of the service behind this address is healthy at the moment";
                Problem::unavailable("upstream_unavailable", detail).retry_after(TRY_AGAIN)
            }
            Self::AnswerTooLarge => Problem::new(
                502,
                "response_too_large",
                "The answer of the service behind this address is longer than is passed on",
            ),
            Self::ClientSlow => Problem::new(
                408,
                "request_timeout",
                "The request's body didn't come in time",
            ),
            Self::Slow => Problem::new(
                504,
                "upstream_timeout",
                "The service behind this address took too long to answer",
            ),
            Self::Overdue => Problem::new(
                504,
                "deadline_exceeded",
                "There was no answer within the time that the call was given",
            ),
            Self::TooLarge => Problem::new(
                413,
                "body_too_large",
                "The body is larger than what is taken here",
            ),
            Self::Unsendable => {
                Problem::bad_request("bad_request", "The request can't be passed on as it is")
            }
        }
    }
}

/// Where a request has been, for who wants to know afterwards.
#[derive(Debug, Default)]
pub(crate) struct Trip {
    upstream: RefCell<Option<Arc<str>>>,
    took: Cell<Option<Duration>>,
}

impl Trip {
    /// The instance that was asked last, as `host:port`.
    pub(crate) fn upstream(&self) -> Option<Arc<str>> {
        self.upstream.borrow().clone()
    }

    /// From the first look for an instance to the head of the answer, or to the end of all attempts.
    pub(crate) fn took(&self) -> Option<Duration> {
        self.took.get()
    }
}

/// Where a request goes, and as what.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The head that the upstream gets, complete but for the framing.
    pub(crate) head: Head,
    /// What passes.
    pub(crate) policy: Policy,
    /// The longest body that is passed on, in bytes.
    pub(crate) max_body: u64,
    /// The longest body of an answer that is passed on, in bytes.
    pub(crate) max_response_body: Option<u64>,
    /// How long to wait for the head of the answer, if not for as long as usual.
    pub(crate) patience: Option<Duration>,
    /// Whether each instance is asked by its own address as the host, and not by the head's.
    pub(crate) own_host: bool,
    /// Where is noted how it went, if anybody wants to know.
    pub(crate) trip: Option<Rc<Trip>>,
}

/// A request that has been prepared and waits for an instance to go to.
pub(crate) struct Outgoing {
    message: Option<Message>,
    policy: Policy,
    max_response_body: u64,
    patience: Option<Duration>,
    own_host: Option<HostSpan>,
    trip: Option<Rc<Trip>>,
    upgrade: Option<Payload>,
    repeatable: bool,
    /// What it is instead of a message, if it is a call of gRPC.
    call: Option<grpc::Call>,
}

impl Outgoing {
    /// Prepares a request.
    pub(crate) fn new(
        request: &HttpRequest,
        payload: Payload,
        plan: Plan,
    ) -> Result<Self, ForwardError> {
        let Plan {
            mut head,
            policy,
            max_body,
            max_response_body,
            patience,
            own_host,
            trip,
        } = plan;
        // The platform's own services speak HTTP/1.1 alone.
        if !matches!(policy, Policy::Platform(_)) && grpc::is_call(request) {
            let call = grpc::Call::new(request, payload, head, policy, max_body, own_host)?;
            return Ok(Self {
                message: None,
                policy,
                max_response_body: max_response_body.unwrap_or(u64::MAX),
                patience,
                own_host: None,
                trip,
                upgrade: None,
                repeatable: false,
                call: Some(call),
            });
        }
        let own_host = own_host.then(|| head.host_span()).flatten();
        let (body, upgrade) = if upgrade::is_wanted(request) {
            head.put("connection", "upgrade");
            head.put("upgrade", "websocket");
            (None, Some(payload))
        } else {
            (body_of(request, payload, max_body, &mut head)?, None)
        };
        // Sending it twice does no more than sending it once (RFC 9110, section 9.2.1).
        let safe = matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        );
        let repeatable = safe && body.is_none() && upgrade.is_none();
        let asked = Asked {
            head: request.method() == Method::HEAD,
            upgrade: upgrade.is_some(),
        };
        let message = Message {
            bytes: head.finish(),
            body,
            asked,
        };
        Ok(Self {
            message: Some(message),
            policy,
            max_response_body: max_response_body.unwrap_or(u64::MAX),
            patience,
            own_host,
            trip,
            upgrade,
            repeatable,
            call: None,
        })
    }

    /// Tries the instances until one can be connected to, the least busy first; `turn` decides
    /// between equals. No request goes to those that are left out.
    ///
    /// Only what was never sent, or may be sent twice, goes to another connection. After
    /// [`ForwardError::Unreachable`] it can be called again.
    pub(crate) async fn send(
        &mut self,
        upstreams: &Rc<Upstreams>,
        addresses: &[Arc<str>],
        left_out: &LeftOut,
        turn: usize,
    ) -> Result<HttpResponse, ForwardError> {
        let Some(trip) = self.trip.clone() else {
            return self.send_on(upstreams, addresses, left_out, turn).await;
        };
        let began = Instant::now();
        let sent = self.send_on(upstreams, addresses, left_out, turn).await;
        trip.took
            .set(Some(trip.took().unwrap_or_default() + began.elapsed()));
        sent
    }

    async fn send_on(
        &mut self,
        upstreams: &Rc<Upstreams>,
        addresses: &[Arc<str>],
        left_out: &LeftOut,
        turn: usize,
    ) -> Result<HttpResponse, ForwardError> {
        let mut unreachable = io::Error::from(io::ErrorKind::NotConnected);
        let candidates = upstreams.candidates(addresses, left_out, turn);
        match candidates.nobody {
            Some(Nobody::AllOpen(pause)) => return Err(ForwardError::LeftAlone(pause)),
            Some(Nobody::AllAiling) => return Err(ForwardError::AllAiling),
            None => {}
        }
        let patience = self.patience.unwrap_or_else(|| upstreams.patience());
        if let Some(call) = &mut self.call {
            let terms = grpc::Terms {
                patience,
                policy: self.policy,
                max_response_body: self.max_response_body,
            };
            let trip = self.trip.as_deref();
            return call.send(upstreams, candidates, terms, trip).await;
        }
        for instance in candidates {
            let mut message = self.message.take().ok_or(ForwardError::Closed)?;
            if let Some(trip) = &self.trip {
                trip.upstream.replace(Some(Arc::clone(instance.address())));
            }
            if let Some(span) = &mut self.own_host {
                put_host(&mut message.bytes, span, instance.address());
            }
            let mut fresh = self.upgrade.is_some();
            let failed = loop {
                match upstreams.send(&instance, message, patience, fresh).await {
                    Ok(answer) => return self.relay(answer),
                    Err(SendError::Stale(again)) if self.repeatable && !fresh => {
                        message = *again;
                        fresh = true;
                    }
                    Err(error) => break error,
                }
            };
            match failed {
                SendError::Connect { message, source } => {
                    self.message = Some(*message);
                    unreachable = source;
                }
                SendError::Stale(_) => return Err(ForwardError::Closed),
                SendError::Broken(error) => return Err(ForwardError::Broken(error)),
                SendError::Slow => return Err(ForwardError::Slow),
                SendError::ClientSlow => return Err(ForwardError::ClientSlow),
                SendError::TooLarge => return Err(ForwardError::TooLarge),
                SendError::BadBody => return Err(ForwardError::Unsendable),
            }
        }
        Err(ForwardError::Unreachable(unreachable))
    }

    fn relay(&mut self, answer: Answer) -> Result<HttpResponse, ForwardError> {
        if answer.head.status == StatusCode::SWITCHING_PROTOCOLS {
            let payload = self.upgrade.take().ok_or(ForwardError::Closed)?;
            return Ok(upgrade::join(answer, payload, self.policy));
        }
        let Answer {
            head,
            mut exchange,
            lease,
        } = answer;
        // Its connection ends with it: what is left of the body is nobody's.
        if matches!(head.framing, Framing::Length(length) if length > self.max_response_body) {
            return Err(ForwardError::AnswerTooLarge);
        }
        let mut response = HttpResponse::new(head.status);
        *response.headers_mut() = headers::to_client(&head.headers, self.policy);
        if self.upgrade.is_some() {
            // What the client sends from now on is no HTTP.
            response
                .head_mut()
                .set_connection_type(actix_web::http::ConnectionType::Close);
        }
        let body = match head.framing {
            Framing::Empty => {
                lease.end(exchange, head.keep_alive);
                bodyless(head.announced)
            }
            // Often all of it has come with the head: then there is nothing to stream.
            Framing::Length(length)
                if exchange.is_sent()
                    && usize::try_from(length)
                        .is_ok_and(|length| length <= exchange.inbox().len()) =>
            {
                let length = usize::try_from(length).unwrap_or_default();
                let whole = exchange.inbox().split_to(length).freeze();
                lease.end(exchange, head.keep_alive);
                BoxBody::new(whole)
            }
            framing => {
                let allowance = self.max_response_body;
                ResponseBody::new(framing, allowance, head.keep_alive, exchange, lease).boxed()
            }
        };
        Ok(response.set_body(body))
    }
}

/// No body, with the length that one would have had.
fn bodyless(announced: Option<u64>) -> BoxBody {
    struct Announced(u64);

    impl actix_web::body::MessageBody for Announced {
        type Error = std::convert::Infallible;

        fn size(&self) -> BodySize {
            BodySize::Sized(self.0)
        }

        fn poll_next(
            self: std::pin::Pin<&mut Self>,
            _cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<bytes::Bytes, Self::Error>>> {
            std::task::Poll::Ready(None)
        }
    }

    match announced {
        Some(length) => BoxBody::new(Announced(length)),
        None => BoxBody::new(actix_web::body::None::new()),
    }
}

/// The length of a body, where its head tells.
fn announced(request: &HttpRequest) -> Option<u64> {
    let value = request
        .headers()
        .get(actix_web::http::header::CONTENT_LENGTH)?;
    value.to_str().ok()?.trim().parse().ok()
}

fn body_of(
    request: &HttpRequest,
    payload: Payload,
    allowance: u64,
    head: &mut Head,
) -> Result<Option<RequestBody>, ForwardError> {
    let length = announced(request);
    let chunked = request.chunked().map_err(|_why| ForwardError::Unsendable)?;
    match (chunked, length) {
        (true, _) => {
            head.put("transfer-encoding", "chunked");
            Ok(Some(RequestBody::of(payload, true, allowance)))
        }
        (false, None) => Ok(None),
        (false, Some(0)) => {
            // Said to be empty, which some methods are expected to say.
            if !matches!(*request.method(), Method::GET | Method::HEAD) {
                head.put("content-length", "0");
            }
            Ok(None)
        }
        (false, Some(length)) if length > allowance => Err(ForwardError::TooLarge),
        (false, Some(length)) => {
            head.put("content-length", length.to_string());
            Ok(Some(RequestBody::of(payload, false, allowance)))
        }
    }
}
