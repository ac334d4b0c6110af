//! Giving out ports for instances.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

/// The ports that instances are given, and which are in use.
///
/// They should lie below the range that the kernel takes outgoing ports from (32768 and up).
#[derive(Debug)]
pub(crate) struct Ports {
    range: RangeInclusive<u16>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    taken: HashSet<u16>,
    last: u16,
}

/// A port that nobody else is given while this lives.
#[derive(Debug)]
pub(crate) struct Reserved {
    port: u16,
    ports: Arc<Ports>,
}

impl Ports {
    /// Begins to count at a random place: two Slipways on one machine then seldom meet.
    pub(crate) fn new(range: RangeInclusive<u16>) -> Arc<Self> {
        let length = u64::from(range.end().saturating_sub(*range.start())) + 1;
        let offset = u16::try_from(common::random::below(length)).unwrap_or_default();
        let last = range.start().saturating_add(offset);
        Arc::new(Self {
            range,
            state: Mutex::new(State {
                taken: HashSet::new(),
                last,
            }),
        })
    }

    /// The next port that is neither given out nor in use. One just freed comes last, so that a
    /// request under way to the old instance can't reach a new one.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Reserved> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in self.range.clone() {
            state.last = if state.last >= *self.range.end() {
                *self.range.start()
            } else {
                state.last + 1
            };
            let port = state.last;
            if !state.taken.contains(&port) && is_free(port) {
                state.taken.insert(port);
                return Some(Reserved {
                    port,
                    ports: Arc::clone(self),
                });
            }
        }
        None
    }

    /// Marks the port of an adopted instance.
    pub(crate) fn keep(self: &Arc<Self>, port: u16) -> Reserved {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .taken
            .insert(port);
        Reserved {
            port,
            ports: Arc::clone(self),
        }
    }

    pub(crate) fn range(&self) -> (u16, u16) {
        (*self.range.start(), *self.range.end())
    }
}

impl Reserved {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.ports
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .taken
            .remove(&self.port);
    }
}

/// On the wildcard address too, which an app may choose to listen on.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_until_it_is_let_go() {
        let ports = Ports::new(28_731..=28_731);
        let first = ports.reserve().unwrap();
        assert!(ports.reserve().is_none());
        drop(first);
        assert_eq!(
            ports.reserve().map(|reserved| reserved.port()),
            Some(28_731)
        );
    }
}
