//! The sums of one's calls, a page at a time.
//!
//! A page reads the kinds of calls that are on it in the order of their index, and of each only the
//! sums that make up the time that was asked for: some tens, however many calls there were.

use std::collections::HashMap;

use chassis::db::Db;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::figures::{Figures, Latencies};
use super::page::{Answer, Apart, ByDay, Kind, Page, Place, Question};
use super::spans::{Range, Span, day_of, ranges};
use crate::schema::{usage_series, usage_sums};

/// How many kinds of calls are looked at in one go.
const KINDS: i64 = 100;
/// How many sums are wanted at most in one go, as far as that can be chosen.
const SUMS: i64 = 4_000;
/// How often a page is looked for on; after that it ends early, and the next one goes on.
const LOOKS: usize = 20;

#[derive(Queryable)]
struct Sum {
    series: i64,
    start: i64,
    calls: i64,
    bytes_in: i64,
    bytes_out: i64,
    latencies: Vec<u8>,
}

/// A page: groups in the order of their names, and in each the newest day first.
pub(crate) fn read(db: &mut Db, question: &Question) -> QueryResult<Answer> {
    let by_day = question.apart == Apart::Days;
    let ranges = ranges(question.from, question.to, by_day);
    let each: i64 = ranges.iter().map(|range| range.end - range.start).sum();
    let at_once = if by_day {
        // Each day is a row of the answer.
        (SUMS / each.max(1)).clamp(1, KINDS)
    } else {
        KINDS
    };
    let mut page = Page::new(question);
    let mut from = question.after.clone();
    for look in 0.. {
        let kinds = kinds(db, &question.user, from.as_ref(), at_once)?;
        let is_last = kinds.len() < usize::try_from(at_once).unwrap_or(usize::MAX);
        from = kinds.last().map(Place::behind);
        let found = sums(db, &kinds, &ranges)?;
        #[cfg(test)]
        {
            page.sums += found.iter().map(|(_, sums)| sums.len()).sum::<usize>();
        }
        let mut figures = figures(found, by_day);
        for kind in kinds {
            let of_kind = figures.remove(&kind.id).unwrap_or_default();
            page.add(kind, of_kind);
        }
        if is_last {
            page.complete();
            break;
        }
        // Never within a group: its keys belong together.
        if page.is_full() || look >= LOOKS && page.has_passed() {
            break;
        }
    }
    Ok(page.finish())
}

/// The kinds of somebody's calls from a place on.
fn kinds(db: &mut Db, user: &str, from: Option<&Place>, limit: i64) -> QueryResult<Vec<Kind>> {
    use usage_series::dsl as s;
    let mut query = s::usage_series
        .filter(s::user_id.eq(user.to_owned()))
        .select((
            s::id,
            s::service,
            s::endpoint,
            s::method,
            s::status_class,
            s::key_id,
        ))
        .order((
            s::service,
            s::endpoint,
            s::method,
            s::status_class,
            s::key_id,
        ))
        .limit(limit)
        .into_boxed();
    if let Some(Place { name, key, day }) = from.cloned() {
        let (service, endpoint, method, status_class) = name;
        let four = "(service, endpoint, method, status_class)";
        let start = match (&key, day) {
            (Some(_), _) => "(service, endpoint, method, status_class, key_id) > (".to_owned(),
            // Days of this one are still to come.
            (None, Some(_)) => format!("{four} >= ("),
            (None, None) => format!("{four} > ("),
        };
        let place = sql::<Bool>(&start)
            .bind::<Text, _>(service)
            .sql(", ")
            .bind::<Text, _>(endpoint)
            .sql(", ")
            .bind::<Text, _>(method)
            .sql(", ")
            .bind::<BigInt, _>(status_class);
        query = match key {
            Some(key) => query.filter(place.sql(", ").bind::<Text, _>(key).sql(")")),
            None => query.filter(place.sql(")")),
        };
    }
    query.load(db)
}

