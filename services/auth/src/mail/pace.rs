//! How many letters somebody can have sent: so that nobody's mailbox is filled through us.

use common::digest::sha256_hex;
use std::net::IpAddr;

use chassis::db::Db;
use chassis::http::ClientAddress;
use common::time::{Span, Time};
use diesel::QueryResult;

use super::store;
use crate::pacing::network;

/// The time in which letters are counted.
const WINDOW: Span = Span::hours(1);
/// The most letters to one mailbox in that time, by one kind of wish.
const TO_ONE: i64 = 5;
/// The most that one client's address can have sent: many people may share one.
const FROM_ONE: i64 = 30;

/// Whom a letter is counted for, as a digest: the table tells nobody's address.
#[derive(Clone, Debug)]
pub struct Subject(String, i64);

impl Subject {
    /// A mailbox, for one kind of wish.
    #[must_use]
    pub fn mailbox(wish: &str, email: &str) -> Self {
        Self(hashed(&format!("mailbox/{wish}/{email}")), TO_ONE)
    }

    /// Where a wish comes from.
    #[must_use]
    pub fn client(address: ClientAddress) -> Option<Self> {
        address
            .0
            .map(|address: IpAddr| Self(hashed(&format!("client/{}", network(address))), FROM_ONE))
    }
}

/// Counts a letter for all of them; answers how long to wait where it is one too many. What it does
/// in the database is the same either way.
pub fn count(db: &mut Db, subjects: &[Subject], now: Time) -> QueryResult<Option<Span>> {
    let mut wait = None;
    for Subject(subject, most) in subjects {
        chassis::db::lock(db, &format!("letters:{subject}"))?;
        let (since, count) = store::count_of(db, subject)?
            .filter(|(since, _)| now - *since < WINDOW)
            .unwrap_or((now, 0));
        if count >= *most {
            wait = wait.max(Some(since + WINDOW - now));
        }
        store::set_count(db, subject, since, count.saturating_add(1))?;
    }
    Ok(wait)
}

/// Removes counts that mean nothing any more.
pub(super) fn clean_up(db: &mut Db, now: Time) -> QueryResult<usize> {
    store::remove_counts(db, now - WINDOW)
}

fn hashed(subject: &str) -> String {
    sha256_hex(subject.as_bytes())
}
