//! The API document.

use chassis::http::BearerScheme;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(title = "Slipway auth"),
    security(("bearer" = [])),
    modifiers(&BearerScheme),
    paths(
        crate::emailpass::http::register,
        crate::emailpass::http::login,
        crate::emailpass::http::login_by_get,
        crate::providers::http::providers,
        crate::github::http::start,
        crate::github::http::start_by_get,
        crate::github::http::register,
        crate::github::http::link,
        crate::github::http::callback,
        crate::github::http::callback_by_post,
        crate::keystone::http::ask,
        crate::keystone::http::poll,
        crate::keystone::http::complete,
        crate::keystone::pages::show,
        crate::keystone::pages::decide,
        crate::keystone::redirect::come_back,
        crate::keystone::redirect::without_reference,
        crate::tokens::http::refresh,
        crate::recovery::http::reset_password,
        crate::recovery::http::update,
        crate::recovery::http::page,
        crate::verification::http::request,
        crate::verification::http::confirm,
        crate::verification::http::page,
        crate::self_service::http::change_password,
        crate::self_service::http::change_email,
        crate::sessions::http::create,
        crate::sessions::http::delete,
        crate::sessions::own::list,
        crate::sessions::own::end_all_others,
        crate::sessions::own::end_one,
        crate::mfa::factors_http::list,
        crate::mfa::factors_http::start,
        crate::mfa::factors_http::verify,
        crate::mfa::factors_http::disable,
        crate::mfa::factors_http::recovery_codes,
        crate::mfa::http::complete,
        crate::keys::http::jwks,
        crate::realms::http::list,
        crate::realms::http::create,
        crate::realms::http::get,
        crate::realms::http::change,
        crate::clients::http::find,
        crate::clients::http::extend,
        crate::clients::http::sign_up,
        crate::clients::http::log_in,
        crate::clients::http::log_out,
        crate::clients::http::reset,
        crate::clients::http::set_password,
        crate::keys::http::list,
        crate::keys::http::rotate,
        crate::keys::http::revoke,
        crate::import::http::import,
        crate::oauth::discovery::openid_configuration,
        crate::oauth::discovery::authorization_server,
        crate::oauth::token::token,
        crate::device::http::authorize,
        crate::device::pages::show,
        crate::device::pages::decide,
        crate::admin::http::list,
        crate::admin::http::read,
        crate::admin::sessions::list,
        crate::admin::sessions::end_all,
        crate::refresh::own::list,
        crate::refresh::own::end_one,
        crate::admin::http::change,
        crate::admin::http::delete,
        crate::admin::http::force_reset,
        crate::admin::http::grant,
        crate::admin::http::withdraw,
        crate::oauth::http::introspect,
        crate::oauth::http::revoke,
        crate::verte::http::sign_up,
        crate::verte::http::log_in,
        crate::verte::http::new_key,
        crate::verte::accounts_http::sign_up,
        crate::verte::accounts_http::log_in,
        crate::verte::accounts_http::list,
        crate::verte::accounts_http::change,
        crate::verte::accounts_http::delete,
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
