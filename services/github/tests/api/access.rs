//! Who may push and fetch, and how refusals look in a Git client.

use common::ExposeSecret as _;
use common::role::Role;
use common::scope::ScopeSet;
use common::time::Span;
use common::token::{TokenKind, audience};
use testkit::Backend;

use crate::pushing::world_ends;
use crate::support::{Repository, World, http};

testkit::on_both_backends! {
    async fn nobody_but_members_sees_an_accounts_repository(backend: Backend) {
        let world = World::start(backend).await;
        let (account, other) = (world.account(), world.account());
        let person = world.member(&account, Role::Developer);
        let stranger = world.member(&other, Role::Owner);
        let url = world.repository_url(account.as_str(), "shop");
        let mine = Repository::new("main").await;
        mine.git_as(&person.token, &["push", "--quiet", &url, "main"]).await;

        let denied = mine.fails_as(Some(&stranger.token), &["ls-remote", &url]).await;
        let missing = mine.fails_as(Some(&person.token), &["ls-remote", &world.repository_url(account.as_str(), "none")]).await;
        for said in [&denied, &missing] {
            assert!(said.contains("There is no such repository") && said.contains("not found"), "{said}");
        }
        let said = mine.fails_as(Some(&stranger.token), &["push", &url, "main"]).await;
        assert!(said.contains("There is no such repository"), "{said}");
        let problem = world.checkout(&other, account.as_str(), "shop", None).await.unwrap_err();
        assert_eq!((problem.status, problem.code.as_ref()), (404, "repository_not_found"));
        let list = format!("/v1/accounts/{account}/github/repositories");
        assert_eq!(world.get(&list, Some(&stranger.token)).await.0, 404);
        assert_eq!(world.get(&list, None).await.0, 401);
        world_ends(world).await;
    }

    async fn a_viewer_fetches_and_does_not_push(backend: Backend) {
        let world = World::start(backend).await;
        let account = world.account();
        let person = world.member(&account, Role::Developer);
        let viewer = world.member(&account, Role::Viewer);
        let url = world.repository_url(account.as_str(), "shop");
        let mine = Repository::new("main").await;
        let said = mine.fails_as(Some(&viewer.token), &["push", &url, "main"]).await;
        assert!(said.contains("Pushing needs the role `developer`") && said.contains("403"), "{said}");
        assert!(!world.on_disk(&account, "shop").exists());
        mine.git_as(&person.token, &["push", "--quiet", &url, "main"]).await;
        mine.git_as(&viewer.token, &["ls-remote", &url]).await;
        assert!(world.told_of(1).await.len() == 1);
        world_ends(world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_git_client_is_asked_for_credentials_and_may_send_the_token_as_a_password() {
    let world = World::start(Backend::sqlite()).await;
    let account = world.account();
    let person = world.member(&account, Role::Developer);
    let url = world.repository_url(account.as_str(), "shop");
    let answer = http()
        .get(format!("{url}/info/refs?service=git-receive-pack"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
    assert!(
        answer.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic ")
    );
    assert!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );

    let mine = Repository::new("main").await;
    let said = mine.fails_as(None, &["push", &url, "main"]).await;
    assert!(said.contains("could not read Username"), "{said}");
    let said = mine
        .fails_as(Some("nonsense"), &["push", &url, "main"])
        .await;
    assert!(
        said.contains("The token is malformed") || said.contains("could not read Username"),
        "{said}"
    );

    let with_password = url.replace("http://", &format!("http://me:{}@", person.token));
    mine.git(&["push", "--quiet", &with_password, "main"]).await;
    world.told_of(1).await;
    world_ends(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_kinds_audiences_and_scopes_that_fit_open_a_repository() {
    let world = World::start(Backend::sqlite()).await;
    let (account, other) = (world.account(), world.account());
    let person = world.member(&account, Role::Developer);
    let url = world.repository_url(account.as_str(), "shop");
    let mine = Repository::new("main").await;
    mine.git_as(&person.token, &["push", "--quiet", &url, "main"])
        .await;
    mine.git_as(
        &person.token,
        &[
            "push",
            "--quiet",
            &world.repository_url(account.as_str(), "second"),
            "main",
        ],
    )
    .await;

    let status = async |token: &str, service: &str| {
        let request = http()
            .get(format!("{url}/info/refs?service=git-{service}"))
            .bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    let with = |kind: TokenKind, change: &dyn Fn(&mut common::token::Claims)| {
        let mut claims = person.claims.clone();
        change(&mut claims);
        world.sign(kind, &claims)
    };
    for kind in TokenKind::ALL
        .iter()
        .filter(|kind| !matches!(kind, TokenKind::Access | TokenKind::ApiKey))
    {
        let token = with(*kind, &|_| ());
        assert_eq!(status(&token, "upload-pack").await, 401, "{kind}");
        assert_eq!(status(&token, "receive-pack").await, 401, "{kind}");
    }
    let reader = with(TokenKind::ApiKey, &|claims| {
        claims.scope = "projects:read".parse::<ScopeSet>().unwrap();
    });
    assert_eq!(
        (
            status(&reader, "upload-pack").await,
            status(&reader, "receive-pack").await
        ),
        (200, 403)
    );
    let nothing = with(TokenKind::ApiKey, &|claims| claims.scope = ScopeSet::none());
    assert_eq!(status(&nothing, "upload-pack").await, 403);
    let confined = with(TokenKind::ApiKey, &|claims| {
        claims.account_id = Some(other.clone());
    });
    assert_eq!(status(&confined, "upload-pack").await, 404);
    let expired = with(TokenKind::Access, &|claims| {
        claims.iat -= 7200;
        claims.exp -= 7200;
    });
    assert_eq!(status(&expired, "upload-pack").await, 401);
    let wrong_audience = with(TokenKind::Access, &|claims| claims.aud = "realm:x".into());
    assert_eq!(status(&wrong_audience, "upload-pack").await, 401);

    let ours = world
        .checkout(&account, account.as_str(), "shop", None)
        .await
        .unwrap();
    let second = world
        .checkout(&account, account.as_str(), "second", None)
        .await
        .unwrap();
    assert_eq!(status(ours.token.expose_secret(), "upload-pack").await, 200);
    assert_eq!(
        status(ours.token.expose_secret(), "receive-pack").await,
        401
    );
    assert_eq!(
        status(second.token.expose_secret(), "upload-pack").await,
        401
    );
    let audience = audience::repository(account.as_str(), "shop");
    let as_access = with(TokenKind::Access, &|claims| claims.aud = audience.clone());
    assert_eq!(status(&as_access, "upload-pack").await, 401);
    world.clock.advance(Span::minutes(16));
    assert_eq!(status(ours.token.expose_secret(), "upload-pack").await, 401);
    world_ends(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_private_routes_are_for_the_services_that_need_them() {
    let world = World::start(Backend::sqlite()).await;
    let account = world.account();
    let person = world.member(&account, Role::Owner);
    let body =
        serde_json::json!({"account_id": account, "owner": "x", "repo": "y", "git_ref": null});
    let private = world
        .context("github")
        .calls
        .directory()
        .get("github")
        .unwrap()
        .private
        .clone();
    let as_person = http()
        .post(format!("{private}/internal/repositories/checkout"))
        .bearer_auth(&person.token)
        .json(&body);
    assert_eq!(as_person.send().await.unwrap().status(), 401);
    let public = http()
        .post(format!("{}/internal/repositories/checkout", world.url()))
        .json(&body);
    assert_eq!(public.send().await.unwrap().status(), 404);
    let calls = &world.context("account").calls;
    let request = calls
        .request(
            reqwest::Method::POST,
            "github",
            "/internal/repositories/checkout",
        )
        .await
        .unwrap();
    assert_eq!(request.json(&body).send().await.unwrap().status(), 403);
    world_ends(world).await;
}
