use common::event::{AccountEvent, MemberState, Visibility};
use common::id::{AccountId, UserId};
use common::names::ServiceName;
use common::role::Role;
use common::scope::Verb;
use common::time::Clock;
use common::token::{JwkSet, KeyRing, TokenKind, audience};
use reqwest::Method;
use testkit::{Backend, expect, on_both_backends};

use crate::support::{App, World, raw, status_of};
use crate::upstream::{Seen, Upstream};

const BOTH: &[Verb] = &[Verb::Read, Verb::Write];

/// A gateway with one published service, `location`.
async fn published(
    backend: &Backend,
    upstream: &Upstream,
    visibility: Visibility,
    verbs: &[Verb],
) -> (World, App) {
    let (world, app) = (World::start(backend).await, App::new("location-production"));
    world.tell(app.created(), 1).await;
    world.tell(app.live(&[upstream.address]), 1).await;
    world
        .tell(app.published("location", visibility, verbs), 1)
        .await;
    world.until(&app.host(), 200).await;
    world.until_known("location").await;
    (world, app)
}

/// Whom the upstream is told to serve, verified as it would.
async fn identity(world: &World, seen: &Seen) -> common::token::Verified {
    let keys = expect(
        200,
        world.platform(Method::GET, "/.well-known/forward-jwks.json"),
    )
    .await;
    let keys: JwkSet = serde_json::from_value(keys).unwrap();
    let wanted = audience::upstream(&ServiceName::parse("location").unwrap());
    let token = seen.one("slipway-identity");
    KeyRing::new("micro", &keys)
        .verify(
            &token,
            &[TokenKind::Forward],
            &wanted,
            Clock::system().now(),
        )
        .unwrap()
}

/// A service that takes the gateway's word for who calls.
struct KnowingService {
    address: std::net::SocketAddr,
    handle: actix_web::dev::ServerHandle,
}

impl KnowingService {
    fn start(gateway: &str) -> Self {
        use actix_web::{App, HttpServer, middleware::from_fn, web};
        let gateway = forward::Gateway::new(&gateway.parse().unwrap(), "location").unwrap();
        let app = move || {
            App::new()
                .app_data(web::Data::new(gateway.clone()))
                .wrap(from_fn(forward::require))
                .route("/who", web::to(who))
        };
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        let running = server.run();
        let handle = running.handle();
        tokio::spawn(running);
        Self { address, handle }
    }

    async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn who(caller: forward::ForwardedCaller) -> actix_web::HttpResponse {
    let write = caller.may(forward::Verb::Write);
    let said = serde_json::json!({ "user": caller.user, "key": caller.key, "write": write });
    actix_web::HttpResponse::Ok().json(said)
}

on_both_backends! {
    async fn a_published_service_learns_who_calls_and_sees_no_credentials(backend: Backend) {
        let upstream = Upstream::start(|_| "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nclear-site-data: \"*\"\r\nservice-worker-allowed: /\r\n\
            strict-transport-security: max-age=1\r\naccess-control-allow-origin: *\r\nx-own: 1\r\ncontent-length: 2\r\n\r\nok".into()).await;
        let (world, app) = published(&backend, &upstream, Visibility::Account, BOTH).await;
        let (user, token) = world.harness.issuer().someone();
        world.accounts.join(&app.account, &user);
        let request = world.platform(Method::POST, "/v1/location/track/42?lat=1").bearer_auth(&token);
        let response = request.header("cookie", "s=1").header("slipway-identity", "forged").body("{}").send().await.unwrap();
        assert_eq!(response.status(), 200);
        for gone in ["set-cookie", "clear-site-data", "service-worker-allowed", "strict-transport-security", "access-control-allow-origin"] {
            assert!(response.headers().get(gone).is_none(), "{gone}");
        }
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["content-security-policy"], "sandbox");
        assert_eq!(response.headers()["x-own"], "1");
        let seen = upstream.last();
        assert_eq!(seen.first_line(), "POST /track/42?lat=1 HTTP/1.1");
        assert_eq!(seen.one("x-forwarded-prefix"), "/v1/location");
        assert_eq!(seen.one("host"), "location-production.localhost");
        assert!(seen.all("authorization").is_empty() && seen.all("cookie").is_empty(), "{}", seen.head);
        let identity = identity(&world, &seen).await;
        assert_eq!(identity.claims.sub, user.as_str());
        assert_eq!(identity.claims.user_id(), Some(&user));
        assert_eq!(identity.claims.scope.to_string(), "service:location:write");
        assert!(identity.claims.exp - identity.claims.iat <= 60);
        world.stop().await;
    }

