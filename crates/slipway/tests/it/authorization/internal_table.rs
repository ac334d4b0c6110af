//! The routes of the private listeners.

use common::role::Role::Viewer;

use super::policy::Policy::{AnyService, Git, Open, Secret, Services};
use super::policy::{Row, private};

#[rustfmt::skip]
pub(super) const INTERNAL: &[Row] = &[
    private("auth", "GET", "/internal/jwks", Open, 200),
    private("auth", "POST", "/internal/service-tokens", Secret, 200)
        .body(r#"{"service":"account","secret":"{secret}","audience":"project"}"#)
        .wrong(r#"{"service":"account","secret":"another","audience":"project"}"#),
    // Each service has its own kinds signed; this is one of account's.
    private("auth", "POST", "/internal/tokens", Services(&["account"]), 200)
        .body(r#"{"kind":"invite+jwt","sub":"{invite_id}","audience":"slipway:invite","lifetime":60}"#),
    private("auth", "POST", "/internal/realms/choose", Services(&["v1api"]), 200)
        .body(r#"{"identity_id":"{identity_id}","user_id":"{identity_user}"}"#),
    private("auth", "POST", "/internal/sessions/exchange", Services(&["v1api"]), 200)
        .body(r#"{"digest":"{session_digest}"}"#),
    private("auth", "GET", "/internal/identities/{identity_id}", Services(&["account", "github", "v1api"]), 200),
    private("auth", "PUT", "/internal/identities/{identity_id}/user", Services(&["account"]), 200)
        .body(r#"{"user_id":"{identity_user}"}"#),

    private("auth", "GET", "/internal/identities/{identity_id}/record", Services(&["account"]), 200),
    private("auth", "POST", "/internal/identities/{identity_id}/password", Services(&["account"]), 200)
        .body(r#"{"password":"{password}"}"#),
    private("auth", "DELETE", "/internal/identities/{identity_id}", Services(&["account"]), 200)
        .named("identity_id", "{newcomer}"),

    private("account", "POST", "/internal/identities/{identity_id}/departure", Services(&["auth"]), 200)
        .body(r#"{"only_ask":true,"force":true}"#),
    private("account", "GET", "/internal/memberships/{account_id}/{user_id}", Services(&["auth", "project", "github", "provisioner", "v1api"]), 200),
    private("account", "GET", "/internal/identities/{identity_id}/user", AnyService, 200),

    private("project", "POST", "/internal/pushes", Services(&["github"]), 200)
        .body(r#"{"account_id":"{account_id}","trigger":"t","owner":"{account_id}","repo":"none","branch":"main","is_default":true}"#),
    private("project", "POST", "/internal/pull-requests", Services(&["github"]), 200)
        .body(r#"{"changed_at":"2026-01-01T00:00:00Z","pull_request":{"account_id":"{account_id}","owner":"{account_id}","repo":"none","number":1,"open":true,"base_branch":"main","head_repository":null,"head_branch":"x","commit":"0","fork":true,"author":"x"}}"#),
    private("project", "GET", "/internal/environments/{environment_id}/runtime", Services(&["provisioner"]), 200),

    private("github", "GET", "/git/{owner}/{repo}.git/info/refs", Git(Viewer, "projects:read"), 200)
        .query("?service=git-upload-pack"),
    private("github", "POST", "/git/{owner}/{repo}.git/git-upload-pack", Git(Viewer, "projects:read"), 200).body("0000"),
    private("github", "POST", "/internal/repositories/resolve", Services(&["project", "provisioner"]), 200)
        .body(r#"{"account_id":"{account_id}","owner":"{account_id}","repo":"{repo}"}"#),
    private("github", "POST", "/internal/repositories/checkout", Services(&["project", "provisioner"]), 200)
        .body(r#"{"account_id":"{account_id}","owner":"{account_id}","repo":"{repo}"}"#),

    private("provisioner", "GET", "/internal/builds/{build_id}/log", Services(&["project"]), 200)
        .query("?after=0"),
    private("provisioner", "GET", "/internal/environments/{environment_id}/log", Services(&["project"]), 200)
        .query("?after=0"),
    private("provisioner", "POST", "/internal/activity", Services(&["v1api"]), 200).body(r#"{"apps":[]}"#),
    private("provisioner", "POST", "/internal/environments/{environment_id}/sleep", Services(&["project"]), 200),
    private("provisioner", "POST", "/internal/environments/{environment_id}/restart", Services(&["project"]), 200),
    private("provisioner", "POST", "/internal/environments/{environment_id}/wake", Services(&["project", "v1api"]), 200),
    private("provisioner", "GET", "/internal/doctor", Services(&["project", "v1api"]), 200),

    private("v1api", "GET", "/internal/users/{user_id}/keys", Services(&["account"]), 200),
    private("v1api", "GET", "/internal/environments/{environment_id}/certificates", Services(&["project"]), 200),

    private("auth", "GET", "/internal/feeds/{feed}", AnyService, 200).query("?since=0"),
    // It has no public route to be documented.
    private("provisioner", "GET", "/internal/openapi.json", Open, 404),
];

/// What every service has, unless the table above says otherwise.
#[rustfmt::skip]
pub(super) const EVERYWHERE: &[Row] = &[
    private("", "GET", "/healthz", Open, 200),
    private("", "GET", "/readyz", Open, 200),
    private("", "GET", "/metrics", Open, 200),
    private("", "GET", "/internal/routes", Open, 200),
    private("", "GET", "/internal/openapi.json", Open, 200),
    // Others than auth have no feed of this name.
    private("", "GET", "/internal/feeds/{feed}", AnyService, 404).query("?since=0"),
    private("", "GET", "/internal/audit", Services(&["account"]), 200).query("?limit=10"),
    private("", "GET", "/internal/events/dead", AnyService, 200),
    private("", "POST", "/internal/events/replay", AnyService, 200).body("{}"),
];
