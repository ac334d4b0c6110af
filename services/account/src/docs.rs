//! The API document.

use chassis::http::BearerScheme;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(title = "Slipway account"),
    security(("bearer" = [])),
    modifiers(&BearerScheme),
    paths(
        crate::users::http::create,
        crate::users::http::me,
        crate::users::departure_http::delete_me,
        crate::users::export::export,
        crate::audit::http::list,
        crate::audit::http::of_account,
        crate::accounts::http::create,
        crate::accounts::http::list,
        crate::accounts::http::read,
        crate::accounts::http::rename,
        crate::accounts::http::delete,
        crate::invites::http::create,
        crate::invites::http::list,
        crate::invites::http::revoke,
        crate::invites::accept_http::accept,
        crate::members::http::list,
        crate::members::http::change,
        crate::members::http::remove,
    )
)]
struct ApiDoc;

/// What the routes behind the gateway take and answer.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    ApiDoc::openapi()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_tells_of_every_route_behind_the_gateway() {
        let document = serde_json::to_value(super::document()).unwrap();
        testkit::tells_of_every_public_route(crate::routes::routes, &document);
    }
}
