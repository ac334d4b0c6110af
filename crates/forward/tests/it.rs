//! The crate as a service sees it, with a gateway of the test's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, test, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use slipway_forward::{Error, ForwardedCaller, Gateway, HEADER, Rejection, Verb, require};

/// What the clock says unless a test says otherwise.
const NOW: i64 = 1_000_000;

/// A key of the gateway's.
struct Key {
    kid: String,
    pair: EcdsaKeyPair,
}

impl Key {
    fn new(kid: &str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        let kid = kid.to_owned();
        Self { kid, pair }
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kid": self.kid, "kty": "EC", "crv": "P-256", "alg": "ES256", "x": coordinate(&point[1..33]), "y": coordinate(&point[33..]) })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "forward+jwt", "kid": self.kid })
    }

    /// A token that holds.
    fn token(&self) -> String {
        self.sign(&self.header(), &claims())
    }
}

fn claims() -> Value {
    json!({
        "iss": "micro", "sub": "user_1", "aud": "service:location", "iat": NOW, "exp": NOW + 60, "jti": "x",
        "scope": "service:location:read", "actor_id": "user_1", "actor_type": "euser",
        "app_metadata": { "user_id": "user_1", "euser_id": "user_1" }, "key_id": "key_1", "account_id": "acc_1",
    })
}

fn with(mut value: Value, field: &str, other: Value) -> Value {
    value[field] = other;
    value
}

/// The gateway's list of keys, over HTTP.
#[derive(Clone, Default)]
struct Published {
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
    away: Arc<AtomicBool>,
}

