//! The rules as the database has them.

use std::collections::HashMap;

use chassis::db::Db;
use common::time::Time;
use diesel::prelude::*;

use super::{Change, KeyRule};
use crate::keys::ApiKey;
use crate::keys::restrictions::Doors;
use crate::limits::from_text;
use crate::schema::{api_keys, quota_limits, retired_tokens, rule_changes};

/// How many values one query names at most.
const MOST_AT_ONCE: usize = 500;

/// Takes the next number of a change. Whoever has it writes alone until the transaction ends, so
/// that numbers become visible in their order.
pub(crate) fn next_seq(db: &mut Db) -> QueryResult<i64> {
    diesel::update(rule_changes::table)
        .set(rule_changes::seq.eq(rule_changes::seq + 1))
        .execute(db)?;
    last_seq(db)
}

/// The last number.
pub(crate) fn last_seq(db: &mut Db) -> QueryResult<i64> {
    rule_changes::table.select(rule_changes::seq).first(db)
}

/// What has changed after a number. Keys that have ended by themselves are nobody's concern.
pub(crate) fn changes_after(db: &mut Db, seq: i64, now: Time) -> QueryResult<Vec<Change>> {
    let keys: Vec<ApiKey> = api_keys::table
        .filter(api_keys::seq.gt(seq).and(api_keys::expires_at.gt(now)))
        .select(ApiKey::as_select())
        .load(db)?;
    let mut retired: HashMap<String, Vec<(String, Time)>> = HashMap::new();
    if keys.iter().any(|key| key.rotated_at.is_some()) {
        let rotated = keys.iter().filter(|key| key.rotated_at.is_some());
        let ids: Vec<&str> = rotated.map(|key| key.id.as_str()).collect();
        for ids in ids.chunks(MOST_AT_ONCE) {
            let rows: Vec<(String, String, Time)> = retired_tokens::table
                .filter(retired_tokens::key_id.eq_any(ids))
                .select((
                    retired_tokens::key_id,
                    retired_tokens::jti,
                    retired_tokens::ends_at,
                ))
                .load(db)?;
            for (key, jti, ends_at) in rows {
                retired.entry(key).or_default().push((jti, ends_at));
            }
        }
    }
    let limits: Vec<(String, String)> = quota_limits::table
        .filter(quota_limits::seq.gt(seq))
        .select((quota_limits::subject, quota_limits::limits))
        .load(db)?;
    let keys = keys.into_iter().map(|key| {
        let retired = retired.remove(key.id.as_str()).unwrap_or_default();
        Change::Key(rule(&key, retired))
    });
    let limits = limits
        .into_iter()
        .map(|(subject, text)| Change::Limits(subject, from_text(&text)));
    Ok(keys.chain(limits).collect())
}

fn rule(key: &ApiKey, retired: Vec<(String, Time)>) -> KeyRule {
    let restrictions = key.restrictions();
    KeyRule {
        id: key.id.to_string(),
        parent: key.made_by_key.clone(),
        revoked: key.revoked_at.is_some(),
        retired,
        doors: Doors::of(&restrictions),
        limits: restrictions.limits,
        expires_at: key.expires_at,
    }
}
