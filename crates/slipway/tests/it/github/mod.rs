//! From a repository at GitHub to a live app: the App is installed, a project made, a branch pushed,
//! the commit built, and GitHub told.

mod previews;

use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::github::{CLIENT_ID, CLIENT_SECRET, Delivery, Github, OauthApp, Person, Repository};
use testkit::{Backend, eventually_async, expect};

use crate::harness::{InProcess, client};

const ADMIN: [&str; 2] = ["root@x.dev", "the operator's own"];

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}

/// Runs git in a directory, without anybody's configuration.
fn git(at: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    let identity = ["-c", "user.name=x", "-c", "user.email=x@x.dev"];
    git.args(identity).args(arguments).current_dir(at);
    git.env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = git.output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

struct Story {
    up: InProcess,
    github: Github,
    token: String,
    account: String,
}

impl Story {
    /// A developer with an account, and her organisation `acme` at GitHub with `acme/shop`.
    async fn start(backend: &Backend, commits: &Path) -> Self {
        Self::start_with(backend, commits, &[]).await
    }

    /// The same, with these settings.
    async fn start_with(backend: &Backend, commits: &Path, more: &[(&str, &str)]) -> Self {
        let github = Github::start("http://localhost", common::time::Clock::system());
        github.add(Person::new(1, "octocat", "Octocat", "octocat@x.dev"));
        github.set_role("acme", "octocat", "admin");
        github.add_repository(Repository::new(1, "acme", "shop", commits.join(".git")));
        let mut settings = github.app_settings();
        settings.push(("auth.admin_email", ADMIN[0].to_owned()));
        settings.push(("auth.admin_password", ADMIN[1].to_owned()));
        let settings: Vec<_> = settings
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .chain(more.iter().copied())
            .collect();
        let up = InProcess::on(backend, &settings).await;
        github.register(OauthApp {
            exact: true,
            ..OauthApp::new(
                CLIENT_ID,
                CLIENT_SECRET,
                &format!("{}/github/installed", up.url),
            )
        });
        let mut story = Self {
            up,
            github,
            token: String::new(),
            account: String::new(),
        };
        let person = json!({ "email": "seb@x.dev", "password": "correct horse battery" });
        let path = "/auth/euser/emailpass/register";
        story.token = text(&story.post(200, path, person).await["token"]);
        story
            .post(201, "/v1/users", json!({ "email": "seb@x.dev" }))
            .await;
        let operator = json!({ "email": ADMIN[0], "password": ADMIN[1] });
        let operator = text(&story.post(200, "/auth/admin/emailpass", operator).await["token"]);
        let person = std::mem::replace(&mut story.token, operator);
        let made = story
            .post(201, "/v1/accounts", json!({ "name": "Acme" }))
            .await;
        story.account = text(&made["account"]["id"]);
        let path = format!("/v1/accounts/{}/invite", story.account);
        let invite = story.post(201, &path, json!({})).await;
        story.token = person;
        story
            .post(
                200,
                "/v1/invite/accept",
                json!({ "token": invite["token"] }),
            )
            .await;
        story
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = client().request(method, format!("{}{path}", self.up.url));
        if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        }
    }

    async fn post(&self, status: u16, path: &str, body: Value) -> Value {
        expect(status, self.request(Method::POST, path).json(&body)).await
    }

    async fn get(&self, path: &str) -> Value {
        expect(200, self.request(Method::GET, path)).await
    }

    fn below(&self, rest: &str) -> String {
        format!("/v1/account/{}{rest}", self.account)
    }

    /// Installs the App from this link, and connects what comes back.
    async fn connect(&self, link: &str) {
        let back = self.github.install(link, "octocat", "acme").await;
        assert_eq!(back.path(), "/github/installed");
        assert_eq!(
            client().get(back.clone()).send().await.unwrap().status(),
            200
        );
        let query: std::collections::HashMap<_, _> = back.query_pairs().into_owned().collect();
        let proof = json!({
            "state": query["state"], "code": query["code"],
            "installation_id": query["installation_id"].parse::<i64>().unwrap(),
        });
        self.post(201, &self.below("/github/installations"), proof)
            .await;
    }

    async fn deliver(&self, delivery: &Delivery) {
        // As GitHub does: without anybody's token.
        let request = client().post(format!("{}/github/webhooks", self.up.url));
        expect(202, delivery.on(request)).await;
    }
}

