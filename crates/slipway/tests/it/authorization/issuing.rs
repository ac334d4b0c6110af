//! Every kind of token at every route that makes tokens or takes one in its body.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::id::RealmId;
use common::names::ServiceName;
use common::time::Clock;
use common::token::{Claims, TokenKind, audience};
use serde_json::Value;
use testkit::on_both_backends;

use super::claims::service_claims;
use super::policy::Row;
use super::scene::Scene;
use super::state::State;
use super::table::rows;
use super::world::{Door, World};

/// A route, the kinds of token for which it makes another, and the kind of that one.
struct Issuing {
    path: &'static str,
    takes: &'static [TokenKind],
    gives: TokenKind,
}

const fn issuing(path: &'static str, takes: &'static [TokenKind], gives: TokenKind) -> Issuing {
    Issuing { path, takes, gives }
}

const PERSON_OR_KEY: &[TokenKind] = &[TokenKind::Access, TokenKind::ApiKey];

/// Every route whose answer may hold a token.
#[rustfmt::skip]
const ISSUING: &[Issuing] = &[
    issuing("/auth/{actor}/{provider}", &[], TokenKind::Access),
    issuing("/auth/{actor}/{provider}/register", &[], TokenKind::Access),
    issuing("/auth/token/refresh", &[TokenKind::Access], TokenKind::Access),
    issuing("/auth/mfa/challenges/{challenge_id}/verify", &[TokenKind::Mfa], TokenKind::Access),
    issuing("/internal/sessions/exchange", &[TokenKind::Service], TokenKind::Access),
    issuing("/api/users/login", &[], TokenKind::Access),
    issuing("/api/users/{user_number}/accounts/signup", &[], TokenKind::Realm),
    issuing("/api/users/{user_number}/accounts/login", &[], TokenKind::Realm),
    issuing("/v1/generate", PERSON_OR_KEY, TokenKind::ApiKey),
    issuing("/v1/api-keys/{key_id}/rotate", PERSON_OR_KEY, TokenKind::ApiKey),
    issuing("/generate", PERSON_OR_KEY, TokenKind::ApiKey),
    issuing("/v1/accounts/{account_id}/invite", PERSON_OR_KEY, TokenKind::Invite),
    issuing("/internal/service-tokens", &[], TokenKind::Service),
    issuing("/internal/tokens", &[TokenKind::Service], TokenKind::Invite),
    issuing("/internal/repositories/checkout", &[TokenKind::Service], TokenKind::Repository),
];

/// The kind of token that a row's right caller is given.
pub(super) fn kind_given_by(row: &Row) -> Option<TokenKind> {
    let issuing = ISSUING.iter().find(|issuing| issuing.path == row.path);
    issuing.map(|issuing| issuing.gives)
}

/// The kind of the token that is somewhere in a text.
pub(super) fn kind_in(text: &str) -> Option<TokenKind> {
    let word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.split(|c| !word(c)).find_map(|word| {
        let header = URL_SAFE_NO_PAD.decode(word.split('.').next()?).ok()?;
        let header: Value = serde_json::from_slice(&header).ok()?;
        Some(header.get("typ")?.as_str()?.parse().unwrap())
    })
}

/// What a token of this kind says where it is at home.
fn at_home(world: &World, scene: &Scene, kind: TokenKind, row: &Row) -> Claims {
    let owner = scene.owner.claims.clone();
    let shop: ServiceName = "shop".parse().unwrap();
    let aud = match kind {
        TokenKind::Access => return owner,
        TokenKind::ApiKey => return scene.key(&scene.owner, scene.account(), |_| {}),
        TokenKind::Service => return service_claims(world, CALLER, row.service),
        TokenKind::Invite => audience::INVITE.to_owned(),
        TokenKind::Reset => audience::RESET.to_owned(),
        TokenKind::Mfa => return scene.secured.pending.clone(),
        TokenKind::Realm => audience::realm(&RealmId::new(Clock::system().now())),
        TokenKind::Forward => audience::upstream(&shop),
        TokenKind::Repository => audience::repository(scene.account(), "shop"),
    };
    Claims { aud, ..owner }
}

/// A caller of the internal routes that make tokens.
const CALLER: &str = "account";

