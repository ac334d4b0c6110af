//! How GitHub is asked: tokens, clocks, limits and failures.

use common::ExposeSecret as _;
use common::time::Span;
use testkit::Backend;
use testkit::github::{Fault, PRIVATE_KEY};

use super::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_used_again_until_too_little_of_its_life_is_left() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, _, _) = scene.connected().await;
    let token = async || {
        let checkout = scene
            .world
            .checkout(&account, "acme", "shop", None)
            .await
            .unwrap();
        (
            checkout.token.expose_secret().to_owned(),
            checkout.expires_at,
        )
    };
    let (first, ends) = token().await;
    scene.world.clock.advance(Span::minutes(40));
    assert_eq!(token().await.0, first);
    scene.world.clock.advance(Span::minutes(10));
    let (second, later) = token().await;
    assert_ne!(second, first);
    assert!(later > ends);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_github_ended_is_replaced_once_and_no_more() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, _, _) = scene.connected().await;
    scene
        .world
        .checkout(&account, "acme", "shop", None)
        .await
        .unwrap();
    scene
        .github
        .fail_next("/repos/acme/shop/commits", Fault::BadCredentials);
    scene
        .world
        .checkout(&account, "acme", "shop", None)
        .await
        .unwrap();
    for _ in 0..2 {
        scene
            .github
            .fail_next("/repos/acme/shop/commits", Fault::BadCredentials);
    }
    let refused = scene
        .world
        .checkout(&account, "acme", "shop", None)
        .await
        .unwrap_err();
    assert_eq!(
        (refused.status, refused.code.as_ref()),
        (503, "github_unavailable")
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_are_apart_are_noticed_and_allowed_for() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, _, _) = scene.connected().await;
    for minutes in [-30, 45] {
        scene.github.set_skew(Span::minutes(minutes));
        let before = scene.asked("/repos/acme/shop/installation", 401);
        scene
            .resolve(&account, ("acme", "shop"), None)
            .await
            .unwrap();
        assert_eq!(
            scene.asked("/repos/acme/shop/installation", 401),
            before + 1,
            "{minutes}"
        );
        scene
            .resolve(&account, ("acme", "shop"), None)
            .await
            .unwrap();
        assert_eq!(
            scene.asked("/repos/acme/shop/installation", 401),
            before + 1,
            "{minutes}"
        );
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_asked_twice_is_and_what_goes_on_failing_is_said_to_be_unavailable() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, _, _) = scene.connected().await;
    for fault in [Fault::Status(500), Fault::Status(502), Fault::Half] {
        scene.github.fail_next("/acme/shop/installation", fault);
        scene.github.fail_next("/acme/shop/installation", fault);
        scene
            .resolve(&account, ("acme", "shop"), None)
            .await
            .unwrap();
        for _ in 0..3 {
            scene.github.fail_next("/acme/shop/installation", fault);
        }
        let refused = scene
            .resolve(&account, ("acme", "shop"), None)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.status, refused.code.as_ref()),
            (503, "github_unavailable"),
            "{fault:?}"
        );
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rate_limit_nothing_is_asked_until_it_is_over() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, _, _) = scene.connected().await;
    for fault in [Fault::Limit(600), Fault::SecondaryLimit(600)] {
        scene.github.fail_next("/acme/shop/installation", fault);
        let refused = scene
            .resolve(&account, ("acme", "shop"), None)
            .await
            .unwrap_err();
        assert_eq!(refused.code, "github_unavailable", "{fault:?}");
        let asked = scene.github.answered().len();
        scene.world.clock.advance(Span::minutes(9));
        let refused = scene
            .resolve(&account, ("acme", "shop"), None)
            .await
            .unwrap_err();
        assert_eq!(refused.code, "github_unavailable");
        assert_eq!(
            scene.github.answered().len(),
            asked,
            "GitHub was left alone"
        );
        scene.world.clock.advance(Span::minutes(1));
        scene
            .resolve(&account, ("acme", "shop"), None)
            .await
            .unwrap();
    }
    scene.end().await;
}

testkit::on_both_backends! {
    async fn neither_key_nor_token_is_kept_or_told(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, _, _) = scene.connected().await;
        scene.world.checkout(&account, "acme", "shop", None).await.unwrap();
        scene.github.fail_next("/repos/acme/shop/commits", Fault::Half);
        let refused = scene.world.checkout(&account, "acme", "shop", Some("gone")).await.unwrap_err();
        let mut secrets = scene.github.installation_tokens();
        secrets.push(PRIVATE_KEY.lines().nth(5).unwrap().to_owned());
        assert!(secrets.len() > 2);
        let said = format!("{refused:?} {:?}", scene.world.heard());
        let kept = scene.world.dump().await;
        assert!(kept.contains("acme"), "the dump has something in it");
        for secret in secrets {
            assert!(!said.contains(&secret) && !kept.contains(&secret));
        }
        scene.end().await;
    }
}
