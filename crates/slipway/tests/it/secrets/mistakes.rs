//! Secrets where they don't belong: in addresses, in bodies that can't be read, in fields of others.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::api::Api;
use super::canary::Canary;
use super::teller::App;

/// Makes them all. `misplaced` may stand in no answer.
pub(super) async fn make(api: &Api, misplaced: &Canary, key: &str, app: &App, token: &str) {
    addresses(api, misplaced, key).await;
    let account = app.path.rsplit_once("/projects/").unwrap().0;
    bodies(api, &misplaced.value, account, token).await;
    variables(api, &misplaced.value, app, token).await;
    headers(api, &misplaced.value).await;
}

async fn addresses(api: &Api, misplaced: &Canary, key: &str) {
    let secret = misplaced.value.as_str();
    let query = [
        ("access_token", key),
        ("password", secret),
        ("limit", secret),
        ("provider", secret),
    ];
    for (status, path) in [
        (401, "/v1/users/me"),
        (401, "/v1/accounts"),
        (401, "/v1/no-such-service/x"),
        (401, "/auth/euser/emailpass"),
        (404, "/nowhere"),
    ] {
        api.told(status, api.request(Method::GET, path).query(&query))
            .await;
    }
    let listing = api.request(Method::GET, "/v1/usage").query(&query);
    api.told(400, listing.bearer_auth(key)).await;
}

async fn bodies(api: &Api, secret: &str, account: &str, token: &str) {
    let post = |path: &str| {
        let request = api.request(Method::POST, path).bearer_auth(token);
        request.header("content-type", "application/json")
    };
    let cut = post("/v1/accounts").body(format!("{{\"name\": \"{secret}"));
    let refused: [(u16, RequestBuilder); 8] = [
        (400, cut),
        (422, post("/v1/accounts").json(&json!(secret))),
        (
            422,
            post("/v1/generate").json(&json!({ "name": { "x": secret } })),
        ),
        (
            422,
            post("/v1/generate").json(&json!({ "scopes": [secret] })),
        ),
        (
            422,
            post("/v1/generate").json(&json!({ "expires_in": secret })),
        ),
        (
            400,
            post("/v1/invite/accept").json(&json!({ "token": secret })),
        ),
        (
            422,
            post(&format!("{account}/invite")).json(&json!({ "role": secret })),
        ),
        (
            401,
            post("/auth/euser/emailpass")
                .json(&json!({ "email": "x@example.com", "password": [secret] })),
        ),
    ];
    for (status, request) in refused {
        api.told(status, request).await;
    }
}

async fn variables(api: &Api, secret: &str, app: &App, token: &str) {
    let path = format!("{}/environments/{}/variables", app.path, app.environment);
    for variables in [
        json!({ "BAD-NAME": { "value": secret, "secret": true } }),
        json!({ "A": { "value": secret, "scret": true } }),
        json!({ "A": { "value": secret, "secret": secret } }),
        json!({ "A": [secret] }),
    ] {
        let put = api.request(Method::PUT, &path).bearer_auth(token);
        api.told(422, put.json(&json!({ "variables": variables })))
            .await;
    }
}

async fn headers(api: &Api, secret: &str) {
    let me = || api.request(Method::GET, "/v1/users/me");
    api.told(401, me().bearer_auth(secret)).await;
    api.told(401, me().basic_auth("git", Some(secret))).await;
    api.told(401, me().header("cookie", format!("connect.sid={secret}")))
        .await;
    api.told(401, me().header("x-api-key", secret)).await;
    let malformed = me().bearer_auth("x").header("traceparent", secret);
    api.told(401, malformed.header("x-request-id", secret))
        .await;
}
