//! Connections to upstreams: a pool for each worker, so that no worker waits for another.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use std::{io, mem};

use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::metrics::{InstanceFigures, Instances};

use super::body::BodyError;
use super::deadlines::Deadlines;
use super::grpc;
use super::health::{Health, Standing};
use super::http1::{Broken, Exchange, HeadLimits, Message, ResponseHead};

/// How many buffers a worker keeps for its next answers, and how large they may be.
const SPARE_BUFFERS: usize = 64;
const LARGEST_SPARE: usize = 16 * 1024;

/// How long to wait for what, and how much to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For a connection.
    pub(crate) connect: Duration,
    /// From the last byte of the request to the head of the answer.
    pub(crate) head: Duration,
    /// How long an unused connection is kept.
    pub(crate) idle: Duration,
    /// How many unused ones are kept for one upstream.
    pub(crate) idle_per_upstream: usize,
    /// How large the head of an answer may be.
    pub(crate) heads: HeadLimits,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// No connection; the request comes back untouched, for another instance perhaps.
    #[error("the upstream can't be connected to")]
    Connect {
        /// The request.
        message: Box<Message>,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The upstream closed the connection before any of its answer came; whether it saw the request
    /// isn't known.
    #[error("the upstream closed the connection before it answered")]
    Stale(Box<Message>),
    /// The upstream broke off, or answered what can't be passed on.
    #[error("the upstream broke off")]
    Broken(#[source] Broken),
    /// It took too long.
    #[error("the upstream took too long")]
    Slow,
    /// The client took too long with its body.
    #[error("the client took too long")]
    ClientSlow,
    /// The client's own body is too long.
    #[error("the request's body is too long")]
    TooLarge,
    /// The client's own body can't be read to its end.
    #[error("the request's body can't be read")]
    BadBody,
}

/// An answer whose head has come.
pub(crate) struct Answer {
    /// The head.
    pub(crate) head: ResponseHead,
    /// Where the body comes from.
    pub(crate) exchange: Exchange,
    /// The connection's place.
    pub(crate) lease: Lease,
}

struct Idle {
    stream: TcpStream,
    since: Instant,
}

/// One instance of an upstream.
pub(crate) struct Instance {
    address: Arc<str>,
    idle: RefCell<Vec<Idle>>,
    in_flight: Cell<u32>,
    pub(super) health: Health,
    figures: Arc<InstanceFigures>,
    /// Connections by HTTP/2.
    pub(super) calls: grpc::Connections,
}

/// One worker's connections.
pub(crate) struct Upstreams {
    instances: RefCell<HashMap<Arc<str>, Rc<Instance>>>,
    buffers: RefCell<Vec<BytesMut>>,
    deadlines: Rc<Deadlines>,
    limits: Limits,
    figures: Instances,
}

/// A request under way at an instance, which ends when this is dropped.
pub(crate) struct Lease {
    instance: Rc<Instance>,
    pool: Rc<Upstreams>,
}

/// The instances of an upstream in the order in which a request tries them.
pub(crate) struct Candidates {
    left: Vec<Rc<Instance>>,
    /// Why there are none, if there are none.
    pub(crate) nobody: Option<Nobody>,
}

/// Why no instance is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nobody {
    /// Each has kept its callers waiting; until one may be asked again.
    AllOpen(Duration),
    /// Each has failed its health checks.
    AllAiling,
}

/// Instances that no request goes to, whatever happened to the last ones.
pub(crate) type LeftOut = Option<Arc<HashSet<Arc<str>>>>;

impl Iterator for Candidates {
    type Item = Rc<Instance>;

    fn next(&mut self) -> Option<Rc<Instance>> {
        self.left.pop()
    }
}

impl Instance {
    /// Where it listens, as `host:port`.
    pub(crate) fn address(&self) -> &Arc<str> {
        &self.address
    }

    fn set_in_flight(&self, count: u32) {
        self.in_flight.set(count);
        self.figures.set_in_flight(count);
    }
}

impl Upstreams {
    /// An empty pool.
    pub(crate) fn new(limits: Limits, figures: Instances) -> Rc<Self> {
        Rc::new(Self {
            instances: RefCell::default(),
            buffers: RefCell::default(),
            deadlines: Rc::default(),
            limits,
            figures,
        })
    }

