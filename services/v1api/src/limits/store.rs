//! Quotas as the database keeps them: what has been handed out of each, and to whom.
//!
//! `quota_windows.used` is what can't be handed out any more in the present window: what has been
//! used, and what processes hold. Of that, `quota_shares.held` is what each process hadn't used yet when
//! it last told. Both change together, while the quota is locked.

use chassis::db::{Db, lock};
use chassis::on_backend;
use common::time::Time;
use diesel::dsl::count_star;
use diesel::prelude::*;

use super::{Limit, Period, from_text, to_text};
use crate::rules::store::next_seq;
use crate::schema::{quota_limits, quota_processes, quota_shares, quota_windows};

/// The largest share, so that a process that is lost costs no more than that.
pub(crate) const LARGEST_SHARE: i64 = 10_000;

/// What a process asks for, for one quota.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Whose quota.
    pub(crate) subject: String,
    /// Its period.
    pub(crate) period: Period,
    /// How much it is.
    pub(crate) quota: i64,
    /// The window that the process is in, by its clock.
    pub(crate) window: (i64, i64),
    /// The window that what it holds is of.
    pub(crate) starts: i64,
    /// What it told last to hold, as far as it knows that this was heard.
    pub(crate) told: i64,
    /// What it holds now.
    pub(crate) left: i64,
    /// Whether it gives that back instead of asking for more.
    pub(crate) give_back: bool,
}

/// What it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The window that it is for: a later one than asked for, where the others' clocks are ahead.
    pub(crate) window: (i64, i64),
    /// How many calls more.
    pub(crate) more: i64,
    /// What it holds by that, as it stands in the database now.
    pub(crate) told: i64,
    /// What is left for everybody.
    pub(crate) left: i64,
    /// How much it may hold.
    pub(crate) share: i64,
}

/// How much one of `processes` may hold, of a quota of which so much isn't used.
fn share(quota: i64, left: i64, processes: i64) -> i64 {
    // Towards the end in small pieces: nobody is to be refused because of what another one hoards.
    (left / (2 * processes.max(1)))
        .min(quota / 10)
        .clamp(1, LARGEST_SHARE)
}

/// Notes that a process is there and holds shares until this time.
pub(crate) fn renew(db: &mut Db, process: &str, until: Time) -> QueryResult<()> {
    use quota_processes::dsl as p;
    on_backend!(db, conn => {
        diesel::insert_into(p::quota_processes)
            .values((p::process.eq(process), p::ends_at.eq(until)))
            .on_conflict(p::process)
            .do_update()
            .set(p::ends_at.eq(until))
            .execute(conn)
    })
    .map(drop)
}

/// Notes that a process is gone, and holds nothing.
pub(crate) fn leave(db: &mut Db, process: &str) -> QueryResult<()> {
    diesel::delete(quota_processes::table.find(process))
        .execute(db)
        .map(drop)
}

/// Hands out what is asked for, as far as there is any. The asks must be in one order everywhere, so
/// that two processes wait for one another and never deadlock.
pub(crate) fn settle(
    db: &mut Db,
    process: &str,
    asks: &[Ask],
    now: Time,
) -> QueryResult<Vec<Grant>> {
    let processes: i64 = quota_processes::table
        .filter(quota_processes::ends_at.gt(now))
        .select(count_star())
        .first(db)?;
    asks.iter()
        .map(|ask| settle_one(db, process, ask, processes, now))
        .collect()
}

fn settle_one(
    db: &mut Db,
    process: &str,
    ask: &Ask,
    processes: i64,
    now: Time,
) -> QueryResult<Grant> {
    let period = ask.period.as_str();
    lock(db, &format!("quota:{}:{period}", ask.subject))?;
    let known: Option<(i64, i64, i64)> = quota_windows::table
        .find((&ask.subject, period))
        .select((
            quota_windows::starts,
            quota_windows::ends,
            quota_windows::used,
        ))
        .first(db)
        .optional()?;
    let (window, mut used) = match known {
        Some((starts, ends, used)) if starts >= ask.window.0 => ((starts, ends), used),
        _ => {
            forget_shares(db, ask)?;
            (ask.window, 0)
        }
    };
    used -= take_back_from_the_lost(db, ask, process, now)?;
    let stands: i64 = quota_shares::table
        .find((&ask.subject, period, process))
        .select(quota_shares::held)
        .first(db)
        .optional()?
        .unwrap_or(0);
    // What it holds of a window that is over counts for nothing.
    let (told, held) = if ask.starts == window.0 {
        (ask.told, ask.left)
    } else {
        (0, 0)
    };
    // The same, but where an answer got lost: then it holds what it knows of, and no more.
    used += told - stands;
    let left = (ask.quota - used).max(0);
    let share = share(ask.quota, left + held, processes);
    let (more, held) = if ask.give_back {
        (-held, 0)
    } else {
        let more = (share - held).clamp(0, left);
        (more, held + more)
    };
    used += more;
    put_window(db, ask, window, used)?;
    put_share(db, ask, process, window.0, held)?;
    Ok(Grant {
        window,
        more: more.max(0),
        told: held,
        left: (ask.quota - used).max(0),
        share,
    })
}

/// Shares of windows that are over.
fn forget_shares(db: &mut Db, ask: &Ask) -> QueryResult<()> {
    use quota_shares::dsl as s;
    diesel::delete(
        s::quota_shares.filter(
            s::subject
                .eq(&ask.subject)
                .and(s::period.eq(ask.period.as_str())),
        ),
    )
    .execute(db)
    .map(drop)
}

