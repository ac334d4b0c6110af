//! All that the six databases hold.

use std::collections::BTreeMap;
use std::sync::Mutex;

use chassis::db::{Database, Db};
use chassis::platform::{Platform, SERVICES};
use diesel::sql_types::Text;
use diesel::{QueryResult, RunQueryDsl as _};
use testkit::eventually_async;

/// What moves without anybody's doing wrong: how often who called what is counted for the
/// refused as well.
const COUNTS: [&str; 4] = [
    "usage_batches",
    "usage_endpoints",
    "usage_series",
    "usage_sums",
];
/// For the same reason: when a key was last seen.
const LAST_SEEN: (&str, &str) = ("api_keys", "last_used_at");

/// How often the state must be found the same to be taken for one at rest.
const LOOKS: usize = 20;

/// Each table's rows as text, by service and table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State(BTreeMap<String, Vec<String>>);

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

impl State {
    pub(super) async fn of(platform: &Platform) -> Self {
        let mut tables = BTreeMap::<String, Vec<String>>::new();
        for (service, _) in SERVICES {
            for line in rows(service, &platform.context(service).unwrap().db).await {
                let (table, row) = line.split_once(' ').unwrap();
                let rows = tables.entry(format!("{service}.{table}")).or_default();
                rows.push(row.to_owned());
            }
        }
        for rows in tables.values_mut() {
            rows.sort();
        }
        Self(tables)
    }

    /// The state once every event has been told and handled. What is between the broker and an
    /// inbox is in no table: so it has to stay the same for a while.
    pub(super) async fn at_rest(platform: &Platform) -> Self {
        let looks = Mutex::new((Self::of(platform).await, 0));
        eventually_async("nothing is under way", || async {
            let now = Self::of(platform).await;
            let same = now == looks.lock().unwrap().0 && !under_way(platform).await;
            let mut looks = looks.lock().unwrap();
            let seen = if same { looks.1 + 1 } else { 0 };
            *looks = (now, seen);
            (seen >= LOOKS).then(|| looks.0.clone())
        })
        .await
    }

    /// The rows that only one of the two has.
    pub(super) fn difference(&self, other: &Self) -> Vec<String> {
        let only = |one: &Self, other: &Self, sign: char| {
            let mut lines = Vec::new();
            for (table, rows) in &one.0 {
                let known = other.0.get(table);
                if known == Some(rows) {
                    continue;
                }
                for row in rows {
                    if !known.is_some_and(|known| known.contains(row)) {
                        lines.push(format!("{sign} {table}: {row}"));
                    }
                }
            }
            lines
        };
        let mut lines = only(self, other, '-');
        lines.extend(only(other, self, '+'));
        lines
    }
}

async fn under_way(platform: &Platform) -> bool {
    let waiting = "SELECT 'outbox' AS text FROM outbox
        UNION ALL SELECT 'inbox' FROM inbox WHERE state = 'pending'
        UNION ALL SELECT 'jobs' FROM jobs WHERE state IN ('queued', 'running')";
    for (service, _) in SERVICES {
        let db = &platform.context(service).unwrap().db;
        let found: QueryResult<_> = db.read(|db| texts(db, waiting)).await;
        if !found.unwrap().is_empty() {
            return true;
        }
    }
    let mail = "SELECT 'letters' AS text FROM letters WHERE state = 'waiting'
        UNION ALL SELECT 'reset_requests' FROM reset_requests";
    let db = &platform.context("auth").unwrap().db;
    let found: QueryResult<_> = db.read(|db| texts(db, mail)).await;
    !found.unwrap().is_empty()
}

/// The query for all rows of a service's database, by backend and service: a table's columns are
/// looked up once.
static QUERIES: Mutex<BTreeMap<(bool, &str), String>> = Mutex::new(BTreeMap::new());

async fn rows(service: &'static str, db: &Database) -> Vec<String> {
    let found: QueryResult<Vec<String>> = db
        .read(move |db| {
            let key = (matches!(db, Db::Postgres(_)), service);
            let known = QUERIES.lock().unwrap().get(&key).cloned();
            let query = match known {
                Some(query) => query,
                None => query_of_all(db)?,
            };
            let rows = texts(db, &query);
            QUERIES.lock().unwrap().insert(key, query);
            rows
        })
        .await;
    found.unwrap()
}

fn query_of_all(db: &mut Db) -> QueryResult<String> {
    let mut selects = Vec::new();
    for table in tables(db)? {
        if !COUNTS.contains(&table.as_str()) {
            selects.push(select(db, &table)?);
        }
    }
    Ok(selects.join(" UNION ALL "))
}

fn texts(db: &mut Db, query: &str) -> QueryResult<Vec<String>> {
    let lines: Vec<Line> = diesel::sql_query(query).load(db)?;
    Ok(lines.into_iter().map(|line| line.text).collect())
}

/// The names of the service's tables.
fn tables(db: &mut Db) -> QueryResult<Vec<String>> {
    let query = match db {
        Db::Postgres(_) => {
            "SELECT tablename::text AS text FROM pg_tables WHERE schemaname = current_schema()"
        }
        Db::Sqlite(_) => {
            "SELECT name AS text FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        }
    };
    texts(db, query)
}

/// The query that gives a table's name and one row's values in each line.
fn select(db: &mut Db, table: &str) -> QueryResult<String> {
    let (seen_in, seen) = LAST_SEEN;
    match db {
        Db::Postgres(_) => {
            let row = if table == seen_in {
                format!("to_jsonb(t) - '{seen}'")
            } else {
                "to_jsonb(t)".to_owned()
            };
            Ok(format!(
                "SELECT '{table} ' || ({row})::text AS text FROM {table} t"
            ))
        }
        Db::Sqlite(_) => {
            let columns = texts(
                db,
                &format!("SELECT name AS text FROM pragma_table_info('{table}')"),
            )?;
            let values: Vec<_> = columns
                .iter()
                .filter(|column| table != seen_in || *column != seen)
                .map(|column| format!("'{column}=' || quote(\"{column}\")"))
                .collect();
            Ok(format!(
                "SELECT '{table} ' || {} AS text FROM {table}",
                values.join(" || ' ' || ")
            ))
        }
    }
}
