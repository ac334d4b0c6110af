//! Who may do something with an account: its members, and admins.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use chassis::auth::scope::RequiredScope;
use chassis::auth::{AccountMember, ApiCaller, MinimumRole};
use chassis::http::ApiError;
use common::id::{AccountId, UserId};
use common::problem::Problem;
use common::role::Role;
use common::token::{ActorType, Claims, TokenKind};

/// By what right somebody acts on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// As an admin of the platform.
    Admin,
    /// As a member.
    Member {
        /// Who.
        user_id: UserId,
        /// With which role.
        role: Role,
    },
}

impl Right {
    /// Whether it is enough for giving somebody this role: one gives at most what one has, and
    /// a viewer gives nothing.
    #[must_use]
    pub fn may_give(&self, given: Role) -> bool {
        match self {
            Self::Admin => true,
            Self::Member { role, .. } => role.allows(Role::Developer) && role.allows(given),
        }
    }

    /// Whether it is an owner's or an admin's.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        match self {
            Self::Admin => true,
            Self::Member { role, .. } => role.allows(Role::Owner),
        }
    }

    /// The member; none for an admin.
    #[must_use]
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::Admin => None,
            Self::Member { user_id, .. } => Some(user_id),
        }
    }
}

/// A member, with at least role `R`, of the account that the path names, or an admin; the
/// token's scopes cover `S`. To everyone else the account looks as if it weren't there.
#[derive(Debug)]
pub struct AccountAccess<R, S> {
    /// The account; whether it is there is seen in the transaction.
    pub account_id: AccountId,
    /// By what right.
    pub right: Right,
    /// All that the token says.
    pub claims: Claims,
    needs: PhantomData<(R, S)>,
}

impl<R: MinimumRole, S: RequiredScope> FromRequest for AccountAccess<R, S> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = ApiCaller::from_request(request, payload);
        let member = AccountMember::<R, S>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let caller = caller.await?;
            if !is_admin(&caller) {
                let AccountMember {
                    account_id,
                    user_id,
                    role,
                    claims,
                    ..
                } = member.await?;
                return Ok(Self {
                    account_id,
                    right: Right::Member { user_id, role },
                    claims,
                    needs: PhantomData,
                });
            }
            let named = request
                .match_info()
                .get("account_id")
                .and_then(|id| id.parse().ok());
            let account_id = named.ok_or_else(|| Problem::not_found("account"))?;
            Ok(Self {
                account_id,
                right: Right::Admin,
                claims: caller.claims,
                needs: PhantomData,
            })
        })
    }
}

/// Whether somebody calls as an admin: with her own token, for a key outlives the grant.
#[must_use]
pub fn is_admin(caller: &ApiCaller) -> bool {
    caller.kind == TokenKind::Access && caller.claims.actor_type == Some(ActorType::Admin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::time::Time;

    #[test]
    fn one_gives_at_most_the_role_one_has_and_a_viewer_none() {
        let may = |role: Role, given: Role| {
            Right::Member {
                user_id: UserId::new(Time::EPOCH),
                role,
            }
            .may_give(given)
        };
        let given = |role: Role| {
            Role::ALL
                .iter()
                .copied()
                .filter(|given| may(role, *given))
                .collect::<Vec<_>>()
        };
        assert_eq!(given(Role::Viewer), []);
        assert_eq!(given(Role::Developer), [Role::Viewer, Role::Developer]);
        assert_eq!(
            given(Role::Owner),
            [Role::Viewer, Role::Developer, Role::Owner]
        );
        assert!(Right::Admin.may_give(Role::Owner));
    }
}
