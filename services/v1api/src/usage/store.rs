//! The counts as the database keeps them: what each kind of call came to by hour, day and month.

use std::collections::{BTreeMap, HashMap, HashSet};

use chassis::db::Db;
use chassis::on_backend;
use common::id::ApiKeyId;
use common::time::Time;
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::upsert::excluded;

use super::figures::{Figures, Latencies};
use super::spans::places;
use super::{Batch, OTHER, OwnedCall};
use crate::schema::{api_keys, usage_batches, usage_endpoints, usage_series, usage_sums};

/// How many endpoints of one service are told apart.
pub(crate) const MOST_ENDPOINTS: i64 = 1_000;

/// How many kinds of calls a process keeps in mind.
const MOST_SERIES: usize = 50_000;

/// Which endpoints are told apart, and which kinds of calls have which number, as far as this process
/// has asked.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    known: HashSet<(String, String)>,
    full: HashSet<String>,
    series: HashMap<OwnedCall, i64>,
}

impl Endpoints {
    /// The name under which a service's endpoint is counted.
    fn name(&mut self, db: &mut Db, call: &OwnedCall) -> QueryResult<String> {
        use usage_endpoints::dsl as e;
        let key = (call.service.clone(), call.endpoint.clone());
        if call.endpoint == OTHER || self.known.contains(&key) {
            return Ok(call.endpoint.clone());
        }
        if self.full.contains(&call.service) {
            return Ok(OTHER.into());
        }
        let row = e::usage_endpoints.find((&call.service, &call.endpoint));
        if diesel::select(diesel::dsl::exists(row)).get_result::<bool>(db)? {
            self.known.insert(key);
            return Ok(call.endpoint.clone());
        }
        let count: i64 = e::usage_endpoints
            .filter(e::service.eq(&call.service))
            .select(count_star())
            .first(db)?;
        if count >= MOST_ENDPOINTS {
            self.full.insert(call.service.clone());
            return Ok(OTHER.into());
        }
        let row = (e::service.eq(&call.service), e::endpoint.eq(&call.endpoint));
        on_backend!(db, conn => {
            diesel::insert_into(e::usage_endpoints).values(row).on_conflict_do_nothing().execute(conn)
        })?;
        // Not `known` before it is committed; the next batch finds it.
        Ok(call.endpoint.clone())
    }

    /// The number of a kind of call, whenever it was.
    fn series(&mut self, db: &mut Db, call: &OwnedCall) -> QueryResult<i64> {
        use usage_series::dsl as s;
        let kind = OwnedCall {
            hour: 0,
            ..call.clone()
        };
        if let Some(&id) = self.series.get(&kind) {
            return Ok(id);
        }
        let status_class = i64::from(kind.status_class);
        let row = (
            s::user_id.eq(&kind.user),
            s::service.eq(&kind.service),
            s::endpoint.eq(&kind.endpoint),
            s::method.eq(&kind.method),
            s::status_class.eq(status_class),
            s::key_id.eq(&kind.key),
        );
        on_backend!(db, conn => {
            diesel::insert_into(s::usage_series).values(row).on_conflict_do_nothing().execute(conn)
        })?;
        let id = s::usage_series
            .filter(s::user_id.eq(&kind.user).and(s::service.eq(&kind.service)))
            .filter(
                s::endpoint
                    .eq(&kind.endpoint)
                    .and(s::method.eq(&kind.method)),
            )
            .filter(
                s::status_class
                    .eq(status_class)
                    .and(s::key_id.eq(&kind.key)),
            )
            .select(s::id)
            .first(db)?;
        if self.series.len() >= MOST_SERIES {
            self.series.clear();
        }
        // Forgotten with all of this if the transaction fails.
        self.series.insert(kind, id);
        Ok(id)
    }
}

/// The last batch of this epoch that has been applied; 0 for none.
pub(super) fn applied(db: &mut Db, epoch: &str) -> QueryResult<i64> {
    let row = usage_batches::table.find(epoch);
    let batch = row.select(usage_batches::batch).first(db).optional()?;
    Ok(batch.unwrap_or_default())
}

/// Applies a batch, unless it has been.
pub(super) fn apply(
    db: &mut Db,
    epoch: &str,
    number: i64,
    batch: &Batch,
    endpoints: &mut Endpoints,
    now: Time,
) -> QueryResult<()> {
    use usage_batches::dsl as b;
    let row = (b::epoch.eq(epoch), b::batch.eq(0));
    on_backend!(db, conn => {
        diesel::insert_into(b::usage_batches).values(row).on_conflict_do_nothing().execute(conn)
    })?;
    let earlier = b::usage_batches.find(epoch).filter(b::batch.lt(number));
    let is_new = diesel::update(earlier)
        .set(b::batch.eq(number))
        .execute(db)?
        == 1;
    if is_new {
        add(db, batch, endpoints, now)?;
    }
    Ok(())
}