    /// How long to wait for the head of an answer, unless told otherwise.
    pub(crate) fn patience(&self) -> Duration {
        self.limits.head
    }

    /// How long to wait for what.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What this worker waits for.
    pub(super) fn deadlines(&self) -> &Rc<Deadlines> {
        &self.deadlines
    }

    /// The instances at these addresses (`host:port`): the one with the fewest requests under way
    /// first, and those that refused a connection lately last. `turn` decides between equals.
    pub(crate) fn candidates(
        &self,
        addresses: &[Arc<str>],
        left_out: &LeftOut,
        turn: usize,
    ) -> Candidates {
        let now = Instant::now();
        let is_left_out = |address: &Arc<str>| {
            let ailing = left_out.as_ref();
            ailing.is_some_and(|ailing| ailing.contains(address))
        };
        let mut soonest: Option<Duration> = None;
        let mut ails = false;
        let mut left = Vec::with_capacity(addresses.len());
        let first = turn % addresses.len().max(1);
        let (before, after) = addresses
            .split_at_checked(first)
            .unwrap_or((&[], addresses));
        for address in after.iter().chain(before) {
            if is_left_out(address) {
                ails = true;
                continue;
            }
            let instance = self.instance(address);
            match instance.health.standing(now) {
                Standing::Open(pause) => {
                    soonest = Some(soonest.map_or(pause, |soonest| soonest.min(pause)));
                }
                standing => left.push((standing, instance)),
            }
        }
        if left.len() > 1 {
            left.sort_by_key(|(standing, instance)| (*standing, instance.in_flight.get()));
            left.reverse();
        }
        Candidates {
            nobody: match soonest {
                _ if !left.is_empty() => None,
                Some(pause) => Some(Nobody::AllOpen(pause)),
                None => ails.then_some(Nobody::AllAiling),
            },
            left: left.into_iter().map(|(_, instance)| instance).collect(),
        }
    }

    fn instance(&self, address: &Arc<str>) -> Rc<Instance> {
        if let Some(known) = self.instances.borrow().get(address) {
            return Rc::clone(known);
        }
        let figures = self.figures.add(address);
        let instance = Rc::new(Instance {
            address: Arc::clone(address),
            idle: RefCell::default(),
            in_flight: Cell::new(0),
            health: Health::new(Arc::clone(&figures)),
            figures,
            calls: grpc::Connections::default(),
        });
        let mut instances = self.instances.borrow_mut();
        instances.insert(Arc::clone(address), Rc::clone(&instance));
        instance
    }

