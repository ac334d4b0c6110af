//! How often who called what, exactly: each call is counted when its status is known, before the
//! first byte of the answer goes to the client.
//!
//! Every worker counts into a [`Tally`] of its own, in a mapped [`file`](CountFile) that outlives
//! a process that is killed; one task brings what has been counted into the database, batch by batch,
//! and takes over the files of processes that are gone.

pub(crate) mod endpoints;
mod figures;
mod file;
pub(crate) mod flush;
pub(crate) mod http;
#[cfg(test)]
mod kills;
mod page;
mod read;
mod spans;
pub(crate) mod store;
mod tally;

use common::time::Time;

pub(crate) use endpoints::{Endpoints, folded};
pub(crate) use figures::{Figures, Spent};
pub(crate) use file::CountFile;
pub(crate) use tally::{Tallies, Tally};

/// What stands for the endpoints beyond those that are told apart.
pub(crate) const OTHER: &str = "other";

/// One call, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Call<'a> {
    /// The caller; empty for nobody known.
    pub(crate) user: &'a str,
    /// The caller's key; empty for none.
    pub(crate) key: &'a str,
    /// The service.
    pub(crate) service: &'a str,
    /// Its endpoint.
    pub(crate) endpoint: &'a str,
    /// The method.
    pub(crate) method: &'a str,
    /// The first digit of the status.
    pub(crate) status_class: u8,
    /// Whole hours since the epoch.
    pub(crate) hour: i64,
}

/// The same, to be kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OwnedCall {
    pub(crate) user: String,
    pub(crate) key: String,
    pub(crate) service: String,
    pub(crate) endpoint: String,
    pub(crate) method: String,
    pub(crate) status_class: u8,
    pub(crate) hour: i64,
}

impl OwnedCall {
    fn of(call: &Call<'_>) -> Self {
        Self {
            user: call.user.to_owned(),
            key: call.key.to_owned(),
            service: call.service.to_owned(),
            endpoint: call.endpoint.to_owned(),
            method: call.method.to_owned(),
            status_class: call.status_class,
            hour: call.hour,
        }
    }

    fn borrowed(&self) -> Call<'_> {
        Call {
            user: &self.user,
            key: &self.key,
            service: &self.service,
            endpoint: &self.endpoint,
            method: &self.method,
            status_class: self.status_class,
            hour: self.hour,
        }
    }
}

/// The whole hours since the epoch.
pub(crate) fn hour_of(time: Time) -> i64 {
    time.unix().div_euclid(3_600)
}

/// The methods that are told apart; any other text that a client sends as one is `OTHER`.
pub(crate) fn known_method(method: &str) -> &str {
    const KNOWN: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    if KNOWN.contains(&method) {
        method
    } else {
        "OTHER"
    }
}

/// A batch of counted calls.
pub(crate) type Batch = Vec<(OwnedCall, Figures)>;

#[cfg(test)]
mod tests {
    use super::{Batch, Call, Spent};

    /// A call of no size, at once.
    pub(super) const NOTHING: Spent = Spent {
        time: std::time::Duration::ZERO,
        bytes_in: 0,
        bytes_out: 0,
    };

    /// How often each endpoint was called.
    pub(super) fn by_endpoint(batch: Batch) -> Vec<(String, i64)> {
        let calls = batch.into_iter();
        let mut calls: Vec<_> = calls
            .map(|(call, figures)| (call.endpoint, figures.calls))
            .collect();
        calls.sort();
        calls
    }

    pub(super) fn call(endpoint: &str) -> Call<'_> {
        Call {
            user: "user_1",
            key: "",
            service: "shop",
            endpoint,
            method: "GET",
            status_class: 2,
            hour: 1,
        }
    }
}