impl Published {
    fn set(&self, keys: &[&Key]) {
        *self.keys.lock().unwrap() = keys.iter().map(|key| key.jwk()).collect();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(published: web::Data<Published>) -> HttpResponse {
    published.asked.fetch_add(1, Ordering::SeqCst);
    if published.away.load(Ordering::SeqCst) {
        return HttpResponse::BadGateway().finish();
    }
    HttpResponse::Ok().json(json!({ "keys": *published.keys.lock().unwrap() }))
}

/// A gateway that publishes these keys, as the service `location` knows it.
fn gateway(keys: &[&Key]) -> (Gateway, Published) {
    let published = Published::default();
    published.set(keys);
    let data = web::Data::new(published.clone());
    let app = move || {
        let keys = web::get().to(answer);
        App::new()
            .app_data(data.clone())
            .route("/.well-known/forward-jwks.json", keys)
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let address = format!("http://{}", server.addrs()[0]).parse().unwrap();
    actix_web::rt::spawn(server.run());
    let gateway = Gateway::new(&address, "location")
        .unwrap()
        .clock(|| NOW)
        .pause(Duration::ZERO);
    (gateway, published)
}

fn rejected(result: Result<ForwardedCaller, Error>) -> Rejection {
    match result {
        Err(Error::Rejected(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[actix_web::test]
async fn a_token_that_holds_says_who_calls() {
    let key = Key::new("1");
    let (gateway, published) = gateway(&[&key]);
    let caller = gateway.verify(&key.token()).await.unwrap();
    assert_eq!(caller.subject, "user_1");
    assert_eq!(caller.user.as_deref(), Some("user_1"));
    assert_eq!(caller.key.as_deref(), Some("key_1"));
    assert_eq!(caller.account.as_deref(), Some("acc_1"));
    assert_eq!(caller.scopes, ["service:location:read"]);
    assert!(caller.may(Verb::Read) && !caller.may(Verb::Write));
    for (scope, may) in [
        ("service:location:write", true),
        ("service:other:write", false),
        ("", false),
    ] {
        let token = key.sign(&key.header(), &with(claims(), "scope", json!(scope)));
        assert_eq!(
            gateway.verify(&token).await.unwrap().may(Verb::Write),
            may,
            "{scope}"
        );
    }
    // Somebody who has become no user yet, by no key.
    let bare = json!({ "iss": "micro", "sub": "authid_1", "aud": "service:location", "iat": NOW, "exp": NOW + 60 });
    let caller = gateway
        .verify(&key.sign(&key.header(), &bare))
        .await
        .unwrap();
    assert_eq!((caller.user, caller.key), (None, None));
    assert_eq!(published.asked(), 1, "keys are kept");
}

#[actix_web::test]
async fn a_token_that_does_not_hold_is_refused_for_what_it_is() {
    let (key, stranger) = (Key::new("1"), Key::new("1"));
    let (gateway, _) = gateway(&[&key]);
    let sign = |claims: Value| key.sign(&key.header(), &claims);
    let head = |field: &str, value: Value| key.sign(&with(key.header(), field, value), &claims());
    let good = key.token();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let more = with(claims(), "scope", json!("service:location:write"));
    for (token, why) in [
        (
            sign(with(
                with(claims(), "iat", json!(NOW - 100)),
                "exp",
                json!(NOW - 40),
            )),
            Rejection::Expired,
        ),
        (
            sign(with(claims(), "exp", json!(NOW + 3_600))),
            Rejection::Malformed,
        ),
        (
            sign(with(
                with(claims(), "iat", json!(NOW + 100)),
                "exp",
                json!(NOW + 160),
            )),
            Rejection::Malformed,
        ),
        (
            sign(with(claims(), "aud", json!("service:other"))),
            Rejection::WrongAudience,
        ),
        (
            sign(with(claims(), "aud", json!("location"))),
            Rejection::WrongAudience,
        ),
        (
            sign(with(claims(), "aud", json!("platform"))),
            Rejection::WrongAudience,
        ),
        (
            sign(with(claims(), "iss", json!("somebody"))),
            Rejection::WrongAudience,
        ),
        (
            sign(json!({ "aud": "service:location" })),
            Rejection::Malformed,
        ),
        (head("typ", json!("at+jwt")), Rejection::WrongKind),
        (head("typ", json!("key+jwt")), Rejection::WrongKind),
        (head("typ", Value::Null), Rejection::Malformed),
        (head("alg", json!("none")), Rejection::WrongKind),
        (head("alg", json!("HS256")), Rejection::WrongKind),
        (head("crit", json!(["b64"])), Rejection::WrongKind),
        (head("kid", json!("2")), Rejection::UnknownKey),
        (stranger.token(), Rejection::BadSignature),
        (
            format!(
                "{header}.{}.{signature}",
                URL_SAFE_NO_PAD.encode(more.to_string())
            ),
            Rejection::BadSignature,
        ),
        (format!("{signed}."), Rejection::BadSignature),
        (signed.to_owned(), Rejection::Malformed),
        (String::new(), Rejection::Malformed),
        ("a.b.c".to_owned(), Rejection::Malformed),
        (format!("{good}{}", "A".repeat(9_000)), Rejection::Malformed),
    ] {
        assert_eq!(rejected(gateway.verify(&token).await), why, "{token}");
    }
    gateway.verify(&good).await.unwrap();
}

#[actix_web::test]
async fn a_new_key_is_asked_for_and_one_that_is_gone_is_not_taken() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let (gateway, published) = gateway(&[&old]);
    gateway.verify(&old.token()).await.unwrap();
    published.set(&[&old, &new]);
    gateway.verify(&new.token()).await.unwrap();
    gateway.verify(&old.token()).await.unwrap();
    assert_eq!(published.asked(), 2);
    published.set(&[&new]);
    // Whatever has the keys asked for anew makes known that one is gone.
    assert_eq!(
        rejected(gateway.verify(&Key::new("other").token()).await),
        Rejection::UnknownKey
    );
    assert_eq!(
        rejected(gateway.verify(&old.token()).await),
        Rejection::UnknownKey
    );
    gateway.verify(&new.token()).await.unwrap();
}

#[actix_web::test]
async fn unknown_keys_have_the_gateway_asked_once_in_a_while() {
    let key = Key::new("1");
    let (gateway, published) = gateway(&[&key]);
    let gateway = gateway.pause(Duration::from_hours(1));
    for _ in 0..20 {
        assert_eq!(
            rejected(gateway.verify(&Key::new("x").token()).await),
            Rejection::UnknownKey
        );
    }
    assert_eq!(published.asked(), 1);
    gateway.verify(&key.token()).await.unwrap();
}

#[actix_web::test]
async fn while_the_gateway_is_away_known_keys_go_on_and_others_wait() {
    let (key, new) = (Key::new("1"), Key::new("2"));
    let (gateway, published) = gateway(&[&key]);
    published.away.store(true, Ordering::SeqCst);
    assert!(matches!(
        gateway.verify(&key.token()).await,
        Err(Error::KeysAway)
    ));
    published.away.store(false, Ordering::SeqCst);
    gateway.verify(&key.token()).await.unwrap();
    published.set(&[&key, &new]);
    published.away.store(true, Ordering::SeqCst);
    gateway.verify(&key.token()).await.unwrap();
    assert!(matches!(
        gateway.verify(&new.token()).await,
        Err(Error::KeysAway)
    ));
    published.away.store(false, Ordering::SeqCst);
    gateway.verify(&new.token()).await.unwrap();
}

#[actix_web::test]
async fn a_key_that_is_no_key_spoils_no_other() {
    let key = Key::new("1");
    let (gateway, published) = gateway(&[]);
    let odd = [
        json!({ "kid": "rsa", "kty": "RSA", "n": "x", "e": "AQAB" }),
        json!({ "kid": "short", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }),
        with(Key::new("curve").jwk(), "crv", json!("P-384")),
        key.jwk(),
    ];
    published.keys.lock().unwrap().extend(odd);
    gateway.verify(&key.token()).await.unwrap();
    for kid in ["rsa", "short", "curve"] {
        assert_eq!(
            rejected(gateway.verify(&Key::new(kid).token()).await),
            Rejection::UnknownKey
        );
    }
}

async fn who(caller: ForwardedCaller) -> String {
    caller.subject
}

#[actix_web::test]
async fn handlers_are_reached_through_the_gateway_alone() {
    let key = Key::new("1");
    let (gateway, published) = gateway(&[&key]);
    let app = App::new()
        .app_data(web::Data::new(gateway))
        .wrap(from_fn(require))
        .route("/who", web::get().to(who))
        .route("/plain", web::get().to(|| async { "plain" }));
    let app = test::init_service(app).await;
    let call = async |path: &str, tokens: &[String]| {
        let mut request = test::TestRequest::get().uri(path);
        for token in tokens {
            request = request.append_header((HEADER, token.as_str()));
        }
        // A refusal comes out of the middleware as an error, as it goes to the server.
        let answer = match test::try_call_service(&app, request.to_request()).await {
            Ok(answer) => answer.into_parts().1.map_into_boxed_body(),
            Err(error) => error.error_response(),
        };
        let status = answer.status().as_u16();
        let waits = answer.headers().contains_key("retry-after");
        let body = actix_web::body::to_bytes(answer.into_body())
            .await
            .ok()
            .unwrap();
        (status, waits, String::from_utf8_lossy(&body).into_owned())
    };
    let good = key.token();
    assert_eq!(
        call("/who", std::slice::from_ref(&good)).await,
        (200, false, "user_1".into())
    );
    assert_eq!(call("/plain", std::slice::from_ref(&good)).await.0, 200);
    for tokens in [
        vec![],
        vec!["nonsense".to_owned()],
        vec![good.clone(), good],
    ] {
        for path in ["/who", "/plain", "/nowhere"] {
            let (status, _, body) = call(path, &tokens).await;
            assert_eq!(status, 401, "{path} {tokens:?}");
            assert!(body.contains("\"status\":401"), "{body}");
        }
    }
    published.away.store(true, Ordering::SeqCst);
    let (status, waits, _) = call("/plain", &[Key::new("2").token()]).await;
    assert_eq!((status, waits), (503, true));
}
