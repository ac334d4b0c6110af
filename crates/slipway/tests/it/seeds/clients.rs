//! "auth": a server signs its people up and in with an API key.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, expect};

use super::{Policy, Seeds, replayed, text};

replayed! {
    a_servers_people_sign_up_in_and_out;
}

async fn a_servers_people_sign_up_in_and_out(backend: &Backend, policy: Policy) {
    let seeds = Seeds::start(backend, policy).await;
    let key = server_key(&seeds).await;
    let person = json!({ "email": "somebody@x.dev", "password": "secret" });
    let with_pid = json!({ "email": "somebody@x.dev", "password": "secret", "pid": "u-1" });

    let first = seeds.post(200, "/signup", &key, with_pid).await;
    assert_eq!(first["pid"], "u-1");
    let second = seeds.post(200, "/login", &key, person.clone()).await;
    let named = |client: &Value| json!({ "pid": "u-1", "cid": client["cid"] });
    for client in [&first, &second] {
        let told = seeds.post(200, "/auth", &key, named(client)).await;
        assert_eq!(told["secret"], client["secret"]);
    }
    let extend = seeds.request(Method::PUT, "/auth", &key);
    expect(200, extend.json(&json!({ "cid": first["cid"] }))).await;

    let out = seeds
        .post(200, "/logout", &key, json!({ "cid": first["cid"] }))
        .await;
    assert_eq!(out, json!({ "cid": null }));
    let refused = seeds.post(401, "/auth", &key, named(&first)).await;
    assert_eq!(refused["cid"], json!(null));

    let reset = seeds
        .post(200, "/reset", &key, json!({ "email": "somebody@x.dev" }))
        .await;
    assert_eq!(
        (&reset["email"], &reset["pid"]),
        (&json!("somebody@x.dev"), &json!("u-1"))
    );
    let body = seeds.body(json!({ "cid": reset["cid"], "password": "another" }));
    let set = seeds.request(Method::PUT, "/password", &key).json(&body);
    assert_eq!(expect(200, set).await["cid"], json!(null));
    seeds.post(401, "/auth", &key, named(&second)).await;
    seeds.post(401, "/login", &key, person).await;

    let person = json!({ "email": "somebody@x.dev", "password": "another" });
    let clients = [
        seeds.post(200, "/login", &key, person.clone()).await,
        seeds.post(200, "/login", &key, person).await,
    ];
    let body = json!({ "cid": clients[0]["cid"] });
    let out = seeds
        .post(200, "/logout?scope=everywhere", &key, body)
        .await;
    assert_eq!(out, json!({ "cid": null }));
    for client in &clients {
        seeds.post(401, "/auth", &key, named(client)).await;
    }
    seeds.stop().await;
}

/// An API key for the clients of a new user's realm, made as a person would.
async fn server_key(seeds: &Seeds) -> String {
    let owner = json!({ "email": "owner@x.dev", "password": "the owner's own" });
    let answer = seeds
        .post(200, "/auth/euser/emailpass/register", "", owner)
        .await;
    let token = text(&answer["token"]);
    seeds
        .post(201, "/v1/users", &token, json!({ "email": "owner@x.dev" }))
        .await;
    let wanted = json!({ "scopes": ["clients:write"] });
    let refused = seeds
        .post(422, "/v1/generate", &token, wanted.clone())
        .await;
    assert_eq!(refused["code"], "realm_required");
    let realm = seeds
        .post(201, "/v1/realms", &token, json!({ "name": "My people" }))
        .await;
    let made = seeds.post(201, "/v1/generate", &token, wanted).await;
    assert_eq!(made["api_key"]["realm_id"], realm["realm"]["id"]);
    let elsewhere =
        json!({ "scopes": ["clients:write"], "realm_id": "realm_01h455vb4pex5vsknk084sn02q" });
    let refused = seeds.post(403, "/v1/generate", &token, elsewhere).await;
    assert_eq!(refused["code"], "realm_not_allowed");
    text(&made["token"])
}
