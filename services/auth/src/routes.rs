//! The URL tree of auth.

use chassis::http::Routes;

use crate::{
    admin, clients, device, emailpass, github, identities, import, keys, keystone, mfa, oauth,
    providers, realms, recovery, refresh, self_service, sessions, tokens, verification, verte,
};

/// Every route.
pub fn routes(r: &mut Routes) {
    documents(r);
    administration(r);
    medusa(r);
    sessions(r);
    keystone(r);
    verte(r);
    realms(r);
    oauth(r);
    internal(r);
}

/// What is said of the service itself.
fn documents(r: &mut Routes) {
    r.get("/.well-known/jwks.json", keys::http::jwks);
    r.get(
        "/.well-known/openid-configuration",
        oauth::discovery::openid_configuration,
    );
    r.get(
        "/.well-known/oauth-authorization-server",
        oauth::discovery::authorization_server,
    );
}

/// What operators do.
fn administration(r: &mut Routes) {
    r.get("/auth/admin/keys", keys::http::list);
    r.post("/auth/admin/keys/rotate", keys::http::rotate);
    r.delete("/auth/admin/keys/{kid}", keys::http::revoke);
    r.post("/auth/admin/identities/import", import::http::import);
    r.get("/auth/admin/identities", admin::http::list);
    r.get("/auth/admin/identities/{identity_id}", admin::http::read);
    r.get(
        "/auth/admin/identities/{identity_id}/sessions",
        admin::sessions::list,
    );
    r.delete(
        "/auth/admin/identities/{identity_id}/sessions",
        admin::sessions::end_all,
    );
    r.patch("/auth/admin/identities/{identity_id}", admin::http::change);
    r.delete("/auth/admin/identities/{identity_id}", admin::http::delete);
    r.post(
        "/auth/admin/identities/{identity_id}/force-reset",
        admin::http::force_reset,
    );
    r.put(
        "/auth/admin/identities/{identity_id}/actors/{actor}",
        admin::http::grant,
    );
    r.delete(
        "/auth/admin/identities/{identity_id}/actors/{actor}",
        admin::http::withdraw,
    );
}

/// Medusa's auth module: how people sign up and in, and what they change about that.
fn medusa(r: &mut Routes) {
    r.get("/auth/{actor}/providers", providers::http::providers);
    r.post("/auth/{actor}/github", github::http::start);
    r.get("/auth/{actor}/github", github::http::start_by_get);
    r.post("/auth/{actor}/github/register", github::http::register);
    r.get("/auth/{actor}/github/callback", github::http::callback);
    r.post(
        "/auth/{actor}/github/callback",
        github::http::callback_by_post,
    );
    r.post("/auth/{actor}/github/link", github::http::link);
    r.post(
        "/auth/{actor}/{provider}/register",
        emailpass::http::register,
    );
    r.post("/auth/{actor}/{provider}", emailpass::http::login);
    r.get("/auth/{actor}/{provider}", emailpass::http::login_by_get);
    r.post("/auth/token/refresh", tokens::http::refresh);
    r.post(
        "/auth/{actor}/{provider}/reset-password",
        recovery::http::reset_password,
    );
    r.post("/auth/{actor}/{provider}/update", recovery::http::update);
    r.get("/auth/reset", recovery::http::page);
    r.post("/auth/verification/request", verification::http::request);
    r.post("/auth/verification/confirm", verification::http::confirm);
    r.get("/auth/verify", verification::http::page);
    r.post("/auth/password", self_service::http::change_password);
    r.post("/auth/email", self_service::http::change_email);
}

