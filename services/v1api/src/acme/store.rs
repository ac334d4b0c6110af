//! Accounts, certificates and challenges in the database.

use std::collections::BTreeSet;

use chassis::db::Db;
use chassis::on_backend;
use common::api::v1api::CertificateProblem;
use common::time::{Span, Time};
use diesel::dsl::max;
use diesel::prelude::*;

use super::standing;
use crate::schema::{acme_accounts, acme_certificates, acme_challenges, domain_routes};
use crate::table::store::next_seq;

/// How long a challenge is kept at most: the longest that an order may take, many times over.
const KEEP_CHALLENGES: Span = Span::hours(24);

/// The sealed credentials of an account.
pub(super) fn account(db: &mut Db, directory: &str) -> QueryResult<Option<Vec<u8>>> {
    acme_accounts::table
        .find(directory)
        .select(acme_accounts::sealed)
        .first(db)
        .optional()
}

/// Keeps the sealed credentials of a new account.
pub(super) fn put_account(
    db: &mut Db,
    directory: &str,
    sealed: &[u8],
    now: Time,
) -> QueryResult<()> {
    diesel::insert_into(acme_accounts::table)
        .values((
            acme_accounts::directory.eq(directory),
            acme_accounts::sealed.eq(sealed),
            acme_accounts::created_at.eq(now),
        ))
        .execute(db)
        .map(drop)
}

/// Forgets an account that its maker doesn't know.
pub(super) fn forget_account(db: &mut Db, directory: &str) -> QueryResult<()> {
    diesel::delete(acme_accounts::table.find(directory))
        .execute(db)
        .map(drop)
}

/// The domains of accounts' own that have been shown to be so.
pub(super) fn verified_domains(db: &mut Db) -> QueryResult<BTreeSet<String>> {
    let domains: Vec<_> = domain_routes::table
        .filter(domain_routes::dropped.eq(false))
        .select(domain_routes::domain)
        .load(db)?;
    Ok(domains.into_iter().collect())
}

/// Whether a domain has been shown to be its account's.
pub(super) fn is_verified(db: &mut Db, domain: &str) -> QueryResult<bool> {
    let found: Option<bool> = domain_routes::table
        .find(domain)
        .select(domain_routes::dropped)
        .first(db)
        .optional()?;
    Ok(found == Some(false))
}

/// The hosts that certificates are got for.
pub(super) fn hosts(db: &mut Db) -> QueryResult<BTreeSet<String>> {
    let hosts: Vec<_> = acme_certificates::table
        .select(acme_certificates::host)
        .load(db)?;
    Ok(hosts.into_iter().collect())
}

/// Begins to get certificates for a host, the first one from this time on.
pub(super) fn add(db: &mut Db, host: &str, due_at: Time) -> QueryResult<()> {
    let seq = next_seq(db)?;
    let row = (
        acme_certificates::host.eq(host),
        acme_certificates::due_at.eq(due_at),
        acme_certificates::round.eq(0),
        acme_certificates::failures.eq(0),
        acme_certificates::seq.eq(seq),
    );
    on_backend!(db, conn => {
        diesel::insert_into(acme_certificates::table).values(row).on_conflict_do_nothing().execute(conn)
    })
    .map(drop)
}

/// Forgets a host, its certificate and its challenges.
pub(super) fn remove(db: &mut Db, host: &str) -> QueryResult<()> {
    diesel::delete(acme_challenges::table.filter(acme_challenges::host.eq(host))).execute(db)?;
    diesel::delete(acme_certificates::table.find(host))
        .execute(db)
        .map(drop)
}

/// The hosts whose time has come, each with its round.
pub(super) fn due(db: &mut Db, now: Time) -> QueryResult<Vec<(String, i64)>> {
    acme_certificates::table
        .filter(acme_certificates::due_at.le(now))
        .order(acme_certificates::due_at)
        .select((acme_certificates::host, acme_certificates::round))
        .limit(100)
        .load(db)
}

/// Plans the order of a round, which makes those before it out of date. If it isn't begun, the next one is due
/// at `again`.
pub(super) fn plan(db: &mut Db, host: &str, round: i64, again: Time) -> QueryResult<()> {
    diesel::update(acme_certificates::table.find(host))
        .set((
            acme_certificates::round.eq(round),
            acme_certificates::due_at.eq(again),
        ))
        .execute(db)
        .map(drop)
}

/// Begins the order of a round, and tells how many in a row have failed before it; none if the host is no
/// longer wanted, or the round is over. If nothing is heard of it, the next one is due at `again`.
pub(super) fn begin(db: &mut Db, host: &str, round: i64, again: Time) -> QueryResult<Option<i64>> {
    let row = acme_certificates::table.find(host);
    let begun = diesel::update(row.filter(acme_certificates::round.eq(round)))
        .set(acme_certificates::due_at.eq(again))
        .execute(db)?;
    if begun == 0 {
        return Ok(None);
    }
    row.select(acme_certificates::failures).first(db).optional()
}

