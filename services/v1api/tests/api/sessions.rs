//! Requests by a session's cookie, through the gateway.

use common::event::TokensRevoked;
use common::id::{IdentityId, SessionId, UserId};
use common::scope::ScopeSet;
use common::session::SessionCookie;
use common::time::{Clock, Span};
use common::token::{ActorType, AppMetadata, Claims, TokenKind, audience};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use testkit::{eventually_async, expect, on_both_backends};

use crate::support::{App, PLATFORM, World};
use crate::upstream::Upstream;

const OWN: &str = "http://slipway.example";
const NAMED: &str = "https://admin.example";

/// Somebody in a session: her cookie, and the session's id.
struct Browser {
    cookie: SessionCookie,
    sid: SessionId,
    identity: IdentityId,
}

fn claims(world: &World, identity: &IdentityId, sid: &SessionId) -> Claims {
    let user = UserId::new(Clock::system().now());
    let mut claims = world
        .harness
        .issuer()
        .claims(identity.as_str(), audience::PLATFORM);
    claims.actor_type = Some(ActorType::Euser);
    claims.auth_identity_id = Some(identity.clone());
    claims.actor_id = user.to_string();
    claims.app_metadata = AppMetadata::of(Some(user));
    claims.scope = ScopeSet::euser();
    claims.extra.insert("sid".into(), sid.to_string().into());
    claims
}

fn browser(world: &World) -> Browser {
    let now = Clock::system().now();
    let (identity, sid) = (IdentityId::new(now), SessionId::new(now));
    let claims = claims(world, &identity, &sid);
    let cookie = world.harness.issuer().session(TokenKind::Access, claims);
    Browser {
        cookie,
        sid,
        identity,
    }
}

impl Browser {
    fn header(&self) -> String {
        format!("theme=dark; connect.sid={}", self.cookie.expose())
    }

    fn ask(&self, world: &World, method: Method, path: &str) -> RequestBuilder {
        world
            .on(PLATFORM, method, path)
            .header("cookie", self.header())
    }
}

async fn revoke(world: &World, entry: &TokensRevoked) {
    expect(
        200,
        world
            .harness
            .private(Method::POST, "auth", "/internal/revoke")
            .json(entry),
    )
    .await;
}