    async fn a_client_cannot_speak_for_the_gateway(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, _) = published(&backend, &upstream, Visibility::Public, BOTH).await;
        let (user, token) = world.harness.issuer().someone();
        let forged = [
            "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix", "x-forwarded-port", "forwarded", "x-real-ip",
            "slipway-identity", "slipway-client-address", "slipway-gateway-token", "slipway-anything", "traceparent", "x-original-url",
            "x-http-method-override", "Slipway_Identity", "X_Forwarded_For", "proxy", "micro_namespace",
            "X_HTTP_Method_Override", "x_own",
        ].map(|name| format!("{name}: 6.6.6.6\r\n")).concat();
        let request = format!("GET /v1/location/x HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{forged}connection: close\r\n\r\n");
        let answer = raw(world.address, &request).await;
        assert_eq!(status_of(&answer), "200", "{answer}");
        let seen = upstream.last();
        let said: Vec<_> = seen.head.lines().filter(|line| line.contains("6.6.6.6")).collect();
        assert_eq!(said, ["x_own: 6.6.6.6"], "{}", seen.head);
        assert_eq!(seen.one("x-forwarded-for"), "127.0.0.1");
        assert_eq!(seen.one("x-forwarded-host"), "localhost");
        assert_eq!(seen.one("x-forwarded-proto"), "http");
        assert_eq!(seen.one("x-forwarded-prefix"), "/v1/location");
        assert_eq!(seen.one("forwarded"), "for=127.0.0.1;host=\"localhost\";proto=http");
        assert_eq!(seen.one("traceparent").len(), 55);
        assert_eq!(identity(&world, &seen).await.claims.sub, user.as_str());
        world.stop().await;
    }

    async fn a_service_knows_its_callers_by_the_gateways_word(backend: Backend) {
        let world = World::start(&backend).await;
        let server = KnowingService::start(&format!("http://{}", world.address));
        let admin = world.harness.issuer().admin();
        let new = serde_json::json!({ "name": "location", "upstream": format!("http://{}", server.address) });
        expect(201, world.platform(Method::POST, "/v1/services").bearer_auth(&admin).json(&new)).await;
        let (user, token) = world.harness.issuer().someone();
        let key = world.harness.issuer().api_key(&user, "service:location:read", None);
        let ask = |token: &str| world.platform(Method::GET, "/v1/location/who").bearer_auth(token);
        let said = expect(200, ask(&token)).await;
        assert_eq!((said["user"].as_str(), said["key"].as_str()), (Some(user.as_str()), None));
        let said = expect(200, ask(&key)).await;
        assert_eq!((said["user"].as_str(), &said["write"]), (Some(user.as_str()), &false.into()));
        assert!(said["key"].as_str().unwrap().starts_with("key_"), "{said}");
        assert_eq!(expect(200, world.platform(Method::POST, "/v1/location/who").bearer_auth(&token)).await["write"], true);
        // Whoever comes by another way is nobody, whatever she has.
        let past = reqwest::Client::builder().no_proxy().build().unwrap();
        for forged in [&token, &key, "nonsense"] {
            let asked = past.get(format!("http://{}/who", server.address)).header("slipway-identity", forged);
            expect(401, asked).await;
        }
        server.stop().await;
        world.stop().await;
    }

    async fn who_may_not_call_is_told_why_or_nothing(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, app) = published(&backend, &upstream, Visibility::Account, BOTH).await;
        let issuer = world.harness.issuer();
        let before = upstream.seen().len();
        let call = |method: Method, token: &str| world.platform(method, "/v1/location/x").bearer_auth(token);
        expect(401, world.platform(Method::GET, "/v1/location/x")).await;
        expect(401, world.platform(Method::GET, "/v1/no-such-service/x")).await;
        let invite = issuer.sign(TokenKind::Invite, &issuer.claims("x", "slipway:invite"));
        expect(401, call(Method::GET, &invite)).await;
        let (_, stranger) = issuer.someone();
        assert_eq!(expect(404, call(Method::GET, &stranger)).await["code"], "not_found");
        let (member, token) = issuer.someone();
        world.accounts.join(&app.account, &member);
        let missing = world.platform(Method::GET, "/v1/no-such-service/x").bearer_auth(&token);
        assert_eq!(expect(404, missing).await["code"], "not_found");
        let key = |scopes: &str, account: Option<&AccountId>| issuer.api_key(&member, scopes, account);
        let refused = expect(403, call(Method::GET, &key("projects:write", None))).await;
        assert_eq!(refused["code"], "insufficient_scope");
        expect(403, call(Method::POST, &key("service:location:read", None))).await;
        expect(404, call(Method::GET, &key("service:location:read", Some(&AccountId::new(Clock::system().now()))))).await;
        // Whoever made the key is no member: no key reaches further than that.
        let stranger = issuer.api_key(&UserId::new(Clock::system().now()), "service:location:write", None);
        expect(404, call(Method::GET, &stranger)).await;
        assert_eq!(upstream.seen().len(), before);
        expect(200, call(Method::GET, &key("service:location:read", Some(&app.account)))).await;
        expect(200, call(Method::POST, &key("service:location:write", None))).await;
        expect(200, call(Method::POST, &token)).await;
        expect(200, call(Method::POST, &issuer.admin())).await;
        world.stop().await;
    }

    async fn a_member_who_is_removed_is_a_stranger_from_then_on(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, app) = published(&backend, &upstream, Visibility::Account, BOTH).await;
        let (user, token) = world.harness.issuer().someone();
        let until = |status: u16| {
            let (world, token) = (&world, token.clone());
            testkit::eventually_async("the membership is known", move || {
                let asked = world.platform(Method::GET, "/v1/location/x").bearer_auth(&token);
                async move { (asked.send().await.unwrap().status() == status).then_some(()) }
            })
        };
        let state = |role| MemberState { account_id: app.account.clone(), user_id: user.clone(), role };
        until(404).await;
        world.tell(AccountEvent::MemberAdded(state(Some(Role::Viewer))), 1).await;
        until(200).await;
        world.tell(AccountEvent::MemberRemoved(state(None)), 2).await;
        until(404).await;
        world.stop().await;
    }

    async fn a_service_offers_no_more_than_it_says(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, _) = published(&backend, &upstream, Visibility::Public, &[Verb::Read]).await;
        let (_, anyone) = world.harness.issuer().someone();
        expect(200, world.platform(Method::GET, "/v1/location/x").bearer_auth(&anyone)).await;
        expect(403, world.platform(Method::POST, "/v1/location/x").bearer_auth(&anyone)).await;
        world.stop().await;
    }

    async fn a_token_reaches_its_own_namespace_only(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, _) = published(&backend, &upstream, Visibility::Public, BOTH).await;
        let (_, token) = world.harness.issuer().someone();
        let call = |namespace: &str| {
            world.platform(Method::GET, "/v1/location/x").bearer_auth(&token).header("micro-namespace", namespace)
        };
        expect(200, call("micro")).await;
        assert_eq!(expect(403, call("other")).await["code"], "namespace_not_allowed");
        // A token of another namespace reaches nothing in the default one, whatever it asks for.
        let issuer = world.harness.issuer();
        let mut claims = issuer.claims("key_1", audience::PLATFORM);
        claims.namespace = Some("other".into());
        claims.scope = "service:location:write".parse().unwrap();
        let foreign = issuer.sign(TokenKind::ApiKey, &claims);
        let call = || world.platform(Method::GET, "/v1/location/x").bearer_auth(&foreign);
        expect(404, call()).await;
        expect(404, call().header("micro-namespace", "other")).await;
        assert_eq!(expect(403, call().header("micro-namespace", "micro")).await["code"], "namespace_not_allowed");
        world.stop().await;
    }

    async fn a_revoked_token_is_refused_from_then_on(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, _) = published(&backend, &upstream, Visibility::Public, BOTH).await;
        let issuer = world.harness.issuer();
        let (_, token) = issuer.someone();
        let call = || world.platform(Method::GET, "/v1/location/x").bearer_auth(&token);
        expect(200, call()).await;
        expect(200, call()).await;
        let claims = common_claims(&token);
        let entry = serde_json::json!({ "by": "token", "jti": claims["jti"], "until": world.harness.clock.now() + common::time::Span::hours(1) });
        expect(200, world.harness.private(Method::POST, "auth", "/internal/revoke").json(&entry)).await;
        testkit::eventually_async("the token is refused", || async { (call().send().await.unwrap().status() == 401).then_some(()) }).await;
        world.stop().await;
    }
}

/// What a token says, unverified.
fn common_claims(token: &str) -> serde_json::Value {
    let body = token.split('.').nth(1).unwrap();
    let bits: Vec<u8> = body
        .bytes()
        .flat_map(|byte| {
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let value = alphabet.iter().position(|letter| *letter == byte).unwrap();
            (0..6)
                .rev()
                .map(move |place| u8::try_from((value >> place) & 1).unwrap())
        })
        .collect();
    let bytes: Vec<u8> = bits
        .chunks_exact(8)
        .map(|bits| bits.iter().fold(0, |byte, bit| (byte << 1) | bit))
        .collect();
    serde_json::from_slice(&bytes).unwrap()
}
