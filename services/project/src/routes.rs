//! The service's URL tree.

use chassis::http::Routes;

use crate::variables::runtime;
use crate::{
    builds, credentials, domains, environments, logs, previews, projects, publications, variables,
    webhooks,
};

/// Every route.
pub(crate) fn routes(r: &mut Routes) {
    r.post("/v1/accounts/{account_id}/projects", projects::http::create);
    r.get("/v1/accounts/{account_id}/projects", projects::http::list);
    let project = "/v1/accounts/{account_id}/projects/{project_id}";
    r.get(project, projects::http::get);
    r.patch(project, projects::http::change);
    r.delete(project, projects::http::delete);

    let aws = format!("{project}/credentials/aws");
    r.put(&aws, credentials::http::put);
    r.get(&aws, credentials::http::get);
    r.delete(&aws, credentials::http::delete);
    r.post(&format!("{aws}/check"), credentials::http::check);

    let previews = format!("{project}/previews");
    r.get(&previews, previews::http::list);
    let preview = format!("{previews}/{{number}}");
    r.get(&preview, previews::http::get);
    r.delete(&preview, previews::http::remove);
    r.post(&format!("{preview}/approve"), previews::http::approve);
    r.post(&format!("{preview}/rebuild"), previews::http::rebuild);
    let settings = format!("{project}/preview-settings");
    r.get(&settings, previews::settings_http::get);
    r.put(&settings, previews::settings_http::put);

    r.post(&format!("{project}/build"), builds::http::request);
    r.get(&format!("{project}/builds"), builds::http::list);
    r.get(&format!("{project}/builds/{{build_id}}"), builds::http::get);
    r.post(
        &format!("{project}/builds/{{build_id}}/cancel"),
        builds::http::cancel,
    );
    r.get(
        &format!("{project}/builds/{{build_id}}/logs"),
        logs::http::of_build,
    );

    r.post(
        &format!("{project}/environments"),
        environments::http::create,
    );
    r.get(&format!("{project}/environments"), environments::http::list);
    let environment = format!("{project}/environments/{{environment_id}}");
    r.get(&environment, environments::http::get);
    r.patch(&environment, environments::http::change);
    r.delete(&environment, environments::http::delete);
    r.get(&format!("{environment}/logs"), logs::http::of_environment);
    r.post(&format!("{environment}/rollback"), builds::http::roll_back);
    r.post(&format!("{environment}/sleep"), environments::rest::sleep);
    r.post(&format!("{environment}/wake"), environments::rest::wake);
    r.post(
        &format!("{environment}/restart"),
        environments::rest::restart,
    );

    r.put(&format!("{environment}/variables"), variables::http::put);
    r.get(&format!("{environment}/variables"), variables::http::list);
    r.delete(
        &format!("{environment}/variables"),
        variables::http::delete_all,
    );
    r.delete(
        &format!("{environment}/variables/{{name}}"),
        variables::http::delete,
    );

    r.put(
        &format!("{environment}/publication"),
        publications::http::put,
    );
    r.get(
        &format!("{environment}/publication"),
        publications::http::get,
    );
    r.delete(
        &format!("{environment}/publication"),
        publications::http::withdraw,
    );
    r.post(
        &format!("{environment}/publication/approve"),
        publications::http::approve,
    );

    let domains = format!("{environment}/domains");
    r.get(&domains, domains::http::list);
    r.post(&domains, domains::http::claim);
    let domain = format!("{domains}/{{domain}}");
    r.get(&domain, domains::http::get);
    r.delete(&domain, domains::http::remove);
    r.post(&format!("{domain}/verify"), domains::http::verify);

    webhooks_routes(r);

    r.internal_post("/internal/pushes", builds::pushed::http);
    r.internal_post("/internal/pull-requests", previews::told::http);
    r.internal_get(
        "/internal/environments/{environment_id}/runtime",
        runtime::get,
    );
}

fn webhooks_routes(r: &mut Routes) {
    let all = "/v1/accounts/{account_id}/webhooks";
    r.post(all, webhooks::http::create);
    r.get(all, webhooks::http::list);
    let webhook = format!("{all}/{{webhook_id}}");
    r.get(&webhook, webhooks::http::get);
    r.patch(&webhook, webhooks::http::change);
    r.delete(&webhook, webhooks::http::delete);
    r.post(
        &format!("{webhook}/rotate-secret"),
        webhooks::http::rotate_secret,
    );
    r.post(&format!("{webhook}/test"), webhooks::deliveries_http::test);
    r.get(
        &format!("{webhook}/deliveries"),
        webhooks::deliveries_http::list,
    );
    r.post(
        &format!("{webhook}/deliveries/{{delivery_id}}/replay"),
        webhooks::deliveries_http::replay,
    );
}