    /// Sends a request to an instance and waits for the head of the answer, for `patience` after
    /// the request's last byte. With `fresh` no kept connection is used.
    ///
    /// A request that a dead connection never took goes on by the next one.
    pub(crate) async fn send(
        self: &Rc<Self>,
        instance: &Rc<Instance>,
        mut message: Message,
        patience: Duration,
        fresh: bool,
    ) -> Result<Answer, SendError> {
        instance.health.tried(Instant::now());
        let lease = self.lease(instance);
        while !fresh && let Some(stream) = self.take(instance) {
            match self.exchange(stream, message, &lease, patience).await {
                Ok((head, exchange)) => {
                    return Ok(Answer {
                        head,
                        exchange,
                        lease,
                    });
                }
                Err(Failure::Unsent(unsent, _)) => message = *unsent,
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        let stream = match Box::pin(self.connect(instance)).await {
            Ok(stream) => stream,
            Err(source) => {
                let message = Box::new(message);
                return Err(SendError::Connect { message, source });
            }
        };
        match self.exchange(stream, message, &lease, patience).await {
            Ok((head, exchange)) => Ok(Answer {
                head,
                exchange,
                lease,
            }),
            Err(Failure::Other(error)) => Err(error),
            Err(Failure::Unsent(message, source)) => Err(SendError::Connect { message, source }),
        }
    }

    /// Drops connections that have been unused for too long, and what is remembered for nothing.
    pub(crate) fn sweep(&self, now: Instant) {
        self.instances.borrow_mut().retain(|_, instance| {
            let mut idle = instance.idle.borrow_mut();
            idle.retain(|idle| {
                now.duration_since(idle.since) < self.limits.idle && is_alive(&idle.stream)
            });
            instance.calls.sweep(now, self.limits.idle);
            !idle.is_empty()
                || !instance.calls.is_empty()
                || instance.in_flight.get() > 0
                || !instance.health.is_blank(now)
        });
    }

    /// A request begins at an instance.
    pub(super) fn lease(self: &Rc<Self>, instance: &Rc<Instance>) -> Lease {
        instance.set_in_flight(instance.in_flight.get() + 1);
        Lease {
            instance: Rc::clone(instance),
            pool: Rc::clone(self),
        }
    }

    /// The connection used last is the one least likely to have been closed since.
    fn take(&self, instance: &Instance) -> Option<TcpStream> {
        let mut idle = instance.idle.borrow_mut();
        while let Some(connection) = idle.pop() {
            if connection.since.elapsed() < self.limits.idle && is_alive(&connection.stream) {
                return Some(connection.stream);
            }
        }
        None
    }

    /// A new connection.
    pub(super) async fn connect(&self, instance: &Instance) -> io::Result<TcpStream> {
        let opening = TcpStream::connect(&*instance.address);
        let opened = tokio::time::timeout(self.limits.connect, opening).await;
        let now = Instant::now();
        match opened {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                Ok(stream)
            }
            Ok(Err(error)) => {
                instance.health.refused(now);
                Err(error)
            }
            Err(_elapsed) => {
                instance.health.kept_waiting(now);
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    /// Waits for an answer's head. The time runs from the last piece of the request that went on,
    /// so that a long upload isn't taken for a slow upstream.
    async fn exchange(
        &self,
        stream: TcpStream,
        message: Message,
        lease: &Lease,
        patience: Duration,
    ) -> Result<(ResponseHead, Exchange), Failure> {
        let health = &lease.instance.health;
        let inbox = self.buffers.borrow_mut().pop().unwrap_or_default();
        let mut exchange = Exchange::new(stream, inbox, message);
        let deadline = self.deadlines.at(Instant::now() + patience);
        let answered = poll_fn(|cx| {
            if let Poll::Ready(head) = exchange.poll_head(cx, self.limits.heads) {
                return Poll::Ready(Some(head));
            }
            if exchange.has_progressed() {
                deadline.extend(Instant::now() + patience);
            }
            if deadline.is_over(cx) {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        });
        match answered.await {
            Some(Ok(head)) => {
                health.answered();
                Ok((head, exchange))
            }
            Some(Err(Broken::Body(BodyError::TooLarge))) => Err(SendError::TooLarge.into()),
            Some(Err(Broken::Body(BodyError::Client(_)))) => Err(SendError::BadBody.into()),
            Some(Err(Broken::Early(error))) => {
                health.refused(Instant::now());
                Err(match exchange.unsent() {
                    Ok(message) => Failure::Unsent(Box::new(message), error),
                    Err(exchange) => SendError::Stale(Box::new(exchange.again())).into(),
                })
            }
            Some(Err(error)) => Err(SendError::Broken(error).into()),
            None if exchange.waits_for_client() => Err(SendError::ClientSlow.into()),
            None => {
                health.kept_waiting(Instant::now());
                Err(SendError::Slow.into())
            }
        }
    }
}

enum Failure {
    Unsent(Box<Message>, io::Error),
    Other(SendError),
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self::Other(error)
    }
}

/// Whether an unused connection is still open and silent: whatever comes unasked would be taken for
/// the next answer.
fn is_alive(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0]);
    matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

impl Lease {
    /// Where the request is under way.
    pub(super) fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The answer has ended; its connection is kept if it can serve another.
    pub(crate) fn end(self, exchange: Exchange, keep_alive: bool) {
        let kept = keep_alive && exchange.is_clean();
        let (stream, mut inbox) = exchange.into_parts();
        inbox.clear();
        let mut buffers = self.pool.buffers.borrow_mut();
        if inbox.capacity() > 0
            && inbox.capacity() <= LARGEST_SPARE
            && buffers.len() < SPARE_BUFFERS
        {
            buffers.push(mem::take(&mut inbox));
        }
        let mut idle = self.instance.idle.borrow_mut();
        if kept && idle.len() < self.pool.limits.idle_per_upstream {
            let since = Instant::now();
            idle.push(Idle { stream, since });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let left = self.instance.in_flight.get().saturating_sub(1);
        self.instance.set_in_flight(left);
    }
}
