//! The bus within one process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::bus::PublishError;
use super::consumer::Consumer;
use super::message::Message;
use super::signals::Signals;

/// Puts events into the consumers' inboxes itself. An event is taken once each of their
/// databases has committed it, so that it is as durable as with a broker between.
#[derive(Clone, Debug, Default)]
pub struct InProcess {
    consumers: Arc<RwLock<Vec<Consumer>>>,
    open: Arc<AtomicBool>,
    signals: Signals,
}

impl InProcess {
    pub(super) fn subscribe(&self, consumer: Consumer) {
        self.consumers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(consumer);
    }

    pub(super) fn signals(&self) -> &Signals {
        &self.signals
    }

    pub(super) fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) async fn publish(&self, messages: &[Message]) -> Vec<Result<(), PublishError>> {
        let consumers = self
            .consumers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut refused = None;
        for consumer in &consumers {
            // The others get theirs all the same; a second delivery changes nothing with them.
            if let Err(error) = consumer.deliver(messages).await {
                refused = Some((consumer.service().to_owned(), error.to_string()));
            }
        }
        messages
            .iter()
            .map(|_| refused.clone().map_or(Ok(()), refusal))
            .collect()
    }
}

fn refusal((service, error): (String, String)) -> Result<(), PublishError> {
    Err(PublishError::Consumer { service, error })
}
