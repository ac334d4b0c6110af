//! The service's API document.

use utoipa::OpenApi;

use crate::{
    builds, credentials, domains, environments, logs, projects, publications, variables, webhooks,
};

/// What the routes' own annotations say, together.
#[derive(OpenApi)]
#[openapi(
    paths(
        projects::http::create,
        projects::http::list,
        projects::http::get,
        projects::http::change,
        projects::http::delete,
        environments::http::create,
        environments::http::list,
        environments::http::get,
        environments::http::change,
        environments::http::delete,
        variables::http::put,
        variables::http::list,
        variables::http::delete,
        variables::http::delete_all,
        builds::http::request,
        builds::http::roll_back,
        builds::http::list,
        builds::http::get,
        builds::http::cancel,
        logs::http::of_build,
        logs::http::of_environment,
        publications::http::put,
        publications::http::get,
        publications::http::withdraw,
        publications::http::approve,
        domains::http::list,
        domains::http::claim,
        domains::http::get,
        domains::http::remove,
        domains::http::verify,
        credentials::http::put,
        credentials::http::get,
        credentials::http::delete,
        webhooks::http::create,
        webhooks::http::list,
        webhooks::http::get,
        webhooks::http::change,
        webhooks::http::delete,
        webhooks::http::rotate_secret,
        webhooks::deliveries_http::test,
        webhooks::deliveries_http::list,
        webhooks::deliveries_http::replay,
    ),
    tags(
        (name = "projects", description = "A repository and the environments it runs in"),
        (name = "environments", description = "The places where a project runs"),
        (name = "variables", description = "What an environment's builds and processes find in theirs"),
        (name = "builds", description = "Attempts to turn a commit into a release, and roll-backs"),
        (name = "logs", description = "What builds and apps say"),
        (name = "publications", description = "Environments as services of the gateway"),
        (name = "domains", description = "Domains of an account's own under which environments are reached"),
        (name = "webhooks", description = "Addresses that an account's events are told to"),
        (name = "credentials", description = "A project's access to AWS"),
    ),
)]
pub(crate) struct ApiDoc;
