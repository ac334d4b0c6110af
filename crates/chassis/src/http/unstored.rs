//! Answers that no cache may keep.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, HttpResponseBuilder};

/// The beginning of a 200 that no cache may keep: it shows a secret, or what holds for a moment only.
#[must_use]
pub fn unstored() -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, "no-store"));
    answer
}
