//! Pacing of sign-ins: wrong tries slow the next ones down, by identity and by address.
//!
//! An unknown identity is paced like a known one, so that being paced tells nothing. A try is
//! counted when it has failed; how many can fail at once before the first is counted is bounded
//! by the queue for hashing.

mod store;

use common::digest::sha256_hex;
use std::net::IpAddr;

use chassis::db::Db;
use chassis::http::ClientAddress;
use common::email::EmailAddress;
use common::id::IdentityId;
use common::time::{Span, Time};
use diesel::QueryResult;

use crate::identities::Realm;

/// The first wait, and the longest.
const FIRST_WAIT: Span = Span::seconds(30);
const LONGEST_WAIT: Span = Span::hours(1);
/// Wrong tries in a row after which none is taken any more.
const STOP: i64 = 100;

/// How one kind of subject is paced.
#[derive(Clone, Copy, Debug)]
struct Rule {
    /// Wrong tries that cost nothing.
    free: i64,
    /// After how long without a wrong try the count begins anew; for an identity it doesn't.
    forget: Option<Span>,
}

const IDENTITY: Rule = Rule {
    free: 5,
    forget: None,
};
/// Many people can share an address, and none of them should stop the others for long.
const ADDRESS: Rule = Rule {
    free: 50,
    forget: Some(Span::hours(2)),
};

/// Codes of second factors: more than one login's tries are free, and none stops for good, for whoever
/// knows a password could else lock its owner out.
const CODES: Rule = Rule {
    free: 10,
    forget: Some(Span::days(1)),
};

/// What a sign-in is counted by.
#[derive(Clone, Debug)]
pub struct Subjects {
    identity: Option<(String, Rule)>,
    address: Option<String>,
}

impl Subjects {
    /// The subjects of a sign-in by this email from this address.
    #[must_use]
    pub fn new(realm: &Realm, email: &EmailAddress, address: ClientAddress) -> Self {
        Self {
            identity: Some((
                hashed(&format!("identity/{}/{}", realm.as_str(), email.as_str())),
                IDENTITY,
            )),
            ..Self::of_address(address)
        }
    }

    /// The subjects of codes that are shown for this identity from this address.
    #[must_use]
    pub fn of_codes(identity: &IdentityId, address: ClientAddress) -> Self {
        Self {
            identity: Some((hashed(&format!("codes/{identity}")), CODES)),
            ..Self::of_address(address)
        }
    }

    /// The subjects of a try that names nobody: by a code, say.
    #[must_use]
    pub fn of_address(address: ClientAddress) -> Self {
        Self {
            identity: None,
            address: address
                .0
                .map(|address| hashed(&format!("address/{}", network(address)))),
        }
    }

    /// The subject of an identity alone, whose count a new password ends.
    #[must_use]
    pub fn of_identity(realm: &Realm, email: &EmailAddress) -> Self {
        Self::new(realm, email, ClientAddress(None))
    }

    fn all(&self) -> impl Iterator<Item = (&str, Rule)> {
        let identity = self
            .identity
            .iter()
            .map(|(subject, rule)| (subject.as_str(), *rule));
        let address = self
            .address
            .iter()
            .map(|subject| (subject.as_str(), ADDRESS));
        identity.chain(address)
    }
}

/// No try is taken at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong tries")]
pub struct Blocked {
    /// In how many seconds one is taken again.
    pub retry_after: u32,
}

/// Whether a try is taken now.
pub fn check(db: &mut Db, subjects: &Subjects, now: Time) -> QueryResult<Result<(), Blocked>> {
    let mut until = None;
    for (subject, rule) in subjects.all() {
        if let Some(row) = store::find(db, subject)? {
            until = until.max(blocked_until(rule, row.failures, row.last_failed_at));
        }
    }
    Ok(match until {
        Some(until) if until > now => {
            let seconds = (until - now)
                .num_seconds()
                .clamp(0, LONGEST_WAIT.num_seconds() - 1)
                + 1;
            Err(Blocked {
                retry_after: u32::try_from(seconds).unwrap_or(u32::MAX),
            })
        }
        _ => Ok(()),
    })
}

/// Counts a wrong try.
pub fn failed(db: &mut Db, subjects: &Subjects, now: Time) -> QueryResult<()> {
    for (subject, rule) in subjects.all() {
        chassis::db::lock(db, &format!("wrong-tries:{subject}"))?;
        let row = store::find(db, subject)?;
        let counted = row.as_ref().filter(|row| {
            rule.forget
                .is_none_or(|forget| now - row.last_failed_at < forget)
        });
        let failures = counted.map_or(0, |row| row.failures).saturating_add(1);
        let row = store::Row {
            subject: subject.to_owned(),
            failures,
            last_failed_at: now,
        };
        store::upsert(db, &row)?;
    }
    Ok(())
}

/// Begins the identity's count anew. The address's goes on: else whoever has one account of her
/// own could try all others without end.
pub fn succeeded(db: &mut Db, subjects: &Subjects) -> QueryResult<()> {
    match &subjects.identity {
        Some((identity, _)) => store::remove(db, identity),
        None => Ok(()),
    }
}

/// Removes counts that mean nothing any more.
pub fn clean_up(db: &mut Db, now: Time) -> QueryResult<usize> {
    // An identity that is stopped stays so; the others begin anew after a month without a try.
    store::remove_before(db, now - Span::days(30), STOP)
}

fn blocked_until(rule: Rule, failures: i64, last: Time) -> Option<Time> {
    if failures >= STOP {
        // One whose count is never forgotten is stopped for good; only a new password ends that.
        return Some(last + rule.forget.unwrap_or(Span::days(36_500)));
    }
    let beyond = failures - rule.free;
    if beyond < 0 {
        return None;
    }
    let doublings = i32::try_from(beyond.min(10)).unwrap_or(10);
    Some(last + (FIRST_WAIT * 2_i32.pow(doublings.unsigned_abs())).min(LONGEST_WAIT))
}

fn hashed(subject: &str) -> String {
    sha256_hex(subject.as_bytes())
}

/// What one subscriber has: an IPv4 address, or an IPv6 network of 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << 64)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(rule: Rule, failures: i64) -> i64 {
        blocked_until(rule, failures, Time::EPOCH)
            .map_or(0, |until| (until - Time::EPOCH).num_seconds())
    }

    #[test]
    fn waits_double_from_half_a_minute_to_an_hour() {
        let waits: Vec<_> = (4..14).map(|failures| wait(IDENTITY, failures)).collect();
        assert_eq!(waits, [0, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        assert_eq!(wait(IDENTITY, 99), 3_600);
    }

    #[test]
    fn after_a_hundred_in_a_row_an_identity_is_stopped_and_an_address_only_for_a_while() {
        assert!(wait(IDENTITY, 100) > 365 * 86_400);
        assert_eq!(wait(ADDRESS, 100), 7_200);
        assert_eq!(wait(ADDRESS, 49), 0);
    }

    #[test]
    fn a_subscriber_with_many_addresses_counts_as_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn the_table_tells_neither_email_nor_address() {
        let email = EmailAddress::parse("seb@x.dev").unwrap();
        let address = ClientAddress(Some("192.0.2.1".parse().unwrap()));
        let shown = format!("{:?}", Subjects::new(&Realm::Platform, &email, address));
        assert!(!shown.contains("seb") && !shown.contains("192"), "{shown}");
    }
}
