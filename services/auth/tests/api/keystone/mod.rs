//! The interface of Keystone: its document's own examples, and what they leave open.

mod complete;
mod hostile;
mod polling;
mod seed;

use common::time::Span;
use reqwest::{Response, Url};
use testkit::Receiver;
use testkit::github::{Github, Person};

use super::github::{PUBLIC, cookie, present, with_github};
use super::*;

/// Somebody's browser, as far as it matters here.
#[derive(Default)]
struct Browser(Option<String>);

impl Browser {
    async fn get(&mut self, harness: &Harness, path: &str) -> Response {
        self.send(harness.request(Method::GET, "auth", path)).await
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Response {
        let request = match &self.0 {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let response = request.send().await.unwrap();
        if response.headers().contains_key("set-cookie") {
            self.0 = Some(cookie(&response));
        }
        response
    }

    /// Opens the page and clicks.
    async fn click(&mut self, harness: &Harness, asked: &Value, decision: &str) -> Response {
        let path = path_of(asked);
        let page = self.get(harness, &path).await;
        assert_eq!(page.status(), 200);
        let proof = proof_in(&page.text().await.unwrap());
        self.send(decide(harness, &path, &proof, decision)).await
    }

    /// Goes on to GitHub and consents there; answers with what she comes back with.
    async fn consent(
        &mut self,
        harness: &Harness,
        github: &Github,
        asked: &Value,
        login: &str,
    ) -> Url {
        let on = self.click(harness, asked, "continue").await;
        assert_eq!(on.status(), 303);
        github
            .consent(on.headers()["location"].to_str().unwrap(), login)
            .await
    }

    /// Comes back from GitHub.
    async fn come_back(&mut self, harness: &Harness, back: &Url) -> (u16, String) {
        assert!(back.as_str().starts_with(PUBLIC), "{back}");
        let path = format!("{}?{}", back.path(), back.query().unwrap());
        let page = self.get(harness, &path).await;
        (page.status().as_u16(), page.text().await.unwrap())
    }

    /// The whole way.
    async fn answer(&mut self, harness: &Harness, github: &Github, asked: &Value, login: &str) {
        let back = self.consent(harness, github, asked, login).await;
        let (status, page) = self.come_back(harness, &back).await;
        assert_eq!(status, 200, "{page}");
    }
}

fn path_of(asked: &Value) -> String {
    let url = asked["authorize_url"].as_str().unwrap();
    url.strip_prefix(PUBLIC).unwrap().to_owned()
}

fn proof_in(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"proof\" value=\"").expect(page);
    rest.split('"').next().unwrap().to_owned()
}

fn decide(harness: &Harness, path: &str, proof: &str, decision: &str) -> reqwest::RequestBuilder {
    let body = format!("proof={proof}&decision={decision}");
    harness
        .request(Method::POST, "auth", path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

async fn ask(harness: &Harness) -> Value {
    expect(200, harness.request(Method::POST, "auth", "/login-request")).await
}

fn poll(harness: &Harness, asked: &Value) -> reqwest::RequestBuilder {
    let code = asked["temporary_code"].as_str().unwrap();
    harness.request(Method::GET, "auth", &format!("/login-request?code={code}"))
}

/// The one-time code of an answered request.
async fn auth_code(harness: &Harness, asked: &Value) -> String {
    let polled = expect(200, poll(harness, asked)).await;
    assert_eq!(polled["answered"], true, "{polled}");
    polled["auth_code"].as_str().unwrap().to_owned()
}

/// A one-time code of somebody who has answered.
async fn answered(harness: &Harness, github: &Github, login: &str) -> String {
    let asked = ask(harness).await;
    Browser::default()
        .answer(harness, github, &asked, login)
        .await;
    auth_code(harness, &asked).await
}

fn complete(harness: &Harness, token: &str, public_key: &Value) -> reqwest::RequestBuilder {
    let body = json!({ "account_type": "github", "token": token, "public_key": public_key });
    post(harness, "/complete", &body)
}
