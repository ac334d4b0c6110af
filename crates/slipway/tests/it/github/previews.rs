//! From a pull request at GitHub to a preview that answers, and back to nothing.

use std::path::Path;

use diesel::{Connection as _, PgConnection};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::github::{PullRequest, Repository};
use testkit::{eventually, eventually_async, expect};

use super::{Story, git, text};
use crate::harness::client;

/// Says what stands in `page.txt`, and which database it has.
const APP: &str = "import http.server, os\n\
class Page(http.server.BaseHTTPRequestHandler):\n    \
def do_GET(self):\n        \
said = open('page.txt').read() + os.environ.get('DATABASE_URL', 'none') + ' ' + os.environ.get('TOKEN', 'none')\n        \
self.send_response(200)\n        self.end_headers()\n        self.wfile.write(said.encode())\n    \
def log_message(self, *_):\n        pass\n\
http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Page).serve_forever()\n";

/// Commits a page to a branch, which begins at `main`, and gives the commit.
fn commit(shop: &Path, branch: &str, page: &str) -> String {
    git(shop, &["checkout", "--quiet", "-B", branch, "main"]);
    std::fs::write(shop.join("page.txt"), page).unwrap();
    git(shop, &["commit", "--quiet", "--all", "-m", page.trim()]);
    let commit = git(shop, &["rev-parse", "HEAD"]);
    git(shop, &["checkout", "--quiet", "main"]);
    commit
}

impl Story {
    /// The preview, once this holds of it.
    async fn preview(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually_async(what, || async {
            let shown = expect_any(self.request(Method::GET, path)).await;
            let preview = shown["preview"].clone();
            wanted(&preview).then_some(preview)
        })
        .await
    }

    /// The preview, once its build is live.
    async fn live(&self, path: &str, commit: &str) -> Value {
        let mut rounds = 0;
        loop {
            // Builds may take longer than a condition may.
            let look = self.preview(path, "the preview's build", |preview| {
                let state = preview["build_state"].as_str();
                let over = matches!(state, Some("live" | "failed" | "cancelled"));
                over && preview["built_commit"] == commit
            });
            let patience = std::time::Duration::from_secs(25);
            match tokio::time::timeout(patience, look).await {
                Ok(preview) => {
                    assert_eq!(preview["build_state"], "live", "{preview:#}");
                    return preview;
                }
                Err(_) => rounds += 1,
            }
            assert!(rounds < 6, "the preview is never built");
        }
    }

