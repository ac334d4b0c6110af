//! One audit log of those that the services keep.
//!
//! Each service writes what is done there in the very transaction in which it is done, into a table of
//! its own. Read, they are one list: an entry's id begins with its time, so that the ids of all services
//! are in one order, which is the list's, and an id is a place in each of them. A page asks every
//! service for as many entries as it has room for, and keeps the newest. All have to answer: a list
//! that leaves something out without a word would be worse than none.

pub mod http;

use std::collections::BTreeMap;

use chassis::calls::CallError;
use chassis::platform::SERVICES;
use common::api::audit::{AuditEntries, AuditEntry, AuditQuery};
use common::page::{Page, PageQuery};
use futures_util::future::try_join_all;

use crate::state::State;

/// An entry, and the service in which it was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The service.
    pub service: &'static str,
    /// The entry.
    pub entry: AuditEntry,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A service didn't answer.
    #[error("a service's part can't be read")]
    Call(#[from] CallError),
    /// The query can't be asked.
    #[error("the query can't be asked")]
    Query(#[from] serde_urlencoded::ser::Error),
    /// The database failed.
    #[error("the own part can't be read")]
    Db(#[from] diesel::result::Error),
}

/// A page of the log; `wanted` says what of it, and `page` how much.
pub async fn read(
    state: &State,
    wanted: &AuditQuery,
    page: &PageQuery,
) -> Result<Page<Found>, ReadError> {
    let wanted = AuditQuery {
        limit: page.fetch(),
        ..wanted.clone()
    };
    let parts = SERVICES.map(|(service, _)| part(state, service, &wanted));
    Ok(merge(try_join_all(parts).await?, page))
}

async fn part(
    state: &State,
    service: &'static str,
    wanted: &AuditQuery,
) -> Result<(&'static str, Vec<AuditEntry>), ReadError> {
    if service == crate::NAME {
        let wanted = wanted.clone();
        let own = move |db: &mut chassis::db::Db| chassis::audit::list(db, &wanted);
        return Ok((service, state.db.read(own).await?));
    }
    let path = chassis::audit::path(wanted)?;
    let answer: AuditEntries = state.calls.get(service, &path).await?;
    Ok((service, answer.entries))
}

/// The newest of all parts, of which each has its own newest: as many as it has, or one more than fit.
fn merge(parts: Vec<(&'static str, Vec<AuditEntry>)>, page: &PageQuery) -> Page<Found> {
    let mut all = BTreeMap::new();
    for (service, entries) in parts {
        for entry in entries {
            all.insert(entry.id.clone(), Found { service, entry });
        }
    }
    page.cut(all.into_values().rev().collect(), |found| {
        found.entry.id.to_string()
    })
}

#[cfg(test)]
mod tests;
