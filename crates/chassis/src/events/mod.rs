//! Events between services: outbox, bus and inbox.
//!
//! [`emit`] writes an event in the transaction of what it tells. A [`Relay`] carries it to the
//! [`Bus`], which puts it into the inbox of each [`Consumer`]; from then on it is that service's
//! own business. An [`InboxWorker`] runs its [`Handlers`], each event in one transaction with its
//! effect. So an event may come twice or late, and still is applied once and in order.

mod amqp;
mod backoff;
mod bus;
mod consumer;
mod handlers;
mod http;
mod in_process;
mod inbox;
mod inbox_worker;
mod message;
mod outbox;
mod relay;
mod schema;
mod service;
mod signals;

pub use amqp::{AmqpBus, AmqpOptions};
pub use backoff::Backoff;
pub use bus::{Bus, PublishError};
pub use consumer::Consumer;
pub use handlers::{HandlerError, Handlers};
pub use http::routes;
pub use in_process::InProcess;
pub use inbox::{DeadEvent, InboxState, dead, replay};
pub use inbox_worker::{InboxWorker, RetrySchedule};
pub use message::{Message, NotAnEvent};
pub use outbox::{emit, is_waiting};
pub use relay::Relay;
pub use service::ServiceEvents;
pub use signals::{SignalReceiver, Signals};

pub(crate) use backoff::span;
pub(crate) use outbox::announce_feed;
