//! Members of the account that a path names.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use common::id::{AccountId, UserId};
use common::problem::Problem;
use common::role::Role;
use common::token::Claims;

use super::callers::{api_caller, resolve_user};
use super::gate;
use super::scope::RequiredScope;
use crate::context::Context;
use crate::http::ApiError;

/// The least role that a handler asks for.
pub trait MinimumRole: 'static {
    /// The role.
    const ROLE: Role;
}

macro_rules! roles {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl MinimumRole for $name {
            const ROLE: Role = Role::$name;
        }
    )+};
}

roles! {
    /// Any member.
    Viewer;
    /// A member who may make and change things.
    Developer;
    /// A member who may do everything.
    Owner;
}

/// A member, with at least role `R`, of the account that the path's `account_id` names, calling
/// with a token whose scopes cover `S`.
///
/// Who is no member learns nothing: the account looks as if it weren't there.
#[derive(Debug)]
pub struct AccountMember<R, S> {
    /// The account.
    pub account_id: AccountId,
    /// The member; with an API key, the key's maker.
    pub user_id: UserId,
    /// The member's role.
    pub role: Role,
    /// All that the token says.
    pub claims: Claims,
    needs: PhantomData<(R, S)>,
}

impl<R: MinimumRole, S: RequiredScope> FromRequest for AccountMember<R, S> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        let gate = gate::close(&request);
        Box::pin(async move {
            let (account_id, user_id, role, claims) =
                member(&request, R::ROLE, &S::scope()).await?;
            gate.open();
            Ok(Self {
                account_id,
                user_id,
                role,
                claims,
                needs: PhantomData,
            })
        })
    }
}

async fn member(
    request: &HttpRequest,
    needed: Role,
    scope: &common::scope::Scope,
) -> Result<(AccountId, UserId, Role, Claims), ApiError> {
    let no_account = || ApiError::from(Problem::not_found("account"));
    let caller = api_caller(request).await?;
    let account_id: AccountId = request
        .match_info()
        .get("account_id")
        .and_then(|id| id.parse().ok())
        .ok_or_else(no_account)?;
    if caller
        .claims
        .account_id
        .as_ref()
        .is_some_and(|confined| *confined != account_id)
    {
        return Err(no_account());
    }
    let user_id = match (caller.claims.user_id(), &caller.claims.auth_identity_id) {
        (Some(user_id), _) => user_id.clone(),
        (None, Some(identity)) => resolve_user(request, identity).await?,
        (None, None) => return Err(no_account()),
    };
    let context = request
        .app_data::<web::Data<Context>>()
        .ok_or_else(|| ApiError::internal("the service has no context"))?;
    let role = context
        .members
        .role(&account_id, &user_id, needed)
        .await?
        .ok_or_else(no_account)?;
    caller.require(scope)?;
    if !role.allows(needed) {
        let detail = format!("This needs the role `{needed}` in the account; yours is `{role}`");
        return Err(Problem::forbidden("insufficient_role", detail).into());
    }
    Ok((account_id, user_id, role, caller.claims))
}