/// Forgets an epoch: its file is gone, and none of its batches can come again.
pub(super) fn forget(db: &mut Db, epoch: &str) -> QueryResult<()> {
    let row = usage_batches::table.find(epoch);
    diesel::delete(row).execute(db).map(drop)
}

/// Adds a batch to the counts, and notes which keys have been used.
fn add(db: &mut Db, batch: &Batch, endpoints: &mut Endpoints, now: Time) -> QueryResult<()> {
    let mut batch: Vec<_> = batch.iter().collect();
    // In one order everywhere: two replicas that add the same rows at once wait, and never deadlock.
    batch.sort_by(|one, other| one.0.cmp(&other.0));
    let mut sums: BTreeMap<(i64, i64, i64), Figures> = BTreeMap::new();
    for (call, figures) in &batch {
        let endpoint = endpoints.name(db, call)?;
        let call = OwnedCall {
            endpoint,
            ..call.clone()
        };
        let series = endpoints.series(db, &call)?;
        for (span, start) in places(call.hour) {
            let sum = sums.entry((series, span.number(), start)).or_default();
            sum.add(figures);
        }
    }
    for (place, figures) in &sums {
        add_sum(db, *place, figures)?;
    }
    let used: std::collections::BTreeSet<_> = batch
        .iter()
        .map(|(call, _)| &call.key)
        .filter(|key| !key.is_empty())
        .collect();
    for key in used {
        if let Ok(id) = key.parse::<ApiKeyId>() {
            diesel::update(api_keys::table.find(id))
                .set(api_keys::last_used_at.eq(now))
                .execute(db)?;
        }
    }
    Ok(())
}

/// Adds to a sum, which is locked from then on: what it holds of latencies is then read and written
/// back, since neither database can add them.
fn add_sum(
    db: &mut Db,
    (series, span, start): (i64, i64, i64),
    figures: &Figures,
) -> QueryResult<()> {
    use usage_sums::dsl as u;
    let row = (
        u::series.eq(series),
        u::span.eq(span),
        u::start.eq(start),
        u::calls.eq(figures.calls),
        u::bytes_in.eq(figures.bytes_in),
        u::bytes_out.eq(figures.bytes_out),
        u::latencies.eq(Vec::new()),
    );
    let before: Vec<u8> = on_backend!(db, conn => {
        diesel::insert_into(u::usage_sums)
            .values(row)
            .on_conflict((u::series, u::span, u::start))
            .do_update()
            .set((
                u::calls.eq(u::calls + excluded(u::calls)),
                u::bytes_in.eq(u::bytes_in + excluded(u::bytes_in)),
                u::bytes_out.eq(u::bytes_out + excluded(u::bytes_out)),
            ))
            .returning(u::latencies)
            .get_result(conn)
    })?;
    if figures.latencies.is_empty() {
        return Ok(());
    }
    let mut latencies = Latencies::of_bytes(&before);
    latencies.add(&figures.latencies);
    diesel::update(u::usage_sums.find((series, span, start)))
        .set(u::latencies.eq(latencies.to_bytes()))
        .execute(db)
        .map(drop)
}

#[cfg(test)]
pub(super) mod tests {
    use chassis::db::Database;
    use diesel::connection::SimpleConnection as _;
    use testkit::Backend;

    use super::*;

    pub(in crate::usage) async fn database(backend: &Backend) -> Database {
        let migrations = chassis::migrations!(
            "../../migrations/v1api/postgres",
            "../../migrations/v1api/sqlite"
        );
        backend.database("v1api", Some(migrations)).await
    }

    /// All counts, by endpoint.
    pub(in crate::usage) async fn calls(db: &Database) -> Vec<(String, i64)> {
        use {usage_series::dsl as s, usage_sums::dsl as u};
        let hours = s::usage_series.inner_join(u::usage_sums.on(u::series.eq(s::id)));
        let hours = hours.filter(u::span.eq(0)).order(s::endpoint);
        let all = hours.select((s::endpoint, u::calls));
        db.read(move |db| all.load(db)).await.unwrap()
    }

    /// All counts, by user.
    pub(in crate::usage) async fn of_users(db: &Database) -> HashMap<String, u64> {
        use {usage_series::dsl as s, usage_sums::dsl as u};
        let months = s::usage_series.inner_join(u::usage_sums.on(u::series.eq(s::id)));
        let all = months.filter(u::span.eq(2)).select((s::user_id, u::calls));
        let rows: Vec<(String, i64)> = db.read(move |db| all.load(db)).await.unwrap();
        let mut users = HashMap::new();
        for (user, calls) in rows {
            *users.entry(user).or_default() += calls.unsigned_abs();
        }
        users
    }

    pub(in crate::usage) fn batches(db: &mut Db) -> QueryResult<i64> {
        usage_batches::table.select(count_star()).first(db)
    }

    pub(in crate::usage) fn rename(db: &mut Db, from: &str, to: &str) -> QueryResult<()> {
        db.batch_execute(&format!("ALTER TABLE {from} RENAME TO {to}"))
    }
}