/// Notes that the order of a round failed, which ends the round, and when the next one is due.
pub(super) fn put_failure(
    db: &mut Db,
    host: &str,
    round: i64,
    why: CertificateProblem,
    due_at: Time,
) -> QueryResult<()> {
    let row = acme_certificates::table.find(host);
    diesel::update(row.filter(acme_certificates::round.eq(round)))
        .set((
            acme_certificates::round.eq(round + 1),
            acme_certificates::failures.eq(acme_certificates::failures + 1),
            acme_certificates::last_error.eq(standing::word_of(why)),
            acme_certificates::due_at.eq(due_at),
        ))
        .execute(db)
        .map(drop)
}

/// A certificate as it is kept.
pub(super) struct Kept<'a> {
    pub(super) chain: &'a str,
    pub(super) sealed_key: &'a [u8],
    pub(super) not_after: Time,
    pub(super) due_at: Time,
}

/// Keeps a host's new certificate, which ends the round, if the host is still wanted.
pub(super) fn put_certificate(db: &mut Db, host: &str, kept: &Kept<'_>) -> QueryResult<bool> {
    let seq = next_seq(db)?;
    let put = diesel::update(acme_certificates::table.find(host))
        .set((
            acme_certificates::round.eq(acme_certificates::round + 1),
            acme_certificates::chain.eq(kept.chain),
            acme_certificates::sealed_key.eq(kept.sealed_key),
            acme_certificates::not_after.eq(kept.not_after),
            acme_certificates::due_at.eq(kept.due_at),
            acme_certificates::failures.eq(0),
            acme_certificates::last_error.eq(None::<String>),
            acme_certificates::seq.eq(seq),
        ))
        .execute(db)?;
    Ok(put == 1)
}

/// What tells whether there is anything new: the last change, and how many rows there are.
pub(super) fn state(db: &mut Db) -> QueryResult<(Option<i64>, i64)> {
    let last = acme_certificates::table
        .select(max(acme_certificates::seq))
        .first(db)?;
    Ok((last, acme_certificates::table.count().get_result(db)?))
}

/// A certificate and its sealed key.
#[derive(Queryable)]
pub(super) struct Row {
    pub(super) host: String,
    pub(super) chain: String,
    pub(super) sealed_key: Vec<u8>,
}

/// Every certificate that there is.
pub(super) fn certificates(db: &mut Db) -> QueryResult<Vec<Row>> {
    acme_certificates::table
        .filter(acme_certificates::chain.is_not_null())
        .filter(acme_certificates::sealed_key.is_not_null())
        .order(acme_certificates::host)
        .select((
            acme_certificates::host,
            acme_certificates::chain.assume_not_null(),
            acme_certificates::sealed_key.assume_not_null(),
        ))
        .load(db)
}

/// Has a host show this for a token.
pub(super) fn put_challenge(
    db: &mut Db,
    host: &str,
    token: &str,
    content: &str,
    now: Time,
) -> QueryResult<()> {
    let old = acme_challenges::created_at.lt(now - KEEP_CHALLENGES);
    diesel::delete(acme_challenges::table.filter(old)).execute(db)?;
    let content = acme_challenges::content.eq(content);
    let row = (
        acme_challenges::host.eq(host),
        acme_challenges::token.eq(token),
        content,
        acme_challenges::created_at.eq(now),
    );
    on_backend!(db, conn => diesel::insert_into(acme_challenges::table)
        .values(row)
        .on_conflict((acme_challenges::host, acme_challenges::token))
        .do_update()
        .set(content)
        .execute(conn))
    .map(drop)
}

/// What a host shows for a token.
pub(super) fn challenge(db: &mut Db, host: &str, token: &str) -> QueryResult<Option<String>> {
    acme_challenges::table
        .find((host, token))
        .select(acme_challenges::content)
        .first(db)
        .optional()
}

/// Ends what a host shows.
pub(super) fn end_challenges(db: &mut Db, host: &str) -> QueryResult<()> {
    diesel::delete(acme_challenges::table.filter(acme_challenges::host.eq(host)))
        .execute(db)
        .map(drop)
}

#[cfg(test)]
pub(super) mod tests {
    use chassis::db::Database;
    use testkit::{Backend, on_both_backends};

    use super::*;

    pub(in crate::acme) async fn database(backend: &Backend) -> Database {
        let migrations = chassis::migrations!(
            "../../migrations/v1api/postgres",
            "../../migrations/v1api/sqlite"
        );
        backend.database("v1api", Some(migrations)).await
    }

