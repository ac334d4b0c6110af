//! GitHub as a provider of Medusa's, against a simulator of GitHub.

mod hostile;
mod link;
mod sign_in;

use common::time::Clock;
use reqwest::{Response, Url};
use testkit::github::{Github, Person};

use super::*;

/// Where the platform is reached: GitHub sends people back there, which the tests do themselves.
pub(crate) const PUBLIC: &str = "http://localhost:8080";
pub(crate) const START: &str = "/auth/euser/github";

/// auth that knows a GitHub, where Ada and Ben are.
pub(crate) async fn with_github(backend: &Backend, clock: Clock) -> (Harness, Github) {
    let github = Github::start(PUBLIC, clock.clone());
    github.add(Person::new(4711, "ada", "Ada Lovelace", "Ada@X.dev"));
    github.add(Person::new(4712, "ben", "Ben", "ben@x.dev"));
    let mut builder = auth(backend)
        .clock(clock)
        .setting("cors.origins", "https://shop.example")
        .setting("github.timeout", "2s");
    for (key, value) in github.settings() {
        builder = builder.setting(key, &value);
    }
    (builder.start().await, github)
}

pub(crate) fn present() -> Clock {
    Clock::manual(Clock::system().now())
}

/// The cookie that an answer sets, as a browser sends it.
pub(crate) fn cookie(response: &Response) -> String {
    let set = response.headers()["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// Where a sign-in goes.
pub(crate) async fn location(request: reqwest::RequestBuilder) -> String {
    expect(200, request).await["location"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub(crate) fn start(harness: &Harness) -> reqwest::RequestBuilder {
    post(harness, START, &json!({}))
}

/// Has the frontend pass on what GitHub sent the person back with.
pub(crate) fn pass_on(harness: &Harness, back: &Url) -> reqwest::RequestBuilder {
    let path = format!("{START}/callback?{}", back.query().unwrap());
    harness.request(Method::GET, "auth", &path)
}

/// The whole way, to a token.
pub(crate) async fn sign_in(harness: &Harness, github: &Github, login: &str) -> String {
    let back = github.consent(&location(start(harness)).await, login).await;
    token(pass_on(harness, &back)).await
}
