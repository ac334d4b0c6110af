//! The routes behind the gateway. Whoever adds one says here who may call it.
//!
//! The order is that in which the right callers call: what is needed later isn't deleted earlier.

use common::role::Role::{Developer, Owner, Viewer};

use super::policy::Policy::{
    Admin, Caller, Entrant, Euser, Git, Holder, Member, MemberOrAdmin, Numbered, Open, Own,
    Pending, Person, Resetter, Secret, Server, User, UserCaller,
};
use super::policy::{Row, public};

const PASSWORD: &str = r#"{"email":"{owner_email}","password":"{password}"}"#;
const NEW_PASSWORD: &str = r#"{"email":"fresh-{email}","password":"{password}"}"#;

pub(super) const AUTH: &[Row] = &[
    public("auth", "GET", "/.well-known/jwks.json", Open, 200),
    public(
        "auth",
        "GET",
        "/.well-known/openid-configuration",
        Open,
        200,
    ),
    public(
        "auth",
        "GET",
        "/.well-known/oauth-authorization-server",
        Open,
        200,
    ),
    public("auth", "GET", "/auth/admin/keys", Admin, 200),
    public("auth", "POST", "/auth/admin/keys/rotate", Admin, 200),
    // One that isn't there: the others are needed for the rest of the table.
    public("auth", "DELETE", "/auth/admin/keys/{kid}", Admin, 404).named("kid", "nonsense"),
    public("auth", "POST", "/auth/admin/identities/import", Admin, 200)
        .body(r#"{"identities":[]}"#),
    public("auth", "GET", "/auth/{actor}/providers", Open, 200),
    public("auth", "POST", "/auth/{actor}/{provider}", Secret, 200).body(PASSWORD),
    public("auth", "GET", "/auth/{actor}/{provider}", Secret, 200).body(PASSWORD),
    public(
        "auth",
        "POST",
        "/auth/{actor}/{provider}/register",
        Secret,
        200,
    )
    .body(NEW_PASSWORD),
    public("auth", "POST", "/auth/token/refresh", Person, 200),
    public("auth", "GET", "/auth/admin/identities", Admin, 200),
    public("auth", "GET", IDENTITY, Admin, 200),
];

const IDENTITY: &str = "/auth/admin/identities/{identity_id}";
const FORCE_RESET: &str = "/auth/admin/identities/{identity_id}/force-reset";
const THEIR_SESSIONS: &str = "/auth/admin/identities/{identity_id}/sessions";
const ACTOR: &str = "/auth/admin/identities/{identity_id}/actors/{actor}";

const COMPLETION: &str = r#"{"method":"recovery_code","code":"{recovery_code}"}"#;

#[rustfmt::skip]
pub(super) const SESSIONS: &[Row] = &[
    public("auth", "POST", "/auth/session", Entrant, 200),
    public("auth", "GET", "/auth/sessions", Person, 200),
    public("auth", "DELETE", "/auth/sessions/{session_id}", Person, 200),
    public("auth", "DELETE", "/auth/session", Secret, 200).header("cookie", "connect.sid={session_cookie}").wrong("{}"),
    public("auth", "DELETE", "/auth/sessions", Person, 200),
    public("auth", "GET", "/auth/devices", Person, 200),
    // None has been let in.
    public("auth", "DELETE", "/auth/devices/{device_id}", Person, 404)
        .named("device_id", "rtfam_01h455vb4pex5vsknk084sn02q"),
    public("auth", "GET", "/auth/mfa/factors", Person, 200),
    // No code of it is known here.
    public("auth", "POST", "/auth/mfa/factors/{factor_id}/verify", Person, 400).body(r#"{"code":"none"}"#),
    public("auth", "DELETE", "/auth/mfa/factors/{factor_id}", Person, 200),
    public("auth", "POST", "/auth/mfa/factors", Person, 200).body(r#"{"provider":"totp"}"#),
    // None is enabled: every other login would wait for a code.
    public("auth", "POST", "/auth/mfa/recovery-codes", Person, 400),
    public("auth", "POST", "/auth/mfa/challenges/{challenge_id}/verify", Pending, 200).body(COMPLETION),
];

const OWN_EMAIL: &str = r#"{"entity_id":"{owner_email}","entity_type":"email"}"#;

#[rustfmt::skip]
pub(super) const MAIL: &[Row] = &[
    public("auth", "GET", "/auth/reset", Open, 200),
    public("auth", "GET", "/auth/verify", Open, 200),
    public("auth", "POST", "/auth/{actor}/{provider}/reset-password", Secret, 201)
        .body(r#"{"identifier":"{owner_email}"}"#).refusal(400),
    // A new password would end the tokens that the other routes need: the right caller, too, has
    // one that isn't taken.
    public("auth", "POST", "/auth/{actor}/{provider}/update", Resetter, 400).body(r#"{"password":"short"}"#),
    public("auth", "POST", "/auth/password", Person, 400)
        .body(r#"{"old_password":"{password}","password":"short"}"#),
    public("auth", "POST", "/auth/email", Person, 400).body(PASSWORD),
    public("auth", "POST", "/auth/verification/request", Person, 201).body(OWN_EMAIL),
    // The code stands in a mail only.
    public("auth", "POST", "/auth/verification/confirm", Secret, 400).body(r#"{"code":"nonsense"}"#).refusal(400),
];

const A_COMPLETION: &str =
    r#"{"account_type":"github","token":"lrc_nonsense","public_key":"none"}"#;

/// There is no GitHub here: what those get whom it knows is shown in auth's own tests.
#[rustfmt::skip]
pub(super) const BY_GITHUB: &[Row] = &[
    public("auth", "POST", "/auth/{actor}/github", Open, 501),
    public("auth", "GET", "/auth/{actor}/github", Open, 501),
    public("auth", "POST", "/auth/{actor}/github/register", Open, 400),
    public("auth", "POST", "/auth/{actor}/github/link", Person, 501),
    public("auth", "GET", "/auth/{actor}/github/callback", Open, 401),
    public("auth", "POST", "/auth/{actor}/github/callback", Open, 401),
    public("auth", "POST", "/login-request", Open, 501),
    public("auth", "GET", "/login-request", Open, 404).query("?code=nonsense"),
    public("auth", "GET", "/login-request/{reference}", Open, 404).named("reference", "nonsense"),
    public("auth", "POST", "/login-request/{reference}", Open, 403).named("reference", "nonsense")
        .body("proof=nonsense&decision=continue"),
    public("auth", "GET", "/auth-redirect", Open, 400),
    public("auth", "GET", "/auth-redirect/{reference}", Open, 400).named("reference", "nonsense"),
    public("auth", "POST", "/complete", Open, 422).body(A_COMPLETION),
];

const ACCOUNTS: &str = "/api/users/{user_number}/accounts";
const ACCOUNT_OF_REALM: &str = "/api/users/{user_number}/accounts/{account_number}";
const ACCOUNT_PASSWORD: &str = r#"{"email":"{account_email}","password":"{password}"}"#;
const NEW_ACCOUNT: &str = r#"{"email":"fresh-{account_email}","password":"{password}"}"#;
const NEW_USER: &str = r#"{"email":"verte-{email}","password":"{password}"}"#;
/// What those send who have no key: as good as the right body, but for a blank.
const WITHOUT_KEY: &str = r#"{"email":"{account_email}", "password":"{password}"}"#;

#[rustfmt::skip]
pub(super) const VERTE: &[Row] = &[
    public("auth", "POST", "/api/users/signup", Secret, 200).body(NEW_USER).refusal(422),
    public("auth", "POST", "/api/users/login", Secret, 200).body(PASSWORD).refusal(422),
    public("auth", "POST", "/api/users/{user_number}/accounts/signup", Secret, 200)
        .body(NEW_ACCOUNT).header("key", "{project_key}").wrong(WITHOUT_KEY),
    public("auth", "POST", "/api/users/{user_number}/accounts/login", Secret, 200)
        .body(ACCOUNT_PASSWORD).header("key", "{project_key}").wrong(WITHOUT_KEY),
    // Nobody is let in here: how it goes is shown in auth's own tests.
    public("auth", "POST", "/oauth/device_authorization", Open, 401).body("client_id=nonsense"),
    public("auth", "GET", "/oauth/device", Open, 200),
    public("auth", "POST", "/oauth/device", Open, 403).body("proof=nonsense&decision=find"),
    public("auth", "POST", "/oauth/token", Open, 400).body("grant_type=nonsense"),
    public("auth", "POST", "/oauth/introspect", Holder, 200).body("token=nonsense"),
    public("auth", "POST", "/oauth/revoke", Open, 200).body("token=nonsense"),
    public("auth", "POST", "/api/users/{user_number}/key", Numbered, 200),
    public("auth", "GET", ACCOUNTS, Numbered, 200),
    public("auth", "PATCH", ACCOUNT_OF_REALM, Numbered, 200).body(r#"{"disabled":true}"#),
    public("auth", "DELETE", ACCOUNT_OF_REALM, Numbered, 200),
];

const LOG_IN: &str = r#"{"email":"{client_email}","password":"{password}"}"#;
const SIGN_UP: &str = r#"{"email":"new-{client_email}","password":"{password}","pid":"new"}"#;
const SET_PASSWORD: &str = r#"{"cid":"{reset_cid}","password":"a {password}"}"#;

#[rustfmt::skip]
pub(super) const REALMS: &[Row] = &[
    public("auth", "POST", "/v1/realms", Caller("realms:write"), 201).body(r#"{"name":"Second"}"#),
    public("auth", "GET", "/v1/realms", Caller("realms:read"), 200),
    public("auth", "GET", "/v1/realms/{realm_id}", Caller("realms:read"), 200),
    public("auth", "PATCH", "/v1/realms/{realm_id}", Caller("realms:write"), 200).body(r#"{"name":"Renamed"}"#),
    public("auth", "POST", "/auth", Server("clients:write"), 200).body(r#"{"pid":"somebody","cid":"{cid}"}"#),
    public("auth", "PUT", "/auth", Server("clients:write"), 200).body(r#"{"cid":"{cid}"}"#),
    public("auth", "POST", "/signup", Server("clients:write"), 200).body(SIGN_UP),
    public("auth", "POST", "/login", Server("clients:write"), 200).body(LOG_IN),
    public("auth", "POST", "/logout", Server("clients:write"), 200).body(r#"{"cid":"{cid}"}"#),
    public("auth", "POST", "/reset", Server("clients:write"), 200).body(r#"{"email":"{client_email}"}"#),
    public("auth", "PUT", "/password", Server("clients:write"), 200).body(SET_PASSWORD),
];

const WEBHOOKS: &str = "/v1/accounts/{account_id}/webhooks";
const WEBHOOK: &str = "/v1/accounts/{account_id}/webhooks/{webhook_id}";
/// Of a type that never happens here, so that nobody is called.
const NEW_WEBHOOK: &str =
    r#"{"url":"https://{unique}.customer.example/","event_types":["webhook.disabled"]}"#;

macro_rules! webhook {
    ($rest:literal) => {
        concat!("/v1/accounts/{account_id}/webhooks/{webhook_id}", $rest)
    };
}

#[rustfmt::skip]
pub(super) const WEBHOOK_ROUTES: &[Row] = &[
    public("project", "POST", WEBHOOKS, Member(Owner, "accounts:write"), 201).body(NEW_WEBHOOK),
    public("project", "GET", WEBHOOKS, Member(Developer, "accounts:read"), 200),
    public("project", "GET", WEBHOOK, Member(Developer, "accounts:read"), 200),
    public("project", "PATCH", WEBHOOK, Member(Owner, "accounts:write"), 200).body(r#"{"description":"Chat"}"#),
    public("project", "POST", webhook!("/rotate-secret"), Member(Owner, "accounts:write"), 200).body("{}"),
    // It is disabled: nobody's address is called.
    public("project", "POST", webhook!("/test"), Member(Owner, "accounts:write"), 409),
    public("project", "GET", webhook!("/deliveries"), Member(Developer, "accounts:read"), 200),
    public("project", "POST", webhook!("/deliveries/{delivery_id}/replay"), Member(Owner, "accounts:write"), 404)
        .named("delivery_id", "whd_01h455vb4pex5vsknk084sn02q"),
];

const PROJECTS: &str = "/v1/accounts/{account_id}/projects";
const PROJECT: &str = "/v1/accounts/{account_id}/projects/{project_id}";
const AWS: &str = "/v1/accounts/{account_id}/projects/{project_id}/credentials/aws";
const ENVIRONMENTS: &str = "/v1/accounts/{account_id}/projects/{project_id}/environments";
const ENVIRONMENT: &str =
    "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}";
const VARIABLES: &str =
    "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/variables";
const PUBLICATION: &str =
    "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/publication";

/// `{base}` and a rest, as text that lives as long as the table.
macro_rules! below {
    (project $rest:literal) => {
        concat!("/v1/accounts/{account_id}/projects/{project_id}", $rest)
    };
    (environment $rest:literal) => {
        concat!(
            "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}",
            $rest
        )
    };
}

#[rustfmt::skip]
pub(super) const PROJECT_ROUTES: &[Row] = &[
    public("project", "POST", PROJECTS, Member(Developer, "projects:write"), 201)
        .body(r#"{"name":"Second","github_data":{"owner":"{account_id}","repo":"{repo}"}}"#),
    public("project", "GET", PROJECTS, Member(Viewer, "projects:read"), 200),
    public("project", "GET", PROJECT, Member(Viewer, "projects:read"), 200),
    public("project", "PATCH", PROJECT, Member(Developer, "projects:write"), 200).body(r#"{"name":"Renamed"}"#),
    public("project", "PUT", AWS, Member(Owner, "secrets:write"), 200)
        .body(r#"{"role_arn":"arn:aws:iam::123456789012:role/slipway","region":"eu-central-1"}"#),
    public("project", "GET", AWS, Member(Owner, "secrets:read"), 200),
    // It is a role, and the platform has no key to take it on with: nobody is asked.
    public("project", "POST", below!(project "/credentials/aws/check"), Member(Owner, "secrets:write"), 200),
    public("project", "DELETE", AWS, Member(Owner, "secrets:write"), 200),
    public("project", "GET", below!(project "/builds"), Member(Viewer, "builds:read"), 200),
    public("project", "GET", below!(project "/builds/{build_id}"), Member(Viewer, "builds:read"), 200),
    public("project", "GET", below!(project "/builds/{build_id}/logs"), Member(Viewer, "builds:read"), 200),
    // What has ended can't be cancelled, and what was never live is nothing to go back to.
    public("project", "POST", below!(project "/builds/{build_id}/cancel"), Member(Developer, "builds:write"), 409),
    public("project", "POST", below!(environment "/rollback"), Member(Developer, "builds:write"), 409),
    // Nothing was ever live there.
    public("project", "POST", below!(environment "/sleep"), Member(Developer, "environments:write"), 409),
    public("project", "POST", below!(environment "/wake"), Member(Developer, "environments:write"), 409),
    public("project", "POST", below!(environment "/restart"), Member(Developer, "environments:write"), 409),
    public("project", "POST", below!(project "/build"), Member(Developer, "builds:write"), 202)
        .body(r#"{"environment_id":"{environment_id}"}"#),
    public("project", "POST", ENVIRONMENTS, Member(Developer, "environments:write"), 201).body(r#"{"name":"staging"}"#),
    public("project", "GET", ENVIRONMENTS, Member(Viewer, "environments:read"), 200),
    public("project", "GET", ENVIRONMENT, Member(Viewer, "environments:read"), 200),
    public("project", "PATCH", ENVIRONMENT, Member(Developer, "environments:write"), 200).body(r#"{"branch":"main"}"#),
    public("project", "GET", below!(environment "/logs"), Member(Viewer, "environments:read"), 200),
    public("project", "PUT", VARIABLES, Member(Developer, "environments:write"), 200)
        .body(r#"{"variables":{"GREETING":"hello","COLOUR":"red"}}"#),
    public("project", "GET", VARIABLES, Member(Developer, "environments:read"), 200),
    public("project", "DELETE", below!(environment "/variables/{name}"), Member(Developer, "environments:write"), 200)
        .named("name", "GREETING"),
    public("project", "DELETE", VARIABLES, Member(Developer, "environments:write"), 200),
    public("project", "PUT", PUBLICATION, Member(Developer, "environments:write"), 200)
        .body(r#"{"name":"shop-{unique}","visibility":"public"}"#),
    public("project", "GET", PUBLICATION, Member(Viewer, "environments:read"), 200),
    public("project", "POST", below!(environment "/publication/approve"), Admin, 200),
    public("project", "DELETE", PUBLICATION, Member(Developer, "environments:write"), 200),
    public("project", "POST", below!(environment "/domains"), Member(Developer, "environments:write"), 201)
        .body(r#"{"domain":"{unique}.customer.example"}"#),
    public("project", "GET", below!(environment "/domains"), Member(Viewer, "environments:read"), 200),
    // One that isn't there: nobody's name servers are asked.
    public("project", "GET", below!(environment "/domains/{domain}"), Member(Viewer, "environments:read"), 404)
        .named("domain", "none.customer.example"),
    public("project", "POST", below!(environment "/domains/{domain}/verify"), Member(Developer, "environments:write"), 404)
        .named("domain", "none.customer.example"),
    public("project", "DELETE", below!(environment "/domains/{domain}"), Member(Developer, "environments:write"), 404)
        .named("domain", "none.customer.example"),
];

/// There is no GitHub here, and so no pull request: what becomes of them is shown in project's own tests.
#[rustfmt::skip]
pub(super) const PREVIEWS: &[Row] = &[
    public("project", "GET", below!(project "/preview-settings"), Member(Viewer, "environments:read"), 200),
    public("project", "PUT", below!(project "/preview-settings"), Member(Developer, "environments:write"), 200)
        .body(r#"{"enabled":true}"#),
    public("project", "GET", below!(project "/previews"), Member(Viewer, "environments:read"), 200),
    public("project", "GET", below!(project "/previews/{number}"), Member(Viewer, "environments:read"), 404)
        .named("number", "1"),
    public("project", "POST", below!(project "/previews/{number}/approve"), Member(Developer, "environments:write"), 404)
        .named("number", "1").body(r#"{"commit":"none"}"#),
    public("project", "POST", below!(project "/previews/{number}/rebuild"), Member(Developer, "environments:write"), 404)
        .named("number", "1"),
    public("project", "DELETE", below!(project "/previews/{number}"), Member(Developer, "environments:write"), 404)
        .named("number", "1"),
];

#[rustfmt::skip]
pub(super) const GITHUB: &[Row] = &[
    public("github", "GET", "/v1/accounts/{account_id}/github/repositories", Member(Viewer, "projects:read"), 200),
    // Without an App: what only an App can answer is 501 for whoever may ask.
    public("github", "GET", "/v1/accounts/{account_id}/github/install", Member(Developer, "projects:read"), 501),
    public("github", "GET", "/v1/accounts/{account_id}/github/installations", Member(Viewer, "projects:read"), 200),
    public("github", "POST", "/v1/accounts/{account_id}/github/installations", Member(Developer, "projects:write"), 501)
        .body(r#"{"state":"x","code":"y","installation_id":1}"#),
    public("github", "DELETE", "/v1/accounts/{account_id}/github/installations/{installation_id}",
        Member(Developer, "projects:write"), 404).named("installation_id", "1"),
    public("github", "GET", "/v1/accounts/{account_id}/github/deliveries", Member(Viewer, "projects:read"), 200),
    public("github", "POST", "/v1/accounts/{account_id}/github/deliveries/{delivery_id}/redeliver",
        Member(Developer, "builds:write"), 404).named("delivery_id", "dlv_01h455vb4pex5vsknk084sn02q"),
    public("github", "POST", "/github/webhooks", Open, 501).body("{}"),
    public("github", "GET", "/github/installed", Open, 200),
    public("github", "GET", "/git/{owner}/{repo}.git/info/refs", Git(Viewer, "projects:read"), 200)
        .query("?service=git-upload-pack"),
    public("github", "POST", "/git/{owner}/{repo}.git/git-upload-pack", Git(Viewer, "projects:read"), 200).body("0000"),
    public("github", "POST", "/git/{owner}/{repo}.git/git-receive-pack", Git(Developer, "projects:write"), 200).body("0000"),
];

#[rustfmt::skip]
pub(super) const GATEWAY: &[Row] = &[
    public("v1api", "POST", "/v1/generate", Own("keys:write"), 201),
    public("v1api", "POST", "/generate", Own("keys:write"), 201),
    public("v1api", "GET", "/v1/api-keys", Own("keys:read"), 200),
    public("v1api", "GET", "/v1/api-keys/{key_id}", Own("keys:read"), 200),
    public("v1api", "PATCH", "/v1/api-keys/{key_id}", Own("keys:write"), 200).body(r#"{"name":"Renamed"}"#),
    public("v1api", "POST", "/v1/api-keys/{key_id}/rotate", Own("keys:write"), 200)
        .body(r#"{"overlap":0}"#),
    public("v1api", "GET", "/v1/quotas/{user_id}", Admin, 200),
    public("v1api", "PUT", "/v1/quotas/{user_id}", Admin, 200).body(r#"{"limits":[]}"#),
    public("v1api", "POST", "/v1/services", Admin, 201)
        .body(r#"{"name":"second-{unique}","upstream":"http://203.0.113.1:80"}"#),
    public("v1api", "GET", "/v1/services", Caller("services:read"), 200),
    public("v1api", "GET", "/v1/services/{name}", Caller("services:read"), 200),
    public("v1api", "PATCH", "/v1/services/{name}", Admin, 200).body(r#"{"visibility":"public"}"#),
    public("v1api", "DELETE", "/v1/services/{name}", Admin, 200),
    public("v1api", "POST", "/v1/forward-keys/rotate", Admin, 200),
    public("v1api", "GET", "/v1/usage", UserCaller("usage:read"), 200),
    public("v1api", "GET", "/.well-known/forward-jwks.json", Open, 200),
    public("v1api", "GET", "/openapi.json", Open, 200),
    public("v1api", "GET", "/docs", Open, 200),
    public("v1api", "GET", "/healthz", Open, 200),
    public("v1api", "GET", "/readyz", Open, 200),
];

const ACCOUNT: &str = "/v1/accounts/{account_id}";
const MEMBER: &str = "/v1/accounts/{account_id}/members/{user_id}";

#[rustfmt::skip]
pub(super) const ACCOUNT_ROUTES: &[Row] = &[
    public("account", "POST", "/v1/users", Euser, 201).body(r#"{"email":"{email}"}"#),
    public("account", "GET", "/v1/users/me", Euser, 200),
    public("account", "GET", "/v1/users/me/export", Euser, 200),
    public("account", "GET", "/v1/audit", Admin, 200),
    public("account", "GET", "/v1/accounts/{account_id}/audit", MemberOrAdmin(Owner, "accounts:read"), 200),
    public("account", "POST", "/v1/accounts", Admin, 201).body(r#"{"name":"Second"}"#),
    public("account", "GET", "/v1/accounts", Caller("accounts:read"), 200),
    public("account", "GET", ACCOUNT, MemberOrAdmin(Viewer, "accounts:read"), 200),
    public("account", "PATCH", ACCOUNT, MemberOrAdmin(Owner, "accounts:write"), 200).body(r#"{"name":"Renamed"}"#),
    public("account", "POST", "/v1/accounts/{account_id}/invite", MemberOrAdmin(Developer, "accounts:write"), 201),
    public("account", "GET", "/v1/accounts/{account_id}/invites", MemberOrAdmin(Developer, "accounts:read"), 200),
    public("account", "DELETE", "/v1/accounts/{account_id}/invites/{invite_id}", MemberOrAdmin(Developer, "accounts:write"), 200),
    public("account", "POST", "/v1/invite/accept", User, 200).body(r#"{"token":"{invite_token}"}"#),
    public("account", "GET", "/v1/accounts/{account_id}/members", MemberOrAdmin(Viewer, "accounts:read"), 200),
    public("account", "PATCH", MEMBER, MemberOrAdmin(Owner, "accounts:write"), 200).body(r#"{"role":"viewer"}"#),
    // Anybody may leave; who is no owner may not have others leave.
    public("account", "DELETE", MEMBER, MemberOrAdmin(Viewer, "accounts:write"), 200),
];

/// What ends what the others need.
#[rustfmt::skip]
pub(super) const ENDS: &[Row] = &[
    public("project", "DELETE", WEBHOOK, Member(Owner, "accounts:write"), 200),
    public("project", "DELETE", ENVIRONMENT, Member(Developer, "environments:write"), 200),
    public("project", "DELETE", PROJECT, Member(Developer, "projects:write"), 200),
    public("account", "DELETE", ACCOUNT, MemberOrAdmin(Owner, "accounts:write"), 200),
    // Whoever comes by a key comes by this one, and it ends with all its tokens.
    public("v1api", "DELETE", "/v1/api-keys/{key_id}", Own("keys:write"), 200),
    public("account", "DELETE", "/v1/users/me", Euser, 200).body(r#"{"password":"{password}"}"#),
    public("auth", "PUT", ACTOR, Admin, 200).named("identity_id", "{leaver}"),
    public("auth", "GET", THEIR_SESSIONS, Admin, 200).named("identity_id", "{leaver}"),
    public("auth", "DELETE", THEIR_SESSIONS, Admin, 200).named("identity_id", "{leaver}"),
    public("auth", "POST", FORCE_RESET, Admin, 200).named("identity_id", "{leaver}"),
    public("auth", "DELETE", ACTOR, Admin, 200).named("identity_id", "{leaver}"),
    public("auth", "PATCH", IDENTITY, Admin, 200).body(r#"{"disabled":true}"#).named("identity_id", "{leaver}"),
    public("auth", "DELETE", IDENTITY, Admin, 200).named("identity_id", "{leaver}"),
];
