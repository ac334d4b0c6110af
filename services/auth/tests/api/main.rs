//! auth as its clients and the other services meet it, on both backends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod admin;
mod clients;
mod device;
mod discovery;
mod emailpass;
mod enumeration;
mod first_admin;
mod github;
mod import;
mod injection;
mod internal;
mod keys;
mod keystone;
mod mail;
mod mfa;
mod oauth;
mod pacing;
mod realms;
mod recovery;
mod refresh;
mod requests;
mod self_service;
mod sessions;
mod tokens;
mod verification;
mod verte;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::db::Database;
use reqwest::Method;
use serde_json::{Value, json};
use slipway_auth::mail::{Kept, kept};
use testkit::{Backend, Builder, Harness, eventually, expect};

const PASSWORD: &str = "correct horse battery";

/// auth with known credentials of the other services.
fn auth(backend: &Backend) -> Builder<'_> {
    Builder::new(backend)
        .real_auth()
        .service(slipway_auth::service())
        .setting("auth.admin_email", "root@x.dev")
        .setting("auth.admin_password", "the operator's own")
        .setting("services.account.secret", "account's secret")
        .setting("services.v1api.secret", "v1api's secret")
        .setting("services.github.secret", "github's secret")
}

fn db(harness: &Harness) -> Database {
    harness.platform().context("auth").unwrap().db.clone()
}

fn post(harness: &Harness, path: &str, body: &Value) -> reqwest::RequestBuilder {
    harness.request(Method::POST, "auth", path).json(body)
}

fn credentials(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

fn login(harness: &Harness, actor: &str, email: &str, password: &str) -> reqwest::RequestBuilder {
    post(
        harness,
        &format!("/auth/{actor}/emailpass"),
        &credentials(email, password),
    )
}

fn register(harness: &Harness, email: &str, password: &str) -> reqwest::RequestBuilder {
    post(
        harness,
        "/auth/euser/emailpass/register",
        &credentials(email, password),
    )
}

fn refresh(harness: &Harness, token: &str) -> reqwest::RequestBuilder {
    harness
        .request(Method::POST, "auth", "/auth/token/refresh")
        .bearer_auth(token)
}

async fn admin(harness: &Harness) -> String {
    token(login(harness, "admin", "root@x.dev", "the operator's own")).await
}

async fn token(request: reqwest::RequestBuilder) -> String {
    expect(200, request).await["token"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// What a token says, unverified.
fn part(token: &str, place: usize) -> Value {
    let part = token.split('.').nth(place).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn claims(token: &str) -> Value {
    part(token, 1)
}

async fn service_token(harness: &Harness, service: &str, audience: &str) -> String {
    let body = json!({ "service": service, "secret": format!("{service}'s secret"), "audience": audience });
    token(
        harness
            .private(Method::POST, "auth", "/internal/service-tokens")
            .json(&body),
    )
    .await
}

/// The letters to somebody with this in their subject, the newest first.
fn letters(backend: &Backend, to: &str, subject: &str) -> Vec<Kept> {
    let mut mails = kept(backend.directory()).unwrap();
    mails.retain(|mail| mail.to == to && mail.subject.contains(subject));
    mails
}

/// The newest of them, once there are so many.
async fn letter(backend: &Backend, to: &str, subject: &str, count: usize) -> Kept {
    let what = format!("letter {count} to {to}: {subject}");
    eventually(&what, || {
        let mails = letters(backend, to, subject);
        (mails.len() >= count).then(|| mails[0].clone())
    })
    .await
}

/// What the link in a letter has in its fragment.
fn secret_of(letter: &Kept) -> String {
    letter.links[0].split_once('#').unwrap().1.to_owned()
}

/// What a table of the service holds, as one text a row.
async fn texts(harness: &Harness, query: &'static str) -> Vec<String> {
    use diesel::RunQueryDsl as _;

    #[derive(diesel::QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        text: String,
    }
    let lines: Vec<Line> = db(harness)
        .read(move |db| diesel::sql_query(query).load(db))
        .await
        .unwrap_or_else(|error: diesel::result::Error| panic!("{error}"));
    lines.into_iter().map(|line| line.text).collect()
}
