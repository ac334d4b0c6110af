//! What becomes of pull requests at GitHub, and what project is told of it.

use common::event::{GithubEvent, PullRequestState};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Backend;
use testkit::github::{Delivery, Installation, PullRequest, Repository};

use super::Scene;
use super::deliveries::NONE;

impl Scene {
    /// An open pull request to `acme/shop`.
    pub(super) fn pull(&self, number: u64, commit: &str) -> PullRequest {
        let shop = Repository::new(1, "acme", "shop", self.source.path().join(".git"));
        PullRequest::new(&shop, number, "feature", commit)
    }

    /// How project was told that pull requests stand.
    fn pulls(&self) -> Vec<PullRequestState> {
        let told = self.world.pushes.pulls.lock().unwrap();
        told.iter().map(|told| told.pull_request.clone()).collect()
    }
}

fn commit(number: u32) -> String {
    format!("{number:040x}")
}

testkit::on_both_backends! {
    async fn a_pull_request_is_told_as_github_shows_it_when_it_is_asked(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, person, _) = scene.connected().await;
        let github = &scene.github;
        github.set_pull_request(scene.pull(5, &commit(1)));
        let opened = github.pull_request_event("opened", 1, 5);
        // Before that is worked off there is a newer commit: the delivery is only the occasion.
        github.set_pull_request(scene.pull(5, &commit(2)));
        let (status, body) = scene.deliver(&opened).await;
        assert_eq!((status, &body["status"]), (202, &json!("queued")), "{body}");
        let log = scene.settled(&account, &person, 1).await;
        assert_eq!((&log[0]["state"], &log[0]["event"]), (&json!("built"), &json!("pull_request")), "{:#}", log[0]);
        let told = scene.pulls().remove(0);
        assert_eq!((told.owner.as_str(), told.number, told.commit), ("acme", 5, commit(2)));
        assert_eq!((told.open, told.fork, told.base_branch.as_str()), (true, false, "main"));

        let fork = scene.pull(6, &commit(3)).of_fork(77, "mallory", "shop");
        github.set_pull_request(PullRequest { base: "dev".into(), ..fork.clone() });
        scene.deliver(&github.pull_request_event("opened", 1, 6)).await;
        scene.settled(&account, &person, 2).await;
        let told = scene.pulls().remove(1);
        assert_eq!((told.fork, told.author.as_str(), told.base_branch.as_str()), (true, "mallory", "dev"));
        assert_eq!(told.head_repository.as_deref(), Some("mallory/shop"));
        // A fork that was deleted is a stranger's still.
        github.set_pull_request(PullRequest { from: None, open: false, ..fork });
        scene.deliver(&github.pull_request_event("closed", 1, 6)).await;
        let log = scene.settled(&account, &person, 3).await;
        assert_eq!(log[0]["state"], "applied");
        let told = scene.pulls().remove(2);
        assert_eq!((told.fork, told.open, told.head_repository), (true, false, None));
        testkit::eventually("others are told", || {
            let is_it = |event: &GithubEvent| matches!(event, GithubEvent::PullRequest(state) if state.number == 6 && !state.open);
            scene.world.heard().iter().any(is_it).then_some(())
        }).await;
        // A label changes nothing that anything is done about.
        scene.deliver(&github.pull_request_event("labeled", 1, 6)).await;
        let log = scene.settled(&account, &person, 4).await;
        assert_eq!((&log[0]["state"], scene.pulls().len()), (&json!("nothing"), 3));
        scene.end().await;
    }

    async fn late_and_repeated_deliveries_of_a_pull_request_do_no_harm(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, person, _) = scene.connected().await;
        let github = &scene.github;
        github.set_pull_request(scene.pull(5, &commit(1)));
        let opened = github.pull_request_event("opened", 1, 5);
        let closed = PullRequest { open: false, ..scene.pull(5, &commit(1)) };
        github.set_pull_request(closed);
        scene.deliver(&github.pull_request_event("closed", 1, 5)).await;
        scene.settled(&account, &person, 1).await;
        // What was sent first comes last.
        scene.deliver(&opened).await;
        scene.settled(&account, &person, 2).await;
        assert!(scene.pulls().iter().all(|told| !told.open));
        let (status, body) = scene.deliver(&opened).await;
        assert_eq!((status, &body["status"]), (200, &json!("known")), "{body}");
        let changed: Vec<_> = scene.world.pushes.pulls.lock().unwrap().iter().map(|told| told.changed_at).collect();
        assert_eq!(changed[0], changed[1], "it is one state of the pull request, told twice");
        scene.end().await;
    }

    async fn of_a_storm_of_pushes_to_a_pull_request_the_newest_wins(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, person, _) = scene.connected().await;
        let gate = scene.world.pushes.gate.lock().await;
        for number in 1..=50 {
            scene.github.set_pull_request(scene.pull(5, &commit(number)));
            let (status, _) = scene.deliver(&scene.github.pull_request_event("synchronize", 1, 5)).await;
            assert_eq!(status, 202);
        }
        drop(gate);
        let log = scene.settled(&account, &person, 50).await;
        assert_eq!(log[0]["state"], "built", "{:#}", log[0]);
        let superseded = log.iter().filter(|delivery| delivery["state"] == "superseded").count();
        assert!(superseded >= 48, "{superseded} of 50 were passed over");
        assert_eq!(scene.pulls().last().unwrap().commit, commit(50));
        scene.end().await;
    }

    async fn two_accounts_that_reach_a_repository_are_told_each_and_strangers_are_not(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, person, _) = scene.connected().await;
        let other = scene.world.account();
        let owner = scene.world.member(&other, common::role::Role::Owner);
        scene.connect(&other, &owner, "octocat", "acme").await;
        let third = scene.world.account();
        let stranger = scene.world.member(&third, common::role::Role::Owner);
        scene.connect(&third, &stranger, "mallory", "mallory").await;
        scene.github.set_pull_request(scene.pull(5, &commit(1)));
        scene.deliver(&scene.github.pull_request_event("opened", 1, 5)).await;
        scene.settled(&account, &person, 1).await;
        scene.settled(&other, &owner, 1).await;
        let mut told: Vec<_> = scene.pulls().into_iter().map(|told| told.account_id).collect();
        told.sort();
        let mut both = vec![account, other];
        both.sort();
        assert_eq!(told, both);
        assert_eq!(scene.log(&third, &stranger).await, Vec::<Value>::new());
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_who_has_not_agreed_to_the_permission_is_told_to() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, person, id) = scene.connected().await;
    scene.github.set_pull_request(scene.pull(5, &commit(1)));
    scene.github.set_installation(Installation {
        id: id.try_into().unwrap(),
        owner_id: 500,
        owner: "acme".into(),
        kind: "Organization",
        suspended: false,
        withheld: vec!["pull_requests"],
    });
    scene
        .deliver(&scene.github.pull_request_event("opened", 1, 5))
        .await;
    let log = scene.settled(&account, &person, 1).await;
    assert_eq!(log[0]["state"], "nothing");
    let reason = log[0]["reason"].as_str().unwrap();
    assert!(reason.contains("agrees to that"), "{reason}");
    // Pushes are built all the same.
    let push = scene.github.push(1, "main", NONE, &scene.head().await);
    scene.deliver(&push).await;
    let log = scene.settled(&account, &person, 2).await;
    assert_eq!(log[0]["state"], "built");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_pull_request_is_none() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, person, _) = scene.connected().await;
    scene.github.set_pull_request(scene.pull(5, &commit(1)));
    let opened = scene.github.pull_request_event("opened", 1, 5);
    let mut count = 0;
    for number in [json!(null), json!(0), json!(-1), json!(404)] {
        let mut body: Value = serde_json::from_slice(&opened.body).unwrap();
        body["number"] = number;
        let (status, _) = scene.deliver(&Delivery::new("pull_request", &body)).await;
        assert_eq!(status, 202);
        count += 1;
        let log = scene.settled(&account, &person, count).await;
        assert_eq!(log[0]["state"], "nothing", "{:#}", log[0]);
    }
    // GitHub shows something that is no commit.
    scene
        .github
        .set_pull_request(scene.pull(6, "--upload-pack=x"));
    let odd = scene.github.pull_request_event("opened", 1, 6);
    scene.deliver(&odd).await;
    let path = format!("/v1/accounts/{account}/github/deliveries");
    let (status, _) = scene
        .world
        .ask(Method::GET, &path, Some(&person.token), None)
        .await;
    assert_eq!(status, 200);
    assert!(scene.pulls().is_empty());
    scene.end().await;
}
