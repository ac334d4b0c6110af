//! Pull requests and their comments (REST API 2022-11-28, "Pull requests", "Issue comments").

use actix_web::{HttpRequest, HttpResponse, web};
use common::time::Time;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::{APP_ID, APP_SLUG, Shared, message, token};
use super::deliveries::Delivery;
use super::rest::{installed, opened};
use super::state::State;
use super::world::Repository;
use super::{Github, lock};

/// A pull request.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The number of the repository that it is to.
    pub repository: u64,
    /// Its own number there.
    pub number: u64,
    /// The branch that it is to.
    pub base: String,
    /// The repository that it comes from, as number and `owner/name`; none if that is gone.
    pub from: Option<(u64, String)>,
    /// The branch that it comes from.
    pub branch: String,
    /// Its newest commit.
    pub commit: String,
    /// The login of whoever opened it.
    pub author: String,
    /// Whether it is open.
    pub open: bool,
    /// When it changed last: whoever sets the pull request changes it.
    pub updated_at: Option<Time>,
}

impl PullRequest {
    /// An open one from a branch of the repository itself to `main`.
    #[must_use]
    pub fn new(repository: &Repository, number: u64, branch: &str, commit: &str) -> Self {
        Self {
            repository: repository.id,
            number,
            base: "main".to_owned(),
            from: Some((repository.id, repository.full_name())),
            branch: branch.to_owned(),
            commit: commit.to_owned(),
            author: "octocat".to_owned(),
            open: true,
            updated_at: None,
        }
    }

    /// The same from somebody's copy of the repository.
    #[must_use]
    pub fn of_fork(self, id: u64, owner: &str, name: &str) -> Self {
        Self {
            from: Some((id, format!("{owner}/{name}"))),
            author: owner.to_owned(),
            ..self
        }
    }

    fn shown(&self, base: &Repository) -> Value {
        let from = self.from.as_ref().map(|(id, full_name)| {
            let (owner, name) = full_name.split_once('/').unwrap_or_default();
            json!({
                "id": id, "name": name, "full_name": full_name, "owner": { "login": owner },
                "fork": *id != base.id,
            })
        });
        json!({
            "id": 9_000 + self.number, "number": self.number,
            "state": if self.open { "open" } else { "closed" },
            "updated_at": self.updated_at.map(written), "title": "A change", "draft": false, "merged": false,
            "user": { "login": self.author, "type": "User" },
            "head": { "ref": self.branch, "sha": self.commit, "repo": from },
            "base": { "ref": self.base, "sha": "0".repeat(40), "repo": base.shown() },
        })
    }
}

