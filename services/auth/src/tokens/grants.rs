//! Which service may have which kind of token signed, for whom, and for how long at most.

use common::api::auth::TokenRequest;
use common::scope::Scope;
use common::time::Span;
use common::token::{ActorType, Claims, TokenKind, audience};

use super::{Issuer, speak_for};
use crate::identities::Identity;

/// What one service may ask for.
struct Grant {
    service: &'static str,
    kind: TokenKind,
    longest: Span,
    /// Whether an audience is one that this kind is for.
    audience: fn(&str) -> bool,
}

/// A service that isn't here may ask for none.
const GRANTS: &[Grant] = &[
    Grant {
        service: "account",
        kind: TokenKind::Invite,
        longest: Span::days(30),
        audience: |audience| audience == audience::INVITE,
    },
    Grant {
        service: "v1api",
        kind: TokenKind::ApiKey,
        longest: Span::days(366),
        audience: |audience| audience == audience::PLATFORM,
    },
    Grant {
        service: "github",
        kind: TokenKind::Repository,
        longest: Span::hours(1),
        audience: |audience| {
            audience
                .strip_prefix("repo:")
                .is_some_and(|repo| repo.contains('/'))
        },
    },
];

/// Claims that only auth sets; among a kind's own they would stand twice in a token.
const OWN_CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "iat",
    "exp",
    "nbf",
    "jti",
    "scope",
    "namespace",
    "gen",
    "actor_id",
    "actor_type",
    "auth_identity_id",
    "app_metadata",
    "user_metadata",
    "auth_provider",
    "account_id",
    "auth_time",
    "client_id",
    "sid",
    "mfa_challenge",
];

/// Why a token isn't signed for a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The service may not ask for this kind.
    #[error("the service may not ask for this kind of token")]
    Kind,
    /// The kind isn't for this audience.
    #[error("this kind of token is not for that audience")]
    Audience,
    /// The life is none, or longer than this kind's may be.
    #[error("this kind of token may live from 1 to {0} seconds")]
    Lifetime(i64),
    /// The identity isn't there, or may not act as this.
    #[error("the identity may not act as that")]
    Actor,
    /// An actor or a scope of the platform was named without an identity that has it.
    #[error("scopes and actors need an identity that has them")]
    NoIdentity,
    /// Everything was asked for, for one who isn't an admin.
    #[error("only an admin's token may carry the scope `*`")]
    Scope,
    /// A claim that isn't the kind's own.
    #[error("the claim `{0}` is not the caller's to set")]
    Claim(String),
}

/// The claims of the token that a service asks for, on behalf of `identity`, if it names one.
pub fn claims(
    issuer: &Issuer,
    service: &str,
    request: &TokenRequest,
    identity: Option<&Identity>,
) -> Result<Claims, Refused> {
    check(service, request)?;
    let ends = issuer.clock.now() + Span::seconds(request.lifetime);
    let mut claims = issuer.claims(request.sub.clone(), &request.audience, ends);
    if let Some(jti) = &request.jti {
        claims.jti.clone_from(jti);
    }
    match (identity, request.actor_type) {
        (Some(identity), Some(actor)) if identity.holds(actor) => {
            speak_for(&mut claims, identity, actor);
        }
        (None, None) if request.identity_id.is_none() => {}
        (None, Some(_)) if request.identity_id.is_none() => return Err(Refused::NoIdentity),
        _ => return Err(Refused::Actor),
    }
    let everything = request.scope.iter().any(|scope| *scope == Scope::All);
    if everything && claims.actor_type != Some(ActorType::Admin) {
        return Err(Refused::Scope);
    }
    if request.kind == TokenKind::ApiKey && identity.is_none() {
        return Err(Refused::NoIdentity);
    }
    claims.scope = request.scope.clone();
    claims.namespace.clone_from(&request.namespace);
    claims.account_id.clone_from(&request.account_id);
    claims.extra.clone_from(&request.extra);
    Ok(claims)
}

fn check(service: &str, request: &TokenRequest) -> Result<(), Refused> {
    let grant = GRANTS
        .iter()
        .find(|grant| grant.service == service && grant.kind == request.kind)
        .ok_or(Refused::Kind)?;
    if !(grant.audience)(&request.audience) {
        return Err(Refused::Audience);
    }
    if !(1..=grant.longest.num_seconds()).contains(&request.lifetime) {
        return Err(Refused::Lifetime(grant.longest.num_seconds()));
    }
    match request
        .extra
        .keys()
        .find(|claim| OWN_CLAIMS.contains(&claim.as_str()))
    {
        Some(claim) => Err(Refused::Claim(claim.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::scope::ScopeSet;

    fn request(kind: TokenKind, audience: &str) -> TokenRequest {
        TokenRequest {
            kind,
            sub: "sub".into(),
            audience: audience.into(),
            lifetime: 60,
            jti: None,
            scope: ScopeSet::none(),
            namespace: None,
            identity_id: None,
            actor_type: None,
            account_id: None,
            extra: serde_json::Map::new(),
        }
    }

    /// An audience that fits the kind.
    fn fitting(kind: TokenKind) -> &'static str {
        match kind {
            TokenKind::Invite => audience::INVITE,
            TokenKind::Repository => "repo:acc_1/store",
            _ => audience::PLATFORM,
        }
    }

    #[test]
    fn each_service_may_ask_for_its_own_kinds_and_no_other() {
        let services = [
            "v1api",
            "auth",
            "account",
            "project",
            "github",
            "provisioner",
            "nobody",
        ];
        let mut allowed = Vec::new();
        for service in services {
            for kind in TokenKind::ALL {
                if check(service, &request(*kind, fitting(*kind))).is_ok() {
                    allowed.push((service, *kind));
                }
            }
        }
        let expected = [
            ("v1api", TokenKind::ApiKey),
            ("account", TokenKind::Invite),
            ("github", TokenKind::Repository),
        ];
        assert_eq!(allowed, expected);
    }

    #[test]
    fn a_kind_is_for_its_own_audience_only() {
        for (service, kind) in [
            ("account", TokenKind::Invite),
            ("github", TokenKind::Repository),
        ] {
            assert_eq!(
                check(service, &request(kind, audience::PLATFORM)),
                Err(Refused::Audience)
            );
        }
        assert_eq!(
            check("v1api", &request(TokenKind::ApiKey, "slipway:account")),
            Err(Refused::Audience)
        );
    }

    #[test]
    fn a_life_too_long_or_none_is_refused() {
        for lifetime in [i64::MIN, -1, 0, 30 * 86_400 + 1, i64::MAX] {
            let request = TokenRequest {
                lifetime,
                ..request(TokenKind::Invite, audience::INVITE)
            };
            assert_eq!(
                check("account", &request),
                Err(Refused::Lifetime(30 * 86_400)),
                "{lifetime}"
            );
        }
    }

    #[test]
    fn a_claim_of_ours_can_not_be_smuggled_in() {
        for claim in OWN_CLAIMS {
            let mut request = request(TokenKind::Invite, audience::INVITE);
            request.extra.insert((*claim).to_owned(), "x".into());
            assert_eq!(
                check("account", &request),
                Err(Refused::Claim((*claim).to_owned()))
            );
        }
    }
}
