//! Accounts, certificates and challenges in the database.

use chassis::db::Db;
use chassis::on_backend;
use common::time::{Span, Time};
use diesel::dsl::max;
use diesel::prelude::*;

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
pub(super) fn verified_domains(db: &mut Db) -> QueryResult<Vec<String>> {
    domain_routes::table
        .filter(domain_routes::dropped.eq(false))
        .order(domain_routes::domain)
        .select(domain_routes::domain)
        .load(db)
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
pub(super) fn hosts(db: &mut Db) -> QueryResult<Vec<String>> {
    acme_certificates::table
        .order(acme_certificates::host)
        .select(acme_certificates::host)
        .load(db)
}

/// Begins to get certificates for a host.
pub(super) fn add(db: &mut Db, host: &str, now: Time) -> QueryResult<()> {
    let seq = next_seq(db)?;
    let row = (
        acme_certificates::host.eq(host),
        acme_certificates::due_at.eq(now),
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

/// A host whose time has come, and how often an order has been begun for it.
pub(super) fn due(db: &mut Db, now: Time) -> QueryResult<Vec<(String, i64)>> {
    acme_certificates::table
        .filter(acme_certificates::due_at.le(now))
        .order(acme_certificates::due_at)
        .select((acme_certificates::host, acme_certificates::round))
        .limit(100)
        .load(db)
}

/// Begins another order: if nothing is heard of it, the next one is due at `again`.
pub(super) fn begin(db: &mut Db, host: &str, round: i64, again: Time) -> QueryResult<()> {
    diesel::update(acme_certificates::table.find(host))
        .set((
            acme_certificates::round.eq(round),
            acme_certificates::due_at.eq(again),
        ))
        .execute(db)
        .map(drop)
}

/// How many orders in a row have failed; none if the host is no longer wanted.
pub(super) fn failures(db: &mut Db, host: &str) -> QueryResult<Option<i64>> {
    acme_certificates::table
        .find(host)
        .select(acme_certificates::failures)
        .first(db)
        .optional()
}

/// Notes that an order failed, and when the next one is due.
pub(super) fn put_failure(db: &mut Db, host: &str, why: &str, due_at: Time) -> QueryResult<()> {
    diesel::update(acme_certificates::table.find(host))
        .set((
            acme_certificates::failures.eq(acme_certificates::failures + 1),
            acme_certificates::last_error.eq(why),
            acme_certificates::due_at.eq(due_at),
        ))
        .execute(db)
        .map(drop)
}

/// Lets no order begin before this time.
pub(super) fn pause(db: &mut Db, until: Time) -> QueryResult<()> {
    diesel::update(acme_certificates::table.filter(acme_certificates::due_at.lt(until)))
        .set(acme_certificates::due_at.eq(until))
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

/// Keeps a host's new certificate, if the host is still wanted.
pub(super) fn put_certificate(db: &mut Db, host: &str, kept: &Kept<'_>) -> QueryResult<bool> {
    let seq = next_seq(db)?;
    let put = diesel::update(acme_certificates::table.find(host))
        .set((
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
mod tests {
    use chassis::db::Database;
    use testkit::{Backend, on_both_backends};

    use super::*;

    async fn database(backend: &Backend) -> Database {
        let migrations = chassis::migrations!(
            "../../migrations/v1api/postgres",
            "../../migrations/v1api/sqlite"
        );
        backend.database("v1api", Some(migrations)).await
    }

    on_both_backends! {
        async fn a_maker_that_has_had_enough_is_asked_by_nobody(backend: Backend) {
            let db = database(&backend).await;
            let (now, later) = (Time::from_unix(1000), Time::from_unix(5000));
            let due_at = async |time: Time| {
                let due: Vec<_> = db.read(move |db| due(db, time)).await.unwrap();
                due.into_iter().map(|(host, _)| host).collect::<Vec<_>>()
            };
            db.write(move |db| {
                for host in ["a.example", "b.example", "c.example"] {
                    add(db, host, now)?;
                }
                begin(db, "c.example", 1, Time::from_unix(9000))
            })
            .await
            .unwrap();
            assert_eq!(due_at(now).await, ["a.example", "b.example"]);
            db.write(move |db| {
                put_failure(db, "a.example", "enough", later)?;
                pause(db, later)
            })
            .await
            .unwrap();
            assert_eq!(due_at(Time::from_unix(4999)).await, [""; 0]);
            assert_eq!(due_at(later).await.len(), 2);
            assert_eq!(due_at(Time::from_unix(9000)).await.len(), 3);
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