    /// What answers at an address, by its host.
    async fn page(&self, url: &str) -> (u16, String) {
        let host = url.trim_start_matches("http://").trim_end_matches('/');
        let request = client().get(&self.up.url).header("host", host);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

/// Whether a database can be opened.
async fn is_there(url: &str) -> bool {
    let url = url.to_owned();
    let open = move || PgConnection::establish(&url).is_ok();
    tokio::task::spawn_blocking(open).await.unwrap()
}

async fn expect_any(request: reqwest::RequestBuilder) -> Value {
    request.send().await.unwrap().json().await.unwrap()
}

testkit::on_both_backends! {
    async fn a_pull_request_is_previewed_until_it_is_closed(backend: Backend) {
        let shop = tempfile::tempdir().unwrap();
        std::fs::write(shop.path().join("app.py"), APP).unwrap();
        std::fs::write(shop.path().join("page.txt"), "Main. ").unwrap();
        std::fs::write(shop.path().join("Procfile"), "web: exec python3 app.py\n").unwrap();
        git(shop.path(), &["init", "--quiet", "--initial-branch=main"]);
        git(shop.path(), &["add", "--all"]);
        git(shop.path(), &["commit", "--quiet", "-m", "First"]);
        let server = std::env::var("SLIPWAY_TEST_POSTGRES_URL")
            .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into());
        let settings = [("apps.postgres_url", server.as_str()), ("apps.keep_deleted", "0s")];
        let story = Story::start_with(&backend, shop.path(), &settings).await;
        let path = story.below("/github/install");
        let link = text(&story.get(&path).await["install_url"]);
        story.connect(&link).await;
        let wanted = json!({
            "name": "Shop", "github_data": { "owner": "acme", "repo": "shop" }, "environment": { "database": true },
        });
        let made = story.post(201, &story.below("/projects"), wanted).await;
        let project = story.below(&format!("/projects/{}", text(&made["project"]["id"])));
        let production = text(&made["project"]["environments"][0]["id"]);
        let variables = json!({ "variables": { "TOKEN": { "value": "a-secret-of-production", "secret": true } } });
        let put = story.request(Method::PUT, &format!("{project}/environments/{production}/variables"));
        expect(200, put.json(&variables)).await;
        let settings = story.request(Method::PUT, &format!("{project}/preview-settings"));
        expect(200, settings.json(&json!({ "enabled": true, "secrets": true }))).await;

        // A branch of the repository's own: live at an address of its own, with a database of its own.
        let repository = Repository::new(1, "acme", "shop", shop.path().join(".git"));
        let feature = commit(shop.path(), "feature", "Feature. ");
        let pull = PullRequest::new(&repository, 5, "feature", &feature);
        story.github.set_pull_request(pull.clone());
        story.deliver(&story.github.pull_request_event("opened", 1, 5)).await;
        let preview = story.live(&format!("{project}/previews/5"), &feature).await;
        let url = text(&preview["url"]);
        let (status, page) = story.page(&url).await;
        assert_eq!(status, 200, "{page}");
        assert!(page.starts_with("Feature. postgres://app_projenv_"), "{page}");
        assert!(page.ends_with(" a-secret-of-production"), "{page}");
        let database = page.split(' ').nth(1).unwrap().to_owned();
        assert!(!database.contains(&production), "it is production's");
        assert!(is_there(&database).await);
        let comment = eventually("the comment says so", || {
            let comments = story.github.comments(1, 5);
            comments.into_iter().find(|comment| comment.body.contains("**Live.**"))
        }).await;
        assert!(comment.body.contains(&url), "{}", comment.body);

        // A fork's commit waits, runs once it is approved, and then without secrets.
        let strange = commit(shop.path(), "strange", "Strange. ");
        git(shop.path(), &["update-ref", "refs/pull/6/head", &strange]);
        git(shop.path(), &["branch", "--quiet", "-D", "strange"]);
        let fork = PullRequest::new(&repository, 6, "main", &strange).of_fork(77, "mallory", "shop");
        story.github.set_pull_request(fork.clone());
        story.deliver(&story.github.pull_request_event("opened", 1, 6)).await;
        let path = format!("{project}/previews/6");
        let waiting = story.preview(&path, "it waits", |preview| preview["status"] == "awaiting_approval").await;
        assert_eq!(waiting["environment_id"], Value::Null, "{waiting:#}");
        eventually("the comment says how it is approved", || {
            let comments = story.github.comments(1, 6);
            comments.into_iter().find(|comment| comment.body.contains(&strange))
        }).await;
        story.post(202, &format!("{path}/approve"), json!({ "commit": strange })).await;
        let theirs = story.live(&path, &strange).await;
        let (status, page) = story.page(&text(&theirs["url"])).await;
        assert_eq!(status, 200, "{page}");
        assert!(page.starts_with("Strange. postgres://") && page.ends_with(" none"), "{page}");

        // Closed, nothing is left of either: no address, no database, no deployment.
        for pull in [pull, fork] {
            let number = pull.number;
            story.github.set_pull_request(PullRequest { open: false, ..pull });
            story.deliver(&story.github.pull_request_event("closed", 1, number)).await;
            let path = format!("{project}/previews/{number}");
            story.preview(&path, "it is closed", |preview| preview["status"] == "closed").await;
            eventually("the comment says that it is over", || {
                let comments = story.github.comments(1, number);
                comments.into_iter().find(|comment| comment.body.contains("The preview is over"))
            }).await;
        }
        eventually_async("its address is nobody's", || async {
            let (status, _) = story.page(&url).await;
            (status == 404).then_some(())
        }).await;
        eventually_async("its database is gone", || async {
            (!is_there(&database).await).then_some(())
        }).await;
        eventually("its deployment is over", || {
            let posted = story.github.posted();
            posted.iter().any(|posted| posted.body["state"] == "inactive").then_some(())
        }).await;
        expect(200, story.request(Method::DELETE, &project)).await;
        story.up.platform.stop().await;
    }
}