/// Sessions by cookie, and second factors.
fn sessions(r: &mut Routes) {
    r.post("/auth/session", sessions::http::create);
    r.delete("/auth/session", sessions::http::delete);
    r.get("/auth/sessions", sessions::own::list);
    r.delete("/auth/sessions", sessions::own::end_all_others);
    r.delete("/auth/sessions/{session_id}", sessions::own::end_one);
    r.get("/auth/devices", refresh::own::list);
    r.delete("/auth/devices/{device_id}", refresh::own::end_one);
    r.get("/auth/mfa/factors", mfa::factors_http::list);
    r.post("/auth/mfa/factors", mfa::factors_http::start);
    r.post(
        "/auth/mfa/factors/{factor_id}/verify",
        mfa::factors_http::verify,
    );
    r.delete("/auth/mfa/factors/{factor_id}", mfa::factors_http::disable);
    r.post(
        "/auth/mfa/recovery-codes",
        mfa::factors_http::recovery_codes,
    );
    r.post(
        "/auth/mfa/challenges/{challenge_id}/verify",
        mfa::http::complete,
    );
}

/// Keystone: programs whose people sign in by GitHub.
fn keystone(r: &mut Routes) {
    r.post("/login-request", keystone::http::ask);
    r.get("/login-request", keystone::http::poll);
    r.get("/login-request/{reference}", keystone::pages::show);
    r.post("/login-request/{reference}", keystone::pages::decide);
    r.get("/auth-redirect", keystone::redirect::without_reference);
    r.get("/auth-redirect/{reference}", keystone::redirect::come_back);
    r.post("/complete", keystone::http::complete);
}

/// verte-auth: a user's project key, and her projects' accounts.
fn verte(r: &mut Routes) {
    r.post("/api/users/signup", verte::http::sign_up);
    r.post("/api/users/login", verte::http::log_in);
    r.post("/api/users/{user_number}/key", verte::http::new_key);
    r.post(
        "/api/users/{user_number}/accounts/signup",
        verte::accounts_http::sign_up,
    );
    r.post(
        "/api/users/{user_number}/accounts/login",
        verte::accounts_http::log_in,
    );
    r.get(
        "/api/users/{user_number}/accounts",
        verte::accounts_http::list,
    );
    r.patch(
        "/api/users/{user_number}/accounts/{account_number}",
        verte::accounts_http::change,
    );
    r.delete(
        "/api/users/{user_number}/accounts/{account_number}",
        verte::accounts_http::delete,
    );
}

/// Realms, and the auth server for the servers that have one.
fn realms(r: &mut Routes) {
    r.get("/v1/realms", realms::http::list);
    r.post("/v1/realms", realms::http::create);
    r.get("/v1/realms/{realm_id}", realms::http::get);
    r.patch("/v1/realms/{realm_id}", realms::http::change);
    r.post("/auth", clients::http::find);
    r.put("/auth", clients::http::extend);
    r.post("/signup", clients::http::sign_up);
    r.post("/login", clients::http::log_in);
    r.post("/logout", clients::http::log_out);
    r.post("/reset", clients::http::reset);
    r.put("/password", clients::http::set_password);
}

/// OAuth 2.0: tokens for programs, and what is said of a token.
fn oauth(r: &mut Routes) {
    r.post("/oauth/device_authorization", device::http::authorize);
    r.get("/oauth/device", device::pages::show);
    r.post("/oauth/device", device::pages::decide);
    r.post("/oauth/token", oauth::token::token);
    r.post("/oauth/introspect", oauth::http::introspect);
    r.post("/oauth/revoke", oauth::http::revoke);
}

/// What the other services ask.
fn internal(r: &mut Routes) {
    r.internal_get("/internal/jwks", keys::http::internal_jwks);
    r.internal_post("/internal/service-tokens", tokens::http::service_token);
    r.internal_post("/internal/tokens", tokens::http::sign);
    r.internal_post("/internal/realms/choose", realms::http::choose);
    r.internal_post("/internal/sessions/exchange", sessions::internal::exchange);
    r.internal_get("/internal/identities/{identity_id}", identities::http::read);
    r.internal_delete(
        "/internal/identities/{identity_id}",
        identities::departure_http::delete,
    );
    r.internal_get(
        "/internal/identities/{identity_id}/record",
        identities::departure_http::record,
    );
    r.internal_post(
        "/internal/identities/{identity_id}/password",
        identities::departure_http::check_password,
    );
    r.internal_put(
        "/internal/identities/{identity_id}/user",
        identities::http::link_user,
    );
}