    on_both_backends! {
        async fn a_failure_puts_off_no_other_host(backend: Backend) {
            let db = database(&backend).await;
            let at = Time::from_unix;
            let due = db.write(move |db| {
                for host in ["a.example", "b.example", "c.example"] {
                    add(db, host, at(1000))?;
                }
                plan(db, "a.example", 1, at(9000))?;
                plan(db, "c.example", 1, at(9000))?;
                put_failure(db, "a.example", 1, CertificateProblem::RateLimited, at(5000))?;
                [1000, 4999, 5000, 9000].into_iter().map(|time| {
                    let mut due: Vec<_> = due(db, at(time))?.into_iter().map(|(host, _)| host).collect();
                    due.sort();
                    Ok(due.join(" "))
                }).collect::<QueryResult<Vec<_>>>()
            }).await.unwrap();
            assert_eq!(due, ["b.example", "b.example", "a.example b.example", "a.example b.example c.example"]);
        }

        async fn each_round_is_ordered_for_once_whatever_else_was_enqueued(backend: Backend) {
            let db = database(&backend).await;
            let at = Time::from_unix;
            db.write(move |db| {
                add(db, "a.example", at(1000))?;
                plan(db, "a.example", 1, at(5000))?;
                plan(db, "a.example", 2, at(9000))?;
                assert_eq!(begin(db, "a.example", 1, at(2000))?, None, "another has been planned since");
                assert_eq!(due(db, at(8999))?, [], "and what is out of date changes nothing");
                assert_eq!(begin(db, "a.example", 2, at(2000))?, Some(0));
                assert_eq!(due(db, at(2000))?.len(), 1, "its time runs from its beginning");
                // A worker that takes over from one that died.
                assert_eq!(begin(db, "a.example", 2, at(3000))?, Some(0));
                put_failure(db, "a.example", 2, CertificateProblem::Failed, at(4000))?;
                assert_eq!(begin(db, "a.example", 2, at(9000))?, None, "it has failed");
                put_failure(db, "a.example", 2, CertificateProblem::Failed, at(9000))?;
                assert_eq!(due(db, at(4000))?, [("a.example".to_owned(), 3)], "that is known already");
                plan(db, "a.example", 4, at(9000))?;
                assert_eq!(begin(db, "a.example", 4, at(9000))?, Some(1));
                let made = Kept { chain: "chain", sealed_key: b"sealed", not_after: at(9000), due_at: at(8000) };
                assert!(put_certificate(db, "a.example", &made)?);
                assert_eq!(begin(db, "a.example", 4, at(9000))?, None, "it has been made");
                assert_eq!(begin(db, "b.example", 4, at(9000))?, None, "nobody wants it");
                Ok::<_, diesel::result::Error>(())
            }).await.unwrap();
        }

        async fn hosts_are_compared_as_they_are_written(backend: Backend) {
            let db = database(&backend).await;
            // In this order by their bytes, in another by the rules of languages.
            let written = ["a-b.example", "a.example", "aa.example", "xn--a.example"];
            let (hosts, certificates) = db.write(move |db| {
                for host in written {
                    add(db, host, Time::from_unix(1000))?;
                    let time = Time::from_unix(2000);
                    put_certificate(db, host, &Kept { chain: "", sealed_key: b"", not_after: time, due_at: time })?;
                }
                Ok::<_, diesel::result::Error>((hosts(db)?, certificates(db)?))
            }).await.unwrap();
            assert_eq!(hosts, written.map(str::to_owned).into());
            let certificates: Vec<_> = certificates.into_iter().map(|row| row.host).collect();
            assert_eq!(certificates, written);
        }

        async fn a_host_that_is_forgotten_keeps_nothing(backend: Backend) {
            let db = database(&backend).await;
            let now = Time::from_unix(1000);
            let kept = db.write(move |db| {
                add(db, "a.example", now)?;
                put_challenge(db, "a.example", "token", "old", now)?;
                put_challenge(db, "a.example", "token", "new", now)?;
                assert_eq!(challenge(db, "a.example", "token")?.as_deref(), Some("new"));
                assert_eq!(challenge(db, "b.example", "token")?, None, "another's host");
                let before = state(db)?;
                let made = Kept { chain: "chain", sealed_key: b"sealed", not_after: now, due_at: now };
                assert!(put_certificate(db, "a.example", &made)?);
                assert_ne!(state(db)?, before, "others see that there is something new");
                assert_eq!(certificates(db)?.len(), 1);
                remove(db, "a.example")?;
                assert_eq!(challenge(db, "a.example", "token")?, None);
                // An order that ends after that brings nothing back.
                put_certificate(db, "a.example", &made)
            }).await.unwrap();
            assert!(!kept);
            assert_eq!(db.read(certificates).await.unwrap().len(), 0);
        }
    }
}