testkit::on_both_backends! {
    async fn a_push_to_github_is_live_and_the_commit_says_so(backend: Backend) {
        let shop = tempfile::tempdir().unwrap();
        std::fs::write(shop.path().join("index.html"), "First.\n").unwrap();
        std::fs::write(shop.path().join("Procfile"), "web: python3 -m http.server $PORT\n").unwrap();
        git(shop.path(), &["init", "--quiet", "--initial-branch=main"]);
        git(shop.path(), &["add", "--all"]);
        git(shop.path(), &["commit", "--quiet", "-m", "First"]);
        let story = Story::start(&backend, shop.path()).await;

        // Before the App is installed there is no such repository, but a link to install it.
        let wanted = json!({ "name": "Shop", "github_data": { "owner": "acme", "repo": "Shop" } });
        let refused = story.post(422, &story.below("/projects"), wanted.clone()).await;
        assert_eq!(refused["code"], "github_app_not_installed", "{refused}");
        story.connect(&text(&refused["install_url"])).await;
        let list = story.get(&story.below("/github/repositories")).await;
        assert_eq!(list["repositories"][0]["repo"], "shop", "{list}");
        let made = story.post(201, &story.below("/projects"), wanted).await;
        let project = text(&made["project"]["id"]);
        assert_eq!(made["project"]["github_data"]["repo"], "shop", "{made}");

        std::fs::write(shop.path().join("index.html"), "Second.\n").unwrap();
        git(shop.path(), &["commit", "--quiet", "-a", "-m", "Second"]);
        let commit = git(shop.path(), &["rev-parse", "HEAD"]);
        story.deliver(&story.github.push(1, "main", &"0".repeat(40), &commit)).await;
        let path = story.below(&format!("/projects/{project}/builds"));
        let build = eventually_async("the build's end", || async {
            let build = story.get(&path).await["builds"].get(0)?.clone();
            let over = ["live", "failed", "cancelled"].contains(&build["state"].as_str()?);
            over.then_some(build)
        }).await;
        assert_eq!((&build["state"], &build["commit"]), (&json!("live"), &json!(commit)), "{build}");
        let deliveries = story.get(&story.below("/github/deliveries")).await;
        let built = &deliveries["deliveries"][0];
        assert_eq!((&built["state"], &built["builds"]), (&json!("built"), &json!([build["id"]])), "{built}");

        let told = testkit::eventually("GitHub is told", || {
            let posted = story.github.posted();
            let of = |what: &str| posted.iter().any(|posted| posted.what.contains(what) && posted.body["state"] == "success");
            (of(&format!("statuses/{commit}")) && of("deployments/")).then_some(posted)
        }).await;
        let deployment = told.iter().rfind(|posted| posted.what.starts_with("deployments/")).unwrap();
        let app = text(&deployment.body["environment_url"]);
        let host = app.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let page = expect(200, client().get(&story.up.url).header("host", host)).await;
        assert_eq!(page, json!("Second.\n"));

        // No token of GitHub's is in the log of the build, nor in what is kept of it.
        let log = story.request(Method::GET, &format!("{path}/{}/logs", text(&build["id"])));
        let log = log.send().await.unwrap().text().await.unwrap();
        assert!(log.contains("Procfile"), "{log}");
        for token in story.github.installation_tokens() {
            assert!(!log.contains(&token) && !build.to_string().contains(&token));
        }

        // Renamed at GitHub, the project follows.
        story.github.add_repository(Repository {
            former: vec!["acme/shop".into()],
            ..Repository::new(1, "acme", "store", shop.path().join(".git"))
        });
        let renamed = json!({ "repository": { "name": { "from": "shop" } } });
        story.deliver(&story.github.repository_event("renamed", 1, &renamed)).await;
        let path = story.below(&format!("/projects/{project}"));
        eventually_async("the project follows", || async {
            (story.get(&path).await["project"]["github_data"]["repo"] == "store").then_some(())
        }).await;
        // The app outlives the platform, unless its project is deleted.
        expect(200, story.request(Method::DELETE, &path)).await;
        story.up.platform.stop().await;
    }
}
