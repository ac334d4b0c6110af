//! `/openapi.json` and `/docs`.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use chassis::Context;

use super::page;
use crate::state::State;

/// The document as data.
pub(crate) async fn openapi(context: web::Data<Context>, state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(&*state.documents.merged(&context).await)
}

/// The document as a page.
pub(crate) async fn docs(context: web::Data<Context>, state: web::Data<State>) -> HttpResponse {
    let document = state.documents.merged(&context).await;
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(page::render(&document))
}