on_both_backends! {
    async fn a_cookie_is_traded_for_a_token_and_goes_no_further(backend: Backend) {
        let world = World::start(&backend).await;
        let browser = browser(&world);
        let response = browser.ask(&world, Method::GET, "/v1/users/me").send().await.unwrap();
        assert_eq!(response.headers()["cache-control"], "private, no-cache");
        let vary: Vec<_> = response.headers().get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
        assert!(vary.contains(&"Cookie"), "{vary:?}");
        let seen: Value = response.json().await.unwrap();
        let token = seen["headers"]["authorization"].as_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
        assert!(token.split('.').count() == 3 && seen["headers"].get("cookie").is_none(), "{seen}");
        assert!(!seen.to_string().contains(browser.cookie.expose()), "{seen}");

        // The gateway's own routes know who calls as well, and auth's but for the cookie.
        expect(200, browser.ask(&world, Method::GET, "/v1/api-keys")).await;
        let seen = expect(200, browser.ask(&world, Method::GET, "/auth/mfa/factors")).await;
        assert_eq!((&seen["headers"]["cookie"], &seen["headers"]["authorization"]), (&json!("theme=dark"), &json!(format!("Bearer {token}"))));
        let seen = expect(200, browser.ask(&world, Method::POST, "/auth/session")).await;
        assert_eq!((&seen["headers"]["cookie"], seen["headers"].get("authorization")), (&json!(browser.header()), None));

        // Each worker asks once, not each request.
        for _ in 0..40 {
            expect(200, browser.ask(&world, Method::GET, "/v1/users/me")).await;
        }
        let workers = std::thread::available_parallelism().unwrap().get();
        assert!(world.harness.issuer().exchanges() <= workers, "{}", world.harness.issuer().exchanges());
        world.stop().await;
    }

    async fn a_request_without_a_sessions_cookie_asks_nobody(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.harness.issuer().someone();
        let get = |path: &str| world.on(PLATFORM, Method::GET, path);
        expect(200, get("/v1/users/me")).await;
        expect(200, get("/v1/users/me").header("cookie", "a=b; connect.sid=s%3Aabc.def")).await;
        let two = format!("connect.sid={}; connect.sid={}", SessionCookie::random().expose(), SessionCookie::random().expose());
        expect(200, get("/v1/users/me").header("cookie", two)).await;
        // A token goes before a cookie, and what is open to all looks at neither.
        let browser = browser(&world);
        let seen = expect(200, browser.ask(&world, Method::GET, "/v1/users/me").bearer_auth(&token)).await;
        assert_eq!(seen["headers"]["authorization"], format!("Bearer {token}"));
        for path in ["/healthz", "/docs", "/openapi.json", "/.well-known/jwks.json"] {
            assert_eq!(browser.ask(&world, Method::GET, path).send().await.unwrap().status(), 200, "{path}");
        }
        assert_eq!(world.harness.issuer().exchanges(), 0);
        world.stop().await;
    }

    async fn a_cookie_that_is_nobodys_is_as_good_as_none(backend: Backend) {
        let world = World::start(&backend).await;
        let nobody = format!("connect.sid={}", SessionCookie::random().expose());
        let ask = |method: Method, path: &str| world.on(PLATFORM, method, path).header("cookie", &nobody).header("origin", OWN);
        let refused = expect(401, ask(Method::GET, "/v1/api-keys")).await;
        assert_eq!(refused["message"], "Unauthorized");
        let seen = expect(200, ask(Method::GET, "/v1/users/me")).await;
        assert!(seen["headers"].get("authorization").is_none(), "{seen}");
        let seen = expect(200, ask(Method::POST, "/auth/euser/emailpass")).await;
        assert!(seen["headers"].get("authorization").is_none() && seen["headers"].get("cookie").is_none(), "{seen}");
        world.stop().await;
    }

    async fn what_changes_something_by_a_cookie_needs_an_origin_of_ours(backend: Backend) {
        let world = World::start(&backend).await;
        let browser = browser(&world);
        for origin in [OWN, NAMED] {
            let seen = expect(200, browser.ask(&world, Method::POST, "/v1/users/me").header("origin", origin)).await;
            assert!(seen["headers"]["authorization"].is_string(), "{origin}");
        }
        let foreign = [None, Some("null"), Some("https://evil.example"), Some("https://slipway.example"), Some("http://slipway.example.evil")];
        for origin in foreign {
            let with = |request: RequestBuilder| match origin {
                Some(origin) => request.header("origin", origin),
                None => request,
            };
            for (method, path) in [
                (Method::POST, "/v1/users/x"),
                (Method::PATCH, "/v1/users/x"),
                (Method::DELETE, "/v1/accounts/x"),
                (Method::POST, "/v1/generate"),
                (Method::POST, "/auth/token/refresh"),
                (Method::DELETE, "/auth/session"),
            ] {
                let refused = expect(403, with(browser.ask(&world, method, path))).await;
                assert_eq!(refused["code"], "origin_not_allowed", "{origin:?} {path}");
                assert!(refused["message"].is_string());
                let kind = if path.starts_with("/auth/") { "not_allowed" } else { "/problems/origin_not_allowed" };
                assert_eq!(refused["type"], kind);
            }
            // Nor does a connection that becomes something else.
            let upgrade = browser.ask(&world, Method::GET, "/v1/users/me").header("upgrade", "websocket").header("connection", "upgrade");
            expect(403, with(upgrade)).await;
            // Reading is no harm, for another's page can't see it.
            expect(200, with(browser.ask(&world, Method::GET, "/v1/users/me"))).await;
            // Who signs in goes on, as somebody without a cookie.
            let seen = expect(200, with(browser.ask(&world, Method::POST, "/auth/euser/emailpass"))).await;
            assert!(seen["headers"].get("authorization").is_none(), "{seen}");
        }
        // A token is nothing that a browser sends by itself.
        let (_, token) = world.harness.issuer().someone();
        expect(200, browser.ask(&world, Method::POST, "/v1/users/x").bearer_auth(&token)).await;
        // But ending a session is by the cookie, whatever else comes along.
        expect(403, browser.ask(&world, Method::DELETE, "/auth/session").bearer_auth(&token)).await;
        world.stop().await;
    }

    async fn a_session_that_has_ended_is_over_at_once(backend: Backend) {
        let world = World::start(&backend).await;
        let issuer = world.harness.issuer();
        let ends = browser(&world);
        let lasts = browser(&world);
        for browser in [&ends, &lasts] {
            expect(200, browser.ask(&world, Method::GET, "/v1/api-keys")).await;
        }
        issuer.end_session(&ends.cookie);
        // Until it is told the gateway goes by the token that it has.
        expect(200, ends.ask(&world, Method::GET, "/v1/api-keys")).await;
        let until = Clock::system().now() + Span::hours(1);
        revoke(&world, &TokensRevoked::Session { sid: ends.sid.clone(), until }).await;
        eventually_async("the session is over", || async {
            let response = ends.ask(&world, Method::GET, "/v1/api-keys").send().await.unwrap();
            (response.status() == 401).then_some(())
        })
        .await;
        expect(200, lasts.ask(&world, Method::GET, "/v1/api-keys")).await;

        // Where the session goes on in a new generation, so does the browser.
        let mut next = claims(&world, &lasts.identity, &lasts.sid);
        next.generation = 2;
        let renewed = issuer.session(TokenKind::Access, next);
        let renewed = Browser { cookie: renewed, ..lasts };
        let sub = renewed.identity.to_string();
        revoke(&world, &TokensRevoked::Generation { sub, generation: 2, until }).await;
        expect(200, renewed.ask(&world, Method::GET, "/v1/api-keys")).await;
        world.stop().await;
    }

    async fn a_pending_login_passes_to_auth_and_is_nobody_elsewhere(backend: Backend) {
        let world = World::start(&backend).await;
        let (identity, sid) = (IdentityId::new(Clock::system().now()), SessionId::new(Clock::system().now()));
        let pending = Claims { aud: audience::MFA.into(), ..claims(&world, &identity, &sid) };
        let cookie = world.harness.issuer().session(TokenKind::Mfa, pending);
        let pending = Browser { cookie, sid, identity };
        let path = "/auth/mfa/challenges/mfachal_1/verify";
        let seen = expect(200, pending.ask(&world, Method::POST, path).header("origin", OWN)).await;
        assert!(seen["headers"]["authorization"].as_str().unwrap().starts_with("Bearer "), "{seen}");
        expect(401, pending.ask(&world, Method::GET, "/v1/api-keys")).await;
        expect(401, pending.ask(&world, Method::GET, "/v1/services")).await;
        world.stop().await;
    }

    async fn named_services_and_apps_have_nothing_to_do_with_it(backend: Backend) {
        let upstream = Upstream::start(|_| "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".into()).await;
        let (world, app) = (World::start(&backend).await, App::new("shop-production"));
        world.tell(app.created(), 1).await;
        world.tell(app.live(&[upstream.address]), 1).await;
        world.until(&app.host(), 200).await;
        let browser = browser(&world);
        // The catch-all knows by `Authorization` only.
        expect(401, browser.ask(&world, Method::GET, "/v1/location/track")).await;
        // An app's cookies are its own, whatever their names are, and so is who may call it.
        let request = world.on(&app.host(), Method::POST, "/cart").header("cookie", browser.header());
        let response = request.header("origin", NAMED).send().await.unwrap();
        assert_eq!(response.status(), 200);
        for name in ["vary", "access-control-allow-origin", "cache-control"] {
            assert!(response.headers().get(name).is_none(), "{name}");
        }
        let seen = upstream.last();
        assert_eq!(seen.one("cookie"), browser.header());
        assert!(seen.all("authorization").is_empty(), "{}", seen.head);
        let preflight = world.on(&app.host(), Method::OPTIONS, "/cart").header("origin", NAMED);
        let preflight = preflight.header("access-control-request-method", "POST").send().await.unwrap();
        assert!(preflight.status() == 200 && preflight.headers().get("access-control-allow-origin").is_none());
        assert_eq!(upstream.last().first_line(), "OPTIONS /cart HTTP/1.1");
        assert_eq!(world.harness.issuer().exchanges(), 0);
        world.stop().await;
    }

    async fn a_refusal_by_origin_can_be_read_by_those_who_may_call_and_by_no_others(backend: Backend) {
        let world = World::start(&backend).await;
        let browser = browser(&world);
        let foreign = browser.ask(&world, Method::POST, "/v1/users/x").header("origin", "https://evil.example");
        let refused = foreign.send().await.unwrap();
        assert_eq!(refused.status(), 403);
        assert!(refused.headers().get("access-control-allow-origin").is_none());
        assert!(refused.headers().get("access-control-allow-credentials").is_none());
        assert!(refused.headers().get_all("vary").iter().any(|value| value == "Origin"));
        for (path, status) in [("/v1/users/me", 200), ("/v1/accounts/a%2fb", 400), ("/v1/location/x", 401), ("/nothing", 404)] {
            let answer = browser.ask(&world, Method::GET, path).header("origin", NAMED).send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            assert_eq!(answer.headers()["access-control-allow-origin"], NAMED);
            assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
            assert!(answer.headers().get_all("vary").iter().any(|value| value == "Origin"), "{path}");
        }
        // Without an origin a cache must still know that there may be one.
        let plain = world.on(PLATFORM, Method::GET, "/v1/users/me").send().await.unwrap();
        assert!(plain.headers().get_all("vary").iter().any(|value| value == "Origin"));
        world.stop().await;
    }
}
