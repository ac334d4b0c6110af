//! The URL tree of account.

use chassis::http::Routes;

use crate::{accounts, audit, invites, members, users};

/// Every route.
pub fn routes(r: &mut Routes) {
    r.post("/v1/users", users::http::create);
    r.get("/v1/users/me", users::http::me);
    r.delete("/v1/users/me", users::departure_http::delete_me);
    r.get("/v1/users/me/export", users::export::export);

    r.get("/v1/audit", audit::http::list);
    r.get("/v1/accounts/{account_id}/audit", audit::http::of_account);

    r.post("/v1/accounts", accounts::http::create);
    r.get("/v1/accounts", accounts::http::list);
    r.get("/v1/accounts/{account_id}", accounts::http::read);
    r.patch("/v1/accounts/{account_id}", accounts::http::rename);
    r.delete("/v1/accounts/{account_id}", accounts::http::delete);

    r.post("/v1/accounts/{account_id}/invite", invites::http::create);
    r.get("/v1/accounts/{account_id}/invites", invites::http::list);
    r.delete(
        "/v1/accounts/{account_id}/invites/{invite_id}",
        invites::http::revoke,
    );
    r.post("/v1/invite/accept", invites::accept_http::accept);

    r.get("/v1/accounts/{account_id}/members", members::http::list);
    r.patch(
        "/v1/accounts/{account_id}/members/{user_id}",
        members::http::change,
    );
    r.delete(
        "/v1/accounts/{account_id}/members/{user_id}",
        members::http::remove,
    );

    r.internal_get(
        "/internal/memberships/{account_id}/{user_id}",
        members::http::membership,
    );
    r.internal_get(
        "/internal/identities/{identity_id}/user",
        users::http::of_identity,
    );
    r.internal_post(
        "/internal/identities/{identity_id}/departure",
        users::departure_http::depart,
    );
}