/// The sums of these kinds that make up the ranges.
fn sums(db: &mut Db, kinds: &[Kind], ranges: &[Range]) -> QueryResult<Vec<(Span, Vec<Sum>)>> {
    use usage_sums::dsl as u;
    let ids: Vec<_> = kinds.iter().map(|kind| kind.id).collect();
    // One query for each: so that each is a range of the primary key.
    let of_range = |range: &Range| {
        let query = u::usage_sums
            .filter(u::series.eq_any(&ids))
            .filter(u::span.eq(range.span.number()))
            .filter(u::start.ge(range.start).and(u::start.lt(range.end)))
            .select((
                u::series,
                u::start,
                u::calls,
                u::bytes_in,
                u::bytes_out,
                u::latencies,
            ));
        Ok((range.span, query.load(db)?))
    };
    ranges.iter().map(of_range).collect()
}

/// What each kind came to.
fn figures(sums: Vec<(Span, Vec<Sum>)>, by_day: bool) -> HashMap<i64, ByDay> {
    let mut figures: HashMap<i64, ByDay> = HashMap::new();
    let all = sums
        .into_iter()
        .flat_map(|(span, sums)| sums.into_iter().map(move |sum| (span, sum)));
    for (span, sum) in all {
        let day = match span {
            _ if !by_day => 0,
            Span::Hour => day_of(sum.start),
            Span::Day | Span::Month => sum.start,
        };
        let days = figures.entry(sum.series).or_default();
        days.entry(day).or_default().add(&Figures {
            calls: sum.calls,
            bytes_in: sum.bytes_in,
            bytes_out: sum.bytes_out,
            latencies: Latencies::of_bytes(&sum.latencies),
        });
    }
    figures
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use chassis::db::Database;
    use common::random;
    use common::time::Time;
    use diesel::connection::SimpleConnection as _;
    use testkit::on_both_backends;

    use super::super::figures::Spent;
    use super::super::page::{Group, Name};
    use super::super::store::{self, Endpoints, tests::database};
    use super::super::{Batch, OwnedCall};
    use super::*;

    /// The hour at which somebody asks: the eleventh of a day in the middle of a month.
    const NOW: i64 = 24 * 19_797 + 11;

    fn question(from: i64, apart: Apart, limit: usize) -> Question {
        Question {
            user: "user_1".into(),
            from,
            to: NOW + 1,
            apart,
            after: None,
            limit,
        }
    }

    async fn ask(db: &Database, question: &Question) -> Answer {
        let question = question.clone();
        db.read(move |db| read(db, &question)).await.unwrap()
    }

    /// All pages.
    async fn all(db: &Database, mut question: Question) -> Vec<Group> {
        let mut groups = Vec::new();
        loop {
            let answer = ask(db, &question).await;
            assert!(answer.groups.len() <= question.limit);
            groups.extend(answer.groups);
            if answer.next.is_none() {
                return groups;
            }
            question.after = answer.next;
        }
    }

    fn pick<'a>(from: &[&'a str]) -> &'a str {
        let at = random::below(from.len() as u64);
        from[usize::try_from(at).unwrap()]
    }

    /// Calls over a hundred days, of two people.
    fn calls() -> Batch {
        let call = |_| {
            let mut figures = Figures::default();
            for _ in 0..=random::below(3) {
                figures.count(&Spent {
                    time: Duration::from_micros(random::below(100_000)),
                    bytes_in: random::below(100),
                    bytes_out: random::below(1_000),
                });
            }
            let call = OwnedCall {
                user: pick(&["user_1", "user_2"]).into(),
                key: pick(&["", "key_1", "key_2", "key_3"]).into(),
                service: pick(&["shop", "other"]).into(),
                endpoint: pick(&["/a", "/b", "/B", "/č"]).into(),
                method: pick(&["GET", "POST"]).into(),
                status_class: if random::below(4) == 0 { 4 } else { 2 },
                hour: NOW - i64::try_from(random::below(2_400)).unwrap(),
            };
            (call, figures)
        };
        (0..1_500).map(call).collect()
    }

    /// What a reader is told, put together the slow way.
    fn expected(batch: &Batch, question: &Question) -> BTreeMap<(Name, String, i64), Figures> {
        let mut groups: BTreeMap<_, Figures> = BTreeMap::new();
        let hours = question.from..question.to;
        for (call, figures) in batch {
            if call.user != question.user || !hours.contains(&call.hour) {
                continue;
            }
            let name = (
                call.service.clone(),
                call.endpoint.clone(),
                call.method.clone(),
                i64::from(call.status_class),
            );
            let (key, day) = match question.apart {
                Apart::Endpoints => (String::new(), 0),
                Apart::Keys => (call.key.clone(), 0),
                Apart::Days => (String::new(), call.hour / 24),
            };
            groups.entry((name, key, day)).or_default().add(figures);
        }
        groups
    }

    on_both_backends! {
        async fn pages_of_any_size_tell_each_call_once(backend: Backend) {
            let db = database(&backend).await;
            let batch = calls();
            // In parts, so that sums are added to.
            for (number, part) in batch.chunks(400).enumerate() {
                let (part, number) = (part.to_vec(), i64::try_from(number).unwrap() + 1);
                let mut endpoints = Endpoints::default();
                db.write(move |db| store::apply(db, "epoch", number, &part, &mut endpoints, Time::EPOCH)).await.unwrap();
            }
            for apart in [Apart::Endpoints, Apart::Keys, Apart::Days] {
                for (from, limit) in [(NOW - 5, 100), (NOW - 720, 7), (NOW - 2_399, 100), (NOW - 2_399, 3)] {
                    let question = question(from, apart, limit);
                    let mut wanted = expected(&batch, &question);
                    for group in all(&db, question.clone()).await {
                        let key = if apart == Apart::Keys { group.key } else { String::new() };
                        let name = (group.service, group.endpoint, group.method, group.status_class);
                        let place = (name, key, group.day);
                        assert_eq!(wanted.remove(&place), Some(group.figures), "{place:?} of {question:?}");
                    }
                    assert!(wanted.is_empty(), "{wanted:?} not told to {question:?}");
                }
            }
        }

        async fn a_page_reads_few_rows_of_many(backend: Backend) {
            let db = database(&backend).await;
            let (series, hours) = (150, 24 * 100);
            let numbers = |most: i64| {
                format!("(WITH RECURSIVE up(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM up WHERE n < {most} - 1) SELECT n FROM up)")
            };
            let made = [
                format!("INSERT INTO usage_series (id, user_id, service, endpoint, method, status_class, key_id) \
                    SELECT n, 'user_1', 'shop', '/' || n, 'GET', 2, '' FROM {} AS n", numbers(series)),
                format!("INSERT INTO usage_sums (series, span, start, calls, bytes_in, bytes_out, latencies) \
                    SELECT s.id, 0, {NOW} - h.n, 1, 0, 0, '' FROM usage_series s, {} AS h", numbers(hours)),
                "INSERT INTO usage_sums (series, span, start, calls, bytes_in, bytes_out, latencies) \
                    SELECT series, 1, start / 24, count(*), 0, 0, '' FROM usage_sums GROUP BY series, start / 24".into(),
            ];
            db.write(move |db| made.iter().try_for_each(|sql| db.batch_execute(sql))).await.unwrap();
            let page = ask(&db, &question(NOW - 720, Apart::Endpoints, 100)).await;
            assert_eq!(page.groups.len(), 100);
            assert!(page.groups.iter().all(|group| group.figures.calls == 721), "{:?}", page.groups[0]);
            // Of 375,000: for each kind at most 46 hours and 30 days.
            assert!(page.sums <= 150 * 76, "{} rows", page.sums);
            let by_day = ask(&db, &question(NOW - 720, Apart::Days, 100)).await;
            assert_eq!(by_day.groups.len(), 100);
            assert!(by_day.sums <= usize::try_from(SUMS).unwrap() * 2, "{} rows", by_day.sums);
        }

        async fn kinds_without_calls_in_the_time_are_passed_over(backend: Backend) {
            let db = database(&backend).await;
            let made = "INSERT INTO usage_series (id, user_id, service, endpoint, method, status_class, key_id) \
                WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 5000) \
                SELECT n, 'user_1', 'shop', '/' || (10000 + n), 'GET', 2, '' FROM up; \
                INSERT INTO usage_sums (series, span, start, calls, bytes_in, bytes_out, latencies) \
                SELECT id, 0, 0, 1, 0, 0, '' FROM usage_series WHERE id = 5000";
            db.write(move |db| db.batch_execute(made)).await.unwrap();
            let question = Question { to: 10, ..question(0, Apart::Endpoints, 10) };
            let first = ask(&db, &question).await;
            assert!(first.groups.is_empty() && first.next.is_some(), "a page ends early rather than late");
            let found = all(&db, question).await;
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].endpoint, "/15000");
        }
    }
}
