//! `GET /github/installed`: where GitHub sends a person after she has installed the App.
//!
//! The page does nothing by itself: she clicks, and then it is her own session that connects the
//! installation. Whoever has no session here is shown what to post with a token.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

const SCRIPT: &str = include_str!("page.js");

/// The page.
pub(crate) async fn installed() -> HttpResponse {
    let hash = STANDARD.encode(digest(&SHA256, SCRIPT.as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{hash}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Connect GitHub</title>\
         <h1>Connect GitHub</h1><p id=\"text\">This page needs JavaScript.</p>\
         <p><button id=\"connect\" hidden>Connect</button></p><pre id=\"body\"></pre>\
         <script>{SCRIPT}</script></html>"
    );
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, policy))
        // The address holds a code.
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(html)
}
