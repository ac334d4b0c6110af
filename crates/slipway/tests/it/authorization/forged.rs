//! Tokens that nobody has made out, or that say what they mustn't, at each of the six services.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::token::{Algorithm, Claims, SigningKey, TokenKind, audience};
use ring::hmac;
use serde_json::{Value, json};
use testkit::{Backend, Proxy, on_both_backends};

use super::every::{EVERY, Every};
use super::world::World;
use crate::harness::free_port;

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A key of the attacker's own.
fn own_key() -> SigningKey {
    let document = SigningKey::generate(Algorithm::Es256).unwrap();
    SigningKey::from_pkcs8(Algorithm::Es256, &document, TokenKind::ALL).unwrap()
}

/// A token with this header over the right claims, signed by whatever `sign` makes of its text.
fn made(header: &Value, claims: &Value, sign: impl FnOnce(&str) -> String) -> String {
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let signature = sign(&text);
    format!("{text}.{signature}")
}

/// Whom nobody should believe, and what she sends.
fn forged(world: &World, every: Every) -> Vec<(String, String)> {
    let (kind, claims) = (every.kind(), every.claims(world));
    let public = world.signer.public().clone();
    let said = serde_json::to_value(&claims).unwrap();
    let header = |alg: &str| json!({ "alg": alg, "typ": kind.as_str(), "kid": public.kid });
    let mut forged = Vec::new();
    for alg in ["none", "None", "nOnE", ""] {
        let token = made(&header(alg), &said, |_| String::new());
        forged.push((format!("alg {alg:?}"), token));
    }
    // The public key in each form in which a careless library might take it for a secret.
    let point = [
        &[4][..],
        &URL_SAFE_NO_PAD.decode(&public.x).unwrap(),
        &URL_SAFE_NO_PAD.decode(public.y.as_ref().unwrap()).unwrap(),
    ]
    .concat();
    let jwk = serde_json::to_vec(&public).unwrap();
    for secret in [
        point.as_slice(),
        &point[1..],
        &jwk,
        public.x.as_bytes(),
        b"",
    ] {
        for (alg, how) in [("HS256", hmac::HMAC_SHA256), ("HS512", hmac::HMAC_SHA512)] {
            let token = made(&header(alg), &said, |text| {
                let tag = hmac::sign(&hmac::Key::new(how, secret), text.as_bytes());
                URL_SAFE_NO_PAD.encode(tag)
            });
            forged.push((format!("{alg} with the public key"), token));
        }
    }
    let own = own_key();
    let foreign = own.sign(kind, &claims).unwrap();
    let (_, signature) = foreign.rsplit_once('.').unwrap();
    forged.push(("a key that nobody knows".into(), foreign.clone()));
    let mut bring = header("ES256");
    bring["jwk"] = serde_json::to_value(own.public()).unwrap();
    bring["jku"] = json!("http://127.0.0.1:1/jwks.json");
    bring["x5u"] = json!("http://127.0.0.1:1/cert.pem");
    let swapped = made(&bring, &said, |_| signature.to_owned());
    forged.push(("another set of keys brought along".into(), swapped));
    let body = encoded(&said);
    let twice = format!(
        r#"{{"alg":"ES256","typ":"{kind}","kid":"{}","kid":"{}"}}"#,
        own.public().kid,
        public.kid
    );
    let twice = format!("{}.{body}.{signature}", URL_SAFE_NO_PAD.encode(twice));
    forged.push(("two names of keys".into(), twice));
    for kid in [
        json!(null),
        json!(""),
        json!("../../etc/passwd"),
        json!("' OR 1=1 --"),
        json!(["x"]),
    ] {
        let mut header = header("ES256");
        header["kid"] = kid.clone();
        forged.push((
            format!("the kid {kid}"),
            made(&header, &said, |_| signature.to_owned()),
        ));
    }
    let (text, real) = {
        let token = world.sign(kind, &claims);
        let (text, real) = token.rsplit_once('.').unwrap();
        (text.to_owned(), real.to_owned())
    };
    for (what, cut) in [
        ("no signature", ""),
        ("half a signature", &real[..40]),
        ("zeros", "AAAA"),
    ] {
        forged.push((what.into(), format!("{text}.{cut}")));
    }
    forged.push(("64 kB of nothing".into(), "x".repeat(65_536)));
    forged
}

