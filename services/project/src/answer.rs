//! What several features' handlers answer with.

use std::str::FromStr;

use chassis::audit::{self, Entry};
use chassis::db::Db;
use chassis::http::{ApiError, ClientAddress};
use common::id::{AccountId, EnvironmentId};
use common::page::PageQuery;
use common::problem::Problem;
use common::time::Time;
use common::token::Claims;
use diesel::QueryResult;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What the deletion of something answers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Deleted {
    /// Its id, or its name where it has none.
    id: String,
    /// What it was.
    object: &'static str,
    deleted: bool,
}

impl Deleted {
    /// This `object` is gone.
    pub(crate) fn new(object: &'static str, id: impl ToString) -> Self {
        Self {
            id: id.to_string(),
            object,
            deleted: true,
        }
    }
}

/// 422: one field's value is wrong.
pub(crate) fn invalid(field: &str, message: impl std::fmt::Display) -> ApiError {
    Problem::invalid_field(field, message).into()
}

/// The row after which a page begins.
pub(crate) fn after<T: FromStr>(query: &PageQuery) -> Result<Option<T>, ApiError> {
    let Some(cursor) = &query.after else {
        return Ok(None);
    };
    match cursor.parse() {
        Ok(id) => Ok(Some(id)),
        Err(_invalid) => Err(Problem::bad_request(
            "invalid_cursor",
            "`after` is no `next` of a page of this list",
        )
        .into()),
    }
}

/// The environment that a body names. A text that can't be an id names none that exists.
pub(crate) fn environment_id(text: &str) -> Result<EnvironmentId, ApiError> {
    text.parse()
        .map_err(|_invalid: common::id::InvalidId| Problem::not_found("environment").into())
}

/// Who acts, and in which account.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    claims: Claims,
    address: ClientAddress,
    /// The account whose things are acted upon.
    pub(crate) account_id: AccountId,
}

impl Actor {
    /// The one with these claims, in this account.
    pub(crate) fn new(claims: Claims, address: ClientAddress, account_id: AccountId) -> Self {
        Self {
            claims,
            address,
            account_id,
        }
    }

    /// Writes down, in the act's own transaction, what was done to what; `details` hold no secret.
    pub(crate) fn record(
        &self,
        db: &mut Db,
        action: &'static str,
        subject: &str,
        details: Value,
        now: Time,
    ) -> QueryResult<()> {
        let entry = Entry::by(&self.claims, action, subject, self.address)
            .of_account(&self.account_id)
            .with(details);
        audit::record(db, &entry, now)
    }
}