/// Takes the shares of processes whose lease is over, and tells how much that is.
fn take_back_from_the_lost(db: &mut Db, ask: &Ask, own: &str, now: Time) -> QueryResult<i64> {
    use quota_shares::dsl as s;
    let alive: Vec<String> = quota_processes::table
        .filter(quota_processes::ends_at.gt(now))
        .select(quota_processes::process)
        .load(db)?;
    let lost = || {
        s::quota_shares.filter(
            s::subject
                .eq(&ask.subject)
                .and(s::period.eq(ask.period.as_str()))
                .and(s::process.ne(own))
                .and(diesel::dsl::not(s::process.eq_any(alive.clone()))),
        )
    };
    let shares: Vec<i64> = lost().select(s::held).load(db)?;
    if !shares.is_empty() {
        diesel::delete(lost()).execute(db)?;
    }
    Ok(shares.iter().sum())
}

fn put_window(db: &mut Db, ask: &Ask, window: (i64, i64), used: i64) -> QueryResult<()> {
    use quota_windows::dsl as w;
    let values = (
        w::starts.eq(window.0),
        w::ends.eq(window.1),
        w::used.eq(used),
    );
    let row = (
        w::subject.eq(&ask.subject),
        w::period.eq(ask.period.as_str()),
        values,
    );
    on_backend!(db, conn => {
        diesel::insert_into(w::quota_windows)
            .values(row)
            .on_conflict((w::subject, w::period))
            .do_update()
            .set(values)
            .execute(conn)
    })
    .map(drop)
}

fn put_share(db: &mut Db, ask: &Ask, process: &str, starts: i64, held: i64) -> QueryResult<()> {
    use quota_shares::dsl as s;
    if held == 0 {
        let row = s::quota_shares.find((&ask.subject, ask.period.as_str(), process));
        return diesel::delete(row).execute(db).map(drop);
    }
    let values = (s::starts.eq(starts), s::held.eq(held));
    let row = (
        s::subject.eq(&ask.subject),
        s::period.eq(ask.period.as_str()),
        s::process.eq(process),
        values,
    );
    on_backend!(db, conn => {
        diesel::insert_into(s::quota_shares)
            .values(row)
            .on_conflict((s::subject, s::period, s::process))
            .do_update()
            .set(values)
            .execute(conn)
    })
    .map(drop)
}

/// Removes what tells of windows that are over and of processes that have long gone.
pub(crate) fn clean(db: &mut Db, now: Time, gone_since: Time) -> QueryResult<()> {
    let over: Vec<(String, String)> = quota_windows::table
        .filter(quota_windows::ends.lt(gone_since.unix()))
        .select((quota_windows::subject, quota_windows::period))
        .load(db)?;
    for (subject, period) in over {
        lock(db, &format!("quota:{subject}:{period}"))?;
        let row = quota_windows::table
            .find((&subject, &period))
            .filter(quota_windows::ends.lt(now.unix()));
        if diesel::delete(row).execute(db)? > 0 {
            let shares = quota_shares::table.filter(
                quota_shares::subject
                    .eq(&subject)
                    .and(quota_shares::period.eq(&period)),
            );
            diesel::delete(shares).execute(db)?;
        }
    }
    diesel::delete(quota_processes::table.filter(quota_processes::ends_at.lt(gone_since)))
        .execute(db)
        .map(drop)
}

/// The limits of a subject and their version; 0 where there are none yet.
pub(crate) fn limits(db: &mut Db, subject: &str) -> QueryResult<(Vec<Limit>, i64)> {
    let row: Option<(String, i64)> = quota_limits::table
        .find(subject)
        .select((quota_limits::limits, quota_limits::version))
        .first(db)
        .optional()?;
    Ok(row.map_or((Vec::new(), 0), |(text, version)| {
        (from_text(&text), version)
    }))
}

/// Sets the limits of a subject, if they still are of this version; the next version, or none if they
/// aren't.
pub(crate) fn set_limits(
    db: &mut Db,
    subject: &str,
    limits: &[Limit],
    expected: Option<i64>,
    now: Time,
) -> QueryResult<Option<i64>> {
    use quota_limits::dsl as q;
    // Whoever changes rules does so alone, so what is read here stays.
    let seq = next_seq(db)?;
    let (_, version) = self::limits(db, subject)?;
    if expected.is_some_and(|expected| expected != version) {
        return Ok(None);
    }
    let values = (
        q::limits.eq(to_text(limits)),
        q::version.eq(version + 1),
        q::updated_at.eq(now),
        q::seq.eq(seq),
    );
    let set = values.clone();
    let row = (q::subject.eq(subject), values);
    on_backend!(db, conn => {
        diesel::insert_into(q::quota_limits)
            .values(row)
            .on_conflict(q::subject)
            .do_update()
            .set(set)
            .execute(conn)
    })?;
    Ok(Some(version + 1))
}

/// What of a quota has been used in the window of this time, as far as processes have told.
pub(crate) fn used(db: &mut Db, subject: &str, period: Period, now: Time) -> QueryResult<i64> {
    let window: Option<i64> = quota_windows::table
        .find((subject, period.as_str()))
        .filter(quota_windows::ends.gt(now.unix()))
        .select(quota_windows::used)
        .first(db)
        .optional()?;
    let Some(used) = window else { return Ok(0) };
    let shares = quota_shares::table.filter(
        quota_shares::subject
            .eq(subject)
            .and(quota_shares::period.eq(period.as_str())),
    );
    let held: Vec<i64> = shares.select(quota_shares::held).load(db)?;
    Ok(used - held.iter().sum::<i64>())
}
