//! Signing keys that are replaced and revoked while everybody calls.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::token::TokenKind;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, eventually_async, on_both_backends};

use super::every::{EVERY, Every, service_token};
use super::world::{Door, World};
use crate::harness::client;

/// How long after a revocation nobody may be let in by it any more.
const SOON: Duration = Duration::from_secs(1);
/// How often the key is replaced.
const ROTATIONS: usize = 4;

fn kid(token: &str) -> String {
    let header = token.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// The operator's token made anew, by the key that signs now; or the status of the refusal.
async fn refreshed(world: &World, token: &str) -> Result<String, u16> {
    let url = format!("{}/auth/token/refresh", world.url(Door::Gateway, "auth"));
    let response = client().post(url).bearer_auth(token).send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    body["token"].as_str().map(str::to_owned).ok_or(status)
}

async fn log_in(world: &World) -> String {
    let body = json!({ "email": "root@x.dev", "password": "the operator's own" });
    let url = format!("{}/auth/admin/emailpass", world.url(Door::Gateway, "auth"));
    let answer = testkit::expect(200, client().post(url).json(&body)).await;
    answer["token"].as_str().unwrap().to_owned()
}

/// Calls every service again and again by the newest tokens; what was refused.
async fn load(
    world: &World,
    stop: &AtomicBool,
    calls: &AtomicUsize,
    newest: &Mutex<String>,
) -> Vec<String> {
    let mut refused = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let token = newest.lock().unwrap().clone();
        match refreshed(world, &token).await {
            Ok(next) => newest.lock().unwrap().clone_from(&next),
            Err(status) => refused.push(format!("auth: {status}")),
        }
        // The old one and the new one both hold, wherever they are shown first.
        let next = newest.lock().unwrap().clone();
        for token in [token, next] {
            for every in EVERY {
                let shown = match every.kind() {
                    TokenKind::Service => service_token(world, every.service).await,
                    _ => token.clone(),
                };
                let status = every.ask(world, &shown).await;
                calls.fetch_add(1, Ordering::SeqCst);
                if !Every::held(status) {
                    refused.push(format!("{} by {}: {status}", every.service, kid(&shown)));
                }
            }
        }
    }
    refused
}

async fn keys_are_replaced_under_load(backend: &Backend, settings: &[(&str, &str)]) {
    let world = World::start_with(backend, settings).await;
    let operator = log_in(&world).await;
    let newest = Mutex::new(operator.clone());
    let (stop, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let rotating = async {
        for _ in 0..ROTATIONS {
            let before = newest.lock().unwrap().clone();
            let (before, since) = (kid(&before), calls.load(Ordering::SeqCst));
            let path = "/auth/admin/keys/rotate";
            let body = json!({ "now": true });
            let rotated = world.call(200, Method::POST, path, &operator, &body).await;
            assert_eq!(rotated["rotated"], true);
            eventually_async("everybody to have called by the new key", || async {
                let now = newest.lock().unwrap().clone();
                let by_new = kid(&now) != before;
                (by_new && calls.load(Ordering::SeqCst) > since + 2 * EVERY.len()).then_some(())
            })
            .await;
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (first, second, ()) = tokio::join!(
        load(&world, &stop, &calls, &newest),
        load(&world, &stop, &calls, &newest),
        rotating,
    );
    assert_eq!([first, second].concat(), Vec::<String>::new());
    // The very first token has outlived them all.
    refreshed(&world, &operator).await.unwrap();
    world.stop().await;
}

on_both_backends! {
    async fn keys_are_replaced_under_load_and_no_call_fails(backend: Backend) {
        keys_are_replaced_under_load(&backend, &[]).await;
    }

    async fn what_is_revoked_is_refused_everywhere_within_a_second_and_after_a_restart(backend: Backend) {
        let world = World::start(&backend).await;
        let (one, all) = (log_in(&world).await, log_in(&world).await);
        let held = async |token: &str| {
            for every in EVERY.iter().filter(|every| every.kind() == TokenKind::Access) {
                let status = every.ask(&world, token).await;
                assert!(Every::held(status), "{}: {status}", every.service);
            }
        };
        held(&one).await;
        held(&all).await;
        let service = service_token(&world, "provisioner").await;

        // A token alone.
        let url = format!("{}/oauth/revoke", world.url(Door::Gateway, "auth"));
        testkit::expect(200, client().post(url).form(&[("token", &one)])).await;
        ended(&world, &[&one], TokenKind::Access).await;
        held(&all).await;

        // Every token of a key.
        let path = format!("/auth/admin/keys/{}", kid(&all));
        world.call(200, Method::DELETE, &path, &all, &json!({})).await;
        ended(&world, &[&all], TokenKind::Access).await;
        ended(&world, &[&service], TokenKind::Service).await;
        let after = log_in(&world).await;
        assert_ne!(kid(&after), kid(&all));
        for every in EVERY {
            let shown = match every.kind() {
                TokenKind::Service => service_token(&world, every.service).await,
                _ => after.clone(),
            };
            let status = every.ask(&world, &shown).await;
            assert!(Every::held(status), "{} afterwards: {status}", every.service);
        }
        world.stop().await;

        let world = World::start(&backend).await;
        for every in EVERY {
            let old: &[&str] = match every.kind() {
                TokenKind::Service => &[&service],
                _ => &[&one, &all],
            };
            for token in old {
                assert_eq!(every.ask(&world, token).await, 401, "{} after a restart", every.service);
            }
        }
        refreshed(&world, &after).await.unwrap();
        world.stop().await;
    }
}

/// Waits until each service that takes this kind refuses these tokens, the last call that was let in
/// having begun soon.
async fn ended(world: &World, tokens: &[&str], kind: TokenKind) {
    let since = Instant::now();
    for every in EVERY.iter().filter(|every| every.kind() == kind) {
        for token in tokens {
            let last = Arc::new(Mutex::new(Duration::ZERO));
            eventually_async("a revoked token to be refused", || async {
                let began = since.elapsed();
                let status = every.ask(world, token).await;
                if Every::held(status) {
                    *last.lock().unwrap() = began;
                }
                (status == 401).then_some(())
            })
            .await;
            let last = *last.lock().unwrap();
            assert!(last < SOON, "{} let it in after {last:?}", every.service);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_ed25519_are_replaced_under_load_and_no_call_fails() {
    let backend = Backend::sqlite();
    keys_are_replaced_under_load(&backend, &[("auth.algorithm", "EdDSA")]).await;
}
