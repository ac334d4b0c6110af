//! Whose an installation is.

use common::event::GithubEvent;
use common::role::Role;
use common::time::Span;
use reqwest::Method;
use serde_json::json;
use testkit::github::Fault;

use super::{Scene, proof};

testkit::on_both_backends! {
    async fn an_installation_is_the_accounts_whose_member_proved_it_and_nobody_elses(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, person, id) = scene.connected().await;
        let path = format!("/v1/accounts/{account}/github/installations");
        let (_, list) = scene.world.ask(Method::GET, &path, Some(&person.token), None).await;
        assert_eq!(list["installations"][0]["owner"], "acme", "{list}");
        assert_eq!(list["installations"][0]["owner_kind"], "Organization");

        let other = scene.world.account();
        let stranger = scene.world.member(&other, Role::Owner);
        let theirs = format!("/v1/accounts/{other}/github/installations");
        let (_, list) = scene.world.ask(Method::GET, &theirs, Some(&stranger.token), None).await;
        assert_eq!(list["installations"], json!([]));
        let one = format!("{theirs}/{id}");
        let (status, _) = scene.world.ask(Method::DELETE, &one, Some(&stranger.token), None).await;
        assert_eq!(status, 404);

        let told = testkit::eventually("the installation is told", || {
            let heard = scene.world.heard();
            heard.into_iter().find_map(|event| match event {
                GithubEvent::InstallationCreated(state) => Some(state),
                _ => None,
            })
        });
        let told = told.await;
        assert_eq!((told.installation_id, told.accounts), (id, vec![account.clone()]));

        let one = format!("{path}/{id}");
        let (status, _) = scene.world.ask(Method::DELETE, &one, Some(&person.token), None).await;
        assert_eq!(status, 200);
        let refused = scene.resolve(&account, ("acme", "shop"), None).await.unwrap_err();
        assert_eq!(refused.code, "github_app_not_installed");
        scene.end().await;
    }

    async fn who_does_not_own_it_can_not_connect_it(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (_, _, id) = scene.connected().await;
        let account = scene.world.account();
        let person = scene.world.member(&account, Role::Owner);
        // She isn't there at all.
        let (status, body) = scene.connect(&account, &person, "mallory", "acme").await;
        assert_eq!((status, &body["code"]), (404, &json!("not_found")), "{body}");
        // She is, by one repository or as a member, which isn't enough for all the others.
        for role in ["outside", "member"] {
            scene.github.set_role("acme", "mallory", role);
            let (status, body) = scene.connect(&account, &person, "mallory", "acme").await;
            assert_eq!((status, &body["code"]), (403, &json!("not_installation_owner")), "{role}: {body}");
        }
        // With her own code, but the number of somebody else's.
        let link = scene.link(&account, &person).await;
        let back = scene.github.install(&link, "mallory", "mallory").await;
        let mut forged = proof(&back);
        forged["installation_id"] = json!(id);
        let (status, _) = scene.bring_back(&account, &person, &forged).await;
        assert_eq!(status, 403);
        // What is on herself is hers.
        let (status, body) = scene.connect(&account, &person, "mallory", "mallory").await;
        assert_eq!((status, &body["installation"]["owner_kind"]), (201, &json!("User")), "{body}");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_counts_for_whoever_asked_for_it_and_for_an_hour() {
    let scene = Scene::start(testkit::Backend::sqlite()).await;
    let account = scene.world.account();
    let (asker, other) = (
        scene.world.member(&account, Role::Developer),
        scene.world.member(&account, Role::Developer),
    );
    // Somebody is sent another person's link, installs, and is made to come back by it.
    let link = scene.link(&account, &asker).await;
    let back = scene.github.install(&link, "octocat", "acme").await;
    let (status, body) = scene.bring_back(&account, &other, &proof(&back)).await;
    assert_eq!(
        (status, &body["code"]),
        (400, &json!("invalid_state")),
        "{body}"
    );
    // The one who asked, of another account of hers.
    let second = scene.world.account();
    let same = scene.world.also_member(&second, &asker, Role::Owner);
    let (status, body) = scene.bring_back(&second, &same, &proof(&back)).await;
    assert_eq!(
        (status, &body["code"]),
        (400, &json!("invalid_state")),
        "{body}"
    );
    // It is good; then its code has been used.
    let (status, body) = scene.bring_back(&account, &asker, &proof(&back)).await;
    assert_eq!(status, 201, "{body}");
    let (status, body) = scene.bring_back(&account, &asker, &proof(&back)).await;
    assert_eq!(
        (status, &body["code"]),
        (400, &json!("invalid_code")),
        "{body}"
    );
    // Too late.
    let back = scene.github.install(&link, "octocat", "acme").await;
    scene.world.clock.advance(Span::minutes(59));
    let fresh = scene.world.renewed(&asker);
    scene.world.clock.advance(Span::minutes(1));
    let (status, body) = scene.bring_back(&account, &fresh, &proof(&back)).await;
    assert_eq!(
        (status, &body["code"]),
        (400, &json!("invalid_state")),
        "{body}"
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_connect_nothing_and_a_platform_without_an_app_says_so() {
    let scene = Scene::start(testkit::Backend::sqlite()).await;
    let account = scene.world.account();
    let viewer = scene.world.member(&account, Role::Viewer);
    let path = format!("/v1/accounts/{account}/github/install");
    let (status, _) = scene
        .world
        .ask(Method::GET, &path, Some(&viewer.token), None)
        .await;
    assert_eq!(status, 403);
    let developer = scene.world.member(&account, Role::Developer);
    scene.github.fail_next("/api/v3/app", Fault::BadCredentials);
    scene.github.fail_next("/api/v3/app", Fault::BadCredentials);
    let (status, body) = scene
        .world
        .ask(Method::GET, &path, Some(&developer.token), None)
        .await;
    assert_eq!(
        (status, &body["code"]),
        (503, &json!("github_unavailable")),
        "{body}"
    );
    scene.end().await;

    let world = crate::support::World::start(testkit::Backend::sqlite()).await;
    let account = world.account();
    let developer = world.member(&account, Role::Developer);
    let path = format!("/v1/accounts/{account}/github/install");
    let (status, body) = world
        .ask(Method::GET, &path, Some(&developer.token), None)
        .await;
    assert_eq!(
        (status, &body["code"]),
        (501, &json!("github_not_configured")),
        "{body}"
    );
    crate::pushing::world_ends(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_people_come_back_to_runs_its_own_script_alone_and_keeps_its_address_to_itself() {
    let scene = Scene::start(testkit::Backend::sqlite()).await;
    let url = format!(
        "{}/github/installed?code=x&state=y&installation_id=1",
        scene.world.url()
    );
    let page = crate::support::http().get(url).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
    let policy = header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("cache-control"), "no-store");
    scene.end().await;
}