on_both_backends! {
    async fn no_token_becomes_another_but_by_the_kinds_that_a_route_is_for(backend: Backend) {
        let world = World::start(&backend).await;
        let scene = Scene::set(&world, "a").await;
        let before = State::at_rest(&world.up.platform).await;
        let all = rows();
        let issuing = |row: &&Row| ISSUING.iter().any(|issuing| issuing.path == row.path);
        let mut right = Vec::new();
        for row in all.iter().filter(issuing) {
            let route = ISSUING.iter().find(|issuing| issuing.path == row.path).unwrap();
            let door = if row.private { Door::Private } else { Door::Gateway };
            for kind in TokenKind::ALL {
                let mut claims = at_home(&world, &scene, *kind, row);
                if *kind == TokenKind::Service {
                    match (row.service, row.path) {
                        ("github", _) => claims.sub = "provisioner".into(),
                        (_, "/internal/sessions/exchange") => claims.sub = "v1api".into(),
                        _ => {}
                    }
                }
                let token = world.sign(*kind, &claims);
                if route.takes.contains(kind) {
                    right.push((door, row, token, *kind));
                    continue;
                }
                let body = if route.takes.is_empty() { row.wrong } else { row.body };
                let answer = world.ask(door, (row, &scene), Some(&token), body).await;
                let place = format!("{} with a {kind}: {}", row.title(), answer.text);
                assert_eq!(answer.status, row.refusal, "{place}");
                assert_eq!(kind_in(&answer.text), None, "{place}");
            }
        }
        let changes = before.difference(&State::of(&world.up.platform).await);
        assert!(changes.is_empty(), "{changes:#?}");
        for (door, row, token, kind) in right {
            let answer = world.ask(door, (row, &scene), Some(&token), row.body).await;
            let place = format!("{} with a {kind}: {}", row.title(), answer.text);
            assert_eq!(answer.status, row.status, "{place}");
            assert_eq!(kind_in(&answer.text), kind_given_by(row), "{place}");
        }
        world.stop().await;
    }

    async fn nothing_but_an_invite_in_a_body_makes_a_member(backend: Backend) {
        let world = World::start(&backend).await;
        let scene = Scene::set(&world, "a").await;
        let before = State::at_rest(&world.up.platform).await;
        let all = rows();
        let row = all.iter().find(|row| row.path == "/v1/invite/accept").unwrap();
        let accept = async |kind, claims: &Claims| {
            let body = format!(r#"{{"token":"{}"}}"#, world.sign(kind, claims));
            let answer = world.ask(Door::Gateway, (row, &scene), Some(&scene.stranger.token), &body).await;
            (answer.status, answer.text)
        };
        // All of them name the same invite, which is a good one.
        let claims = Claims {
            sub: scene.fill("{invite_id}"),
            aud: audience::INVITE.to_owned(),
            ..scene.owner.claims.clone()
        };
        for kind in TokenKind::ALL.iter().filter(|kind| **kind != TokenKind::Invite) {
            let own = at_home(&world, &scene, *kind, row).aud;
            for aud in [own, audience::INVITE.to_owned()] {
                let (status, text) = accept(*kind, &Claims { aud, ..claims.clone() }).await;
                assert!(status == 400 && text.contains("invite_invalid"), "{kind}: {status} {text}");
            }
        }
        let platform = Claims { aud: audience::PLATFORM.to_owned(), ..claims.clone() };
        let (status, text) = accept(TokenKind::Invite, &platform).await;
        assert!(status == 400 && text.contains("invite_invalid"), "{status} {text}");
        let expired = Claims { iat: claims.iat - 7_200, exp: claims.iat - 3_600, ..claims.clone() };
        let (status, text) = accept(TokenKind::Invite, &expired).await;
        assert!(status == 410 && text.contains("invite_expired"), "{status} {text}");
        let changes = before.difference(&State::of(&world.up.platform).await);
        assert!(changes.is_empty(), "{changes:#?}");
        // What is right is seen to change something: the state doesn't look away.
        assert_eq!(accept(TokenKind::Invite, &claims).await.0, 200);
        let changes = before.difference(&State::of(&world.up.platform).await);
        assert!(changes.iter().any(|line| line.starts_with("+ account.members: ")), "{changes:#?}");
        world.stop().await;
    }
}
