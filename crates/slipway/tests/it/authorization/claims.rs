//! What right callers' tokens say.

use common::id::TokenId;
use common::scope::{Resource, Scope, ScopeSet, Verb};
use common::time::Clock;
use common::token::{ActorType, Claims, TokenKind, audience};

use super::policy::{Policy, Row};
use super::scene::Scene;
use super::world::World;

/// The kinds that a policy takes.
pub(super) fn kinds(policy: Policy) -> &'static [TokenKind] {
    match policy {
        Policy::Open | Policy::Secret => &[],
        Policy::Person
        | Policy::Entrant
        | Policy::Numbered
        | Policy::Euser
        | Policy::User
        | Policy::Admin => &[TokenKind::Access],
        Policy::Pending => &[TokenKind::Mfa],
        Policy::Server(_) => &[TokenKind::ApiKey],
        Policy::Resetter => &[TokenKind::Reset],
        Policy::Services(_) | Policy::AnyService => &[TokenKind::Service],
        Policy::Holder
        | Policy::Caller(_)
        | Policy::UserCaller(_)
        | Policy::Own(_)
        | Policy::Member(..)
        | Policy::MemberOrAdmin(..)
        | Policy::Git(..) => &[TokenKind::Access, TokenKind::ApiKey],
    }
}

/// A service's claims for calling another.
pub(super) fn service_claims(world: &World, caller: &str, callee: &str) -> Claims {
    let now = Clock::system().now();
    let mut claims = Claims::new(
        &world.admin.iss,
        caller,
        audience::internal(callee),
        now.unix(),
        now.unix() + 300,
        TokenId::new(now).to_string(),
    );
    claims.actor_type = Some(ActorType::Service);
    claims
}

/// What the right caller's token says.
pub(super) fn right_claims(world: &World, scene: &Scene, row: &Row) -> Claims {
    let with = |claims: &Claims, scope: &str| {
        let mut claims = claims.clone();
        claims.scope = scope.parse().unwrap();
        claims
    };
    match row.policy {
        Policy::Admin => world.admin.clone(),
        Policy::Open
        | Policy::Secret
        | Policy::Person
        | Policy::Entrant
        | Policy::Numbered
        | Policy::Holder => scene.owner.claims.clone(),
        Policy::Pending => scene.secured.pending.clone(),
        Policy::Resetter => {
            let mut claims = scene.owner.claims.clone();
            audience::RESET.clone_into(&mut claims.aud);
            let email = scene.owner.email.clone().into();
            claims.extra.insert("entity_id".to_owned(), email);
            claims
        }
        Policy::Euser => scene.newcomer.claims.clone(),
        Policy::User => scene.stranger.claims.clone(),
        Policy::Caller(scope) | Policy::UserCaller(scope) | Policy::Own(scope) => {
            with(&scene.owner.claims, scope)
        }
        Policy::Member(role, scope)
        | Policy::MemberOrAdmin(role, scope)
        | Policy::Git(role, scope) => with(&scene.member(role).claims, scope),
        Policy::Server(scope) => scene.server_key(&scene.owner, scope),
        Policy::Services(callers) => service_claims(world, callers[0], row.service),
        Policy::AnyService => service_claims(world, "provisioner", row.service),
    }
}

/// Every scope there is but the one that is needed: at most a lesser verb of that.
pub(super) fn all_scopes_but(needed: &str) -> ScopeSet {
    let needed: Scope = needed.parse().unwrap();
    let others = Resource::ALL
        .iter()
        .map(|resource| Scope::Platform(*resource, Verb::Admin))
        .filter(|scope| !scope.covers(&needed));
    let lesser = Resource::ALL
        .iter()
        .map(|resource| Scope::Platform(*resource, Verb::Read))
        .filter(|scope| !scope.covers(&needed));
    others.chain(lesser).collect()
}
