//! Who reaches which realm: whoever made it, or the members of the account that owns it.

use chassis::http::ApiError;
use chassis::{Context, auth};
use common::id::{AccountId, IdentityId, RealmId, UserId};
use common::problem::Problem;
use common::role::Role;
use common::token::Claims;

use super::{OwnRealm, store};
use crate::state::State;

/// Somebody who wants to reach a realm.
#[derive(Clone, Debug)]
pub struct Seeker {
    /// The identity.
    pub identity: IdentityId,
    /// The user it has become.
    pub user: Option<UserId>,
    /// The account that its key is confined to.
    pub confined: Option<AccountId>,
}

impl Seeker {
    /// The owner of a token, who must be a person or a person's key.
    pub fn of(claims: &Claims) -> Result<Self, ApiError> {
        let identity = claims.auth_identity_id.clone();
        Ok(Self {
            identity: identity.ok_or_else(|| Problem::invalid_token("The token is malformed"))?,
            user: claims.user_id().cloned(),
            confined: claims.account_id.clone(),
        })
    }

    /// Her role in an account; none if she is no member, or her key is confined to another.
    pub async fn role(
        &self,
        context: &Context,
        account: &AccountId,
        needed: Role,
    ) -> Result<Option<Role>, ApiError> {
        if self.confined.as_ref().is_some_and(|own| own != account) {
            return Ok(None);
        }
        let user = match &self.user {
            Some(user) => user.clone(),
            None => auth::user_of_identity(context, &self.identity).await?,
        };
        context.members.role(account, &user, needed).await
    }
}

/// The realm of this id, if the seeker has at least this role there; her own she has all of. To
/// everybody else it looks as if it weren't there.
pub async fn reach(
    context: &Context,
    state: &State,
    seeker: &Seeker,
    id: &RealmId,
    needed: Role,
) -> Result<OwnRealm, ApiError> {
    let missing = || ApiError::from(Problem::not_found("realm"));
    let wanted = id.clone();
    let realm = state.db.read(move |db| store::find(db, &wanted)).await?;
    let realm = realm.ok_or_else(missing)?;
    let Some(account) = &realm.account_id else {
        let own = realm.owner_id == seeker.identity && seeker.confined.is_none();
        return if own { Ok(realm) } else { Err(missing()) };
    };
    let role = seeker.role(context, account, needed).await?;
    require(role.ok_or_else(missing)?, needed)?;
    Ok(realm)
}

/// The same; none where it is refused.
pub async fn reached(
    context: &Context,
    state: &State,
    seeker: &Seeker,
    id: &RealmId,
    needed: Role,
) -> Result<Option<OwnRealm>, ApiError> {
    match reach(context, state, seeker, id, needed).await {
        Ok(realm) => Ok(Some(realm)),
        Err(error) if error.problem().status < 500 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refuses a role that is too low.
pub fn require(role: Role, needed: Role) -> Result<(), ApiError> {
    if role.allows(needed) {
        return Ok(());
    }
    let detail = format!("This needs the role `{needed}` in the account; yours is `{role}`");
    Err(Problem::forbidden("insufficient_role", detail).into())
}