/// A time as the API shows it: to the second.
fn written(time: Time) -> String {
    time.to_chrono().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A comment on a pull request.
#[derive(Clone, Debug)]
pub struct Comment {
    /// Its number.
    pub id: u64,
    /// The number of the repository.
    pub repository: u64,
    /// The pull request's number.
    pub number: u64,
    /// What it says.
    pub body: String,
    /// Whether the App wrote it.
    pub by_app: bool,
}

impl Comment {
    fn shown(&self) -> Value {
        let (login, kind) = if self.by_app {
            (format!("{APP_SLUG}[bot]"), "Bot")
        } else {
            ("mallory".to_owned(), "User")
        };
        let app = self
            .by_app
            .then(|| json!({ "id": APP_ID, "slug": APP_SLUG }));
        json!({
            "id": self.id, "body": self.body, "user": { "login": login, "type": kind },
            "performed_via_github_app": app,
        })
    }
}

impl State {
    fn pull_request(&self, repository: u64, number: u64) -> Option<&PullRequest> {
        let mut all = self.pull_requests.iter();
        all.find(|known| known.repository == repository && known.number == number)
    }
}

type Numbered = web::Path<(String, String, u64)>;

/// The repository, if the request's token opens its pull requests this far.
fn of_request(
    state: &State,
    request: &HttpRequest,
    (owner, name): (&str, &str),
    level: &str,
) -> Result<Repository, HttpResponse> {
    let token = installed(state, token(request))?;
    opened(state, &token, (owner, name), ("pull_requests", level))
}

/// `GET /repos/{owner}/{repo}/pulls/{number}`
pub(super) async fn pull_request(
    state: Shared,
    request: HttpRequest,
    path: Numbered,
) -> HttpResponse {
    let state = lock(&state);
    let found = match of_request(&state, &request, (&path.0, &path.1), "read") {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    match state.pull_request(found.id, path.2) {
        Some(pull) => HttpResponse::Ok().json(pull.shown(&found)),
        None => message(404, "Not Found"),
    }
}

#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    per_page: Option<usize>,
    #[serde(default)]
    page: Option<usize>,
}

/// `GET /repos/{owner}/{repo}/issues/{number}/comments`
pub(super) async fn comments(
    state: Shared,
    request: HttpRequest,
    path: Numbered,
    page: web::Query<Page>,
) -> HttpResponse {
    let state = lock(&state);
    let found = match of_request(&state, &request, (&path.0, &path.1), "read") {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    if state.pull_request(found.id, path.2).is_none() {
        return message(404, "Not Found");
    }
    let is_its = |comment: &&Comment| comment.repository == found.id && comment.number == path.2;
    let all: Vec<_> = state
        .comments
        .iter()
        .filter(is_its)
        .map(Comment::shown)
        .collect();
    let size = page.per_page.unwrap_or(30).clamp(1, state.longest_page);
    let number = page.page.unwrap_or(1).max(1);
    let shown: Vec<_> = all.iter().skip((number - 1) * size).take(size).collect();
    let mut answer = HttpResponse::Ok();
    if number * size < all.len() {
        let (url, path, next) = (&state.web_url, request.path(), number + 1);
        let link = format!("<{url}{path}?per_page={size}&page={next}>; rel=\"next\"");
        answer.insert_header(("link", link));
    }
    answer.json(shown)
}

fn text(body: &Value) -> Result<String, HttpResponse> {
    let text = body.get("body").and_then(Value::as_str);
    // As documented: at most 65,536 characters.
    text.filter(|text| !text.is_empty() && text.chars().count() <= 65_536)
        .map(str::to_owned)
        .ok_or_else(|| message(422, "Validation Failed"))
}

/// `POST /repos/{owner}/{repo}/issues/{number}/comments`
pub(super) async fn comment(
    state: Shared,
    request: HttpRequest,
    path: Numbered,
    body: web::Json<Value>,
) -> HttpResponse {
    let mut state = lock(&state);
    let found = of_request(&state, &request, (&path.0, &path.1), "write");
    let (found, text) = match found.and_then(|found| Ok((found, text(&body)?))) {
        Ok(made) => made,
        Err(refusal) => return refusal,
    };
    if state.pull_request(found.id, path.2).is_none() {
        return message(404, "Not Found");
    }
    let comment = Comment {
        id: 100 + u64::try_from(state.comments.len()).unwrap_or_default(),
        repository: found.id,
        number: path.2,
        body: text,
        by_app: true,
    };
    let shown = comment.shown();
    state.comments.push(comment);
    HttpResponse::Created().json(shown)
}

/// `PATCH /repos/{owner}/{repo}/issues/comments/{id}`
pub(super) async fn edit_comment(
    state: Shared,
    request: HttpRequest,
    path: Numbered,
    body: web::Json<Value>,
) -> HttpResponse {
    let mut state = lock(&state);
    let found = of_request(&state, &request, (&path.0, &path.1), "write");
    let (found, text) = match found.and_then(|found| Ok((found, text(&body)?))) {
        Ok(made) => made,
        Err(refusal) => return refusal,
    };
    let mut all = state.comments.iter_mut();
    match all.find(|known| known.id == path.2 && known.repository == found.id) {
        Some(comment) => {
            comment.body = text;
            HttpResponse::Ok().json(comment.shown())
        }
        None => message(404, "Not Found"),
    }
}

impl Github {
    /// Opens a pull request, or changes it.
    pub fn set_pull_request(&self, mut pull: PullRequest) {
        let mut state = self.state();
        pull.updated_at = Some(state.now());
        let is_it = |known: &PullRequest| {
            known.repository == pull.repository && known.number == pull.number
        };
        state.pull_requests.retain(|known| !is_it(known));
        state.pull_requests.push(pull);
    }

    /// That something became of a pull request: `opened`, `synchronize`, `closed`, say. What it says of
    /// the pull request is how that stands now.
    ///
    /// # Panics
    /// When there is no such pull request.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the test is wrong then")]
    pub fn pull_request_event(&self, action: &str, repository: u64, number: u64) -> Delivery {
        let state = self.state();
        let found = state.repository(repository);
        let found = found.expect("the repository is there");
        let pull = state.pull_request(repository, number);
        let pull = pull.expect("the pull request is there");
        let installation = state.installation_on(found).map(|known| known.id);
        Delivery::new(
            "pull_request",
            &json!({
                "action": action, "number": number, "pull_request": pull.shown(found),
                "repository": found.shown(), "installation": { "id": installation },
                "sender": { "login": pull.author },
            }),
        )
    }

    /// The comments on a pull request, in order.
    #[must_use]
    pub fn comments(&self, repository: u64, number: u64) -> Vec<Comment> {
        let state = self.state();
        let is_its =
            |comment: &&Comment| comment.repository == repository && comment.number == number;
        state.comments.iter().filter(is_its).cloned().collect()
    }

    /// Has a person comment on a pull request.
    pub fn add_comment(&self, repository: u64, number: u64, body: &str) {
        let mut state = self.state();
        let id = 100 + u64::try_from(state.comments.len()).unwrap_or_default();
        state.comments.push(Comment {
            id,
            repository,
            number,
            body: body.to_owned(),
            by_app: false,
        });
    }

    /// Has a person delete a comment.
    pub fn delete_comment(&self, id: u64) {
        self.state().comments.retain(|known| known.id != id);
    }
}
