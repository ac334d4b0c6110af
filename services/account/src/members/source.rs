//! The truth about roles, for the service's own routes.

use chassis::db::Database;
use chassis::members::{Answer, Source};
use common::id::{AccountId, UserId};
use common::role::Role;

use super::store;

/// Roles from the table of members itself.
#[derive(Clone, Debug)]
pub struct Table(pub Database);

impl Source for Table {
    fn role<'a>(&'a self, account: &'a AccountId, user: &'a UserId, _needed: Role) -> Answer<'a> {
        Box::pin(async move {
            let (account, user) = (account.clone(), user.clone());
            let (role, _) = self
                .0
                .read(move |db| store::standing(db, &account, &user))
                .await?;
            Ok(role)
        })
    }
}
