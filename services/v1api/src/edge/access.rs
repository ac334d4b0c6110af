//! Whether a caller may call a service of the catch-all.

use std::cell::RefCell;
use std::collections::HashMap;

use actix_web::http::Method;
use chassis::Context;
use chassis::http::ApiError;
use common::api::account::UserOfIdentity;
use common::event::Visibility;
use common::id::{AccountId, UserId};
use common::problem::Problem;
use common::role::Role;
use common::scope::{Scope, Verb};
use common::time::{Span, Time};
use common::token::{ActorType, TokenKind};

use super::tokens::Known;
use crate::table::Service;

/// How many memberships a worker keeps.
const MOST_KEPT: usize = 20_000;
/// How long a "no" is kept: joining an account must take effect soon, and a stranger who calls in a
/// loop must not become as many calls to the account service.
const NO_LIVES: Span = Span::seconds(1);

/// What a call of a service does with it.
pub(crate) fn verb_of(method: &Method) -> Verb {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        Verb::Read
    } else {
        Verb::Write
    }
}

/// Whether a service's callers may be given this scope at all.
pub(crate) fn offers(service: &Service, verb: Verb) -> bool {
    service.verbs.iter().any(|offered| *offered >= verb)
}

struct Membership {
    is_member: bool,
    at: Time,
    change: i64,
}

/// One worker's knowledge of who belongs to which account, good until some membership changes.
pub(crate) struct Access {
    context: Context,
    kept: RefCell<HashMap<(UserId, AccountId), Membership>>,
}

impl Access {
    /// Nothing known yet.
    pub(crate) fn new(context: Context) -> Self {
        Self {
            context,
            kept: RefCell::default(),
        }
    }

    /// The platform's user that a token speaks of, if the identity has become one.
    pub(crate) async fn user(&self, known: &Known) -> Result<Option<UserId>, ApiError> {
        if let Some(user) = known.user() {
            return Ok(Some(user));
        }
        let Some(identity) = &known.verified.claims.auth_identity_id else {
            return Ok(None);
        };
        let path = format!("/internal/identities/{identity}/user");
        let found: UserOfIdentity = self.context.calls.get("account", &path).await?;
        if let Some(user) = &found.user_id {
            known.set_user(user.clone());
        }
        Ok(found.user_id)
    }

    /// Lets a caller through to what this verb opens, or says why not. Who may not know of the service learns nothing:
    /// it looks as if it weren't there. `change` is the last change of memberships.
    pub(crate) async fn admit(
        &self,
        service: &Service,
        known: &Known,
        verb: Verb,
        change: i64,
    ) -> Result<Scope, ApiError> {
        let needed = Scope::Service(service.name.clone(), verb);
        if !self.sees(service, known, change).await? {
            return Err(Problem::not_found("service").into());
        }
        let claims = &known.verified.claims;
        let offered = offers(service, verb);
        // A person holds what the visibility gives; a key only what it was given of that.
        let held = known.verified.kind == TokenKind::Access || claims.scope.covers(&needed);
        if offered && held {
            return Ok(needed);
        }
        Err(Problem::insufficient_scope(&needed.to_string()).into())
    }

    /// Whether the service is there for this caller.
    pub(crate) async fn sees(
        &self,
        service: &Service,
        known: &Known,
        change: i64,
    ) -> Result<bool, ApiError> {
        let claims = &known.verified.claims;
        if known.verified.kind == TokenKind::Access && claims.actor_type == Some(ActorType::Admin) {
            return Ok(true);
        }
        let listed: &[AccountId] = match &service.visibility {
            Visibility::Public if !service.pending_approval => return Ok(true),
            Visibility::Public | Visibility::Account => &[],
            Visibility::Accounts(accounts) => accounts,
        };
        self.is_of_any(service.account_id.iter().chain(listed), known, change)
            .await
    }

    /// Whether the caller is a member of the account that publishes a service.
    pub(crate) async fn is_of_account(
        &self,
        service: &Service,
        known: &Known,
        change: i64,
    ) -> Result<bool, ApiError> {
        self.is_of_any(service.account_id.iter(), known, change)
            .await
    }

    async fn is_of_any(
        &self,
        accounts: impl Iterator<Item = &AccountId>,
        known: &Known,
        change: i64,
    ) -> Result<bool, ApiError> {
        let Some(user) = self.user(known).await? else {
            return Ok(false);
        };
        let claims = &known.verified.claims;
        for account in accounts {
            let confined_elsewhere = claims
                .account_id
                .as_ref()
                .is_some_and(|confined| confined != account);
            if !confined_elsewhere && self.is_member(&user, account, change).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_member(
        &self,
        user: &UserId,
        account: &AccountId,
        change: i64,
    ) -> Result<bool, ApiError> {
        let now = self.context.clock.now();
        let key = (user.clone(), account.clone());
        if let Some(kept) = self.kept.borrow().get(&key)
            && kept.change == change
            && (kept.is_member || now - kept.at < NO_LIVES)
        {
            return Ok(kept.is_member);
        }
        let role = self
            .context
            .members
            .role(account, user, Role::Viewer)
            .await?;
        let is_member = role.is_some();
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(
            key,
            Membership {
                is_member,
                at: now,
                change,
            },
        );
        Ok(is_member)
    }
}