/// What is wrong with a token, and what it changes in the right one.
type Lie = (&'static str, fn(&mut Claims));

/// What the right key would have to sign for it to be said.
const LIES: [Lie; 10] = [
    ("another issuer", |claims| claims.iss = "slipway".into()),
    ("no issuer", |claims| claims.iss = String::new()),
    ("another audience", |claims| {
        claims.aud = audience::RESET.into();
    }),
    ("no audience", |claims| claims.aud = String::new()),
    ("an end in a hundred years", |claims| {
        claims.exp = claims.iat + 3_155_760_000;
    }),
    ("no end", |claims| claims.exp = i64::MAX),
    ("an end after its kind's", |claims| {
        claims.exp = claims.iat + 86_401;
    }),
    ("an end that was", |claims| {
        claims.iat -= 300;
        claims.exp = claims.iat + 200;
    }),
    ("a beginning that will be", |claims| {
        claims.iat += 600;
        claims.exp = claims.iat + 100;
    }),
    ("an end before its beginning", |claims| {
        claims.exp = claims.iat - 1;
    }),
];

on_both_backends! {
    async fn what_nobody_has_made_out_is_refused_by_each_service(backend: Backend) {
        let world = World::start(&backend).await;
        for every in EVERY {
            let (kind, claims) = (every.kind(), every.claims(&world));
            let service = every.service;
            let right = every.ask(&world, &world.sign(kind, &claims)).await;
            assert!(Every::held(right), "{service}: {right}");
            for (what, token) in forged(&world, every) {
                assert_eq!(every.ask(&world, &token).await, 401, "{service}: {what}");
            }
            for (what, lie) in LIES {
                let mut claims = claims.clone();
                lie(&mut claims);
                let token = world.sign(kind, &claims);
                assert_eq!(every.ask(&world, &token).await, 401, "{service}: {what}");
            }
            for other in TokenKind::ALL.iter().filter(|other| **other != kind && **other != TokenKind::ApiKey) {
                let token = world.sign(*other, &claims);
                assert_eq!(every.ask(&world, &token).await, 401, "{service}: of the kind {other}");
            }
            let mut long = claims.clone();
            long.extra.insert("x".into(), "y".repeat(65_536).into());
            assert_eq!(every.ask(&world, &world.sign(kind, &long)).await, 401, "{service}: 64 kB");
        }
        world.stop().await;
    }

    async fn clocks_half_a_minute_apart_cost_nobody_her_token(backend: Backend) {
        let world = World::start(&backend).await;
        for every in EVERY {
            for (iat, life) in [(20, 200), (-220, 200)] {
                let mut claims = every.claims(&world);
                claims.iat = common::time::Clock::system().now().unix() + iat;
                claims.exp = claims.iat + life;
                let status = every.ask(&world, &world.sign(every.kind(), &claims)).await;
                assert!(Every::held(status), "{} {iat}: {status}", every.service);
            }
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_auth_is_away_the_others_go_by_the_keys_they_know() {
    let backend = Backend::sqlite();
    let port = free_port();
    let auth = Proxy::before(&format!("http://127.0.0.1:{port}")).await;
    let listen = format!("127.0.0.1:{port}");
    let settings = [
        ("services.auth.private_listen", listen.as_str()),
        (
            "services.auth.private_url",
            &auth.url().replace("//@", "//"),
        ),
        // Else what has been revoked would be known too badly after a few seconds.
        ("tokens.max_staleness", "10m"),
    ];
    let world = World::start_with(&backend, &settings).await;
    let others = || EVERY.iter().filter(|every| every.service != "auth");
    // They have what they need to call one another, as after any first request.
    for every in others() {
        let token = world.sign(every.kind(), &every.claims(&world));
        assert!(
            Every::held(every.ask(&world, &token).await),
            "{}",
            every.service
        );
    }
    auth.cut(true);
    for every in others() {
        let token = world.sign(every.kind(), &every.claims(&world));
        let status = every.ask(&world, &token).await;
        assert!(Every::held(status), "{}: {status}", every.service);
        // An unknown key can't be asked for, and is refused all the same.
        let foreign = own_key().sign(every.kind(), &every.claims(&world)).unwrap();
        assert_eq!(every.ask(&world, &foreign).await, 401, "{}", every.service);
    }
    auth.cut(false);
    for every in others() {
        let token = world.sign(every.kind(), &every.claims(&world));
        assert!(
            Every::held(every.ask(&world, &token).await),
            "{}",
            every.service
        );
    }
    world.stop().await;
}
