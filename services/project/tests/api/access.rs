//! Every route with every wrong caller. The routes are those that the service itself lists.

use common::id::TokenId;
use common::role::Role;
use common::scope::ScopeSet;
use common::token::{ActorType, TokenKind, audience};
use reqwest::Method;
use serde_json::Value;
use testkit::on_both_backends;

use crate::harness::{Api, Member, Project, run};

/// The service's public routes, with the names in their paths filled in.
async fn routes(api: &Api, by: &Member, project: &Project, build: &str) -> Vec<(Method, String)> {
    let calls = &api.platform().context("account").unwrap().calls;
    let listed: Vec<chassis::http::RouteInfo> =
        calls.get("project", "/internal/routes").await.unwrap();
    let public = listed.into_iter().filter(|route| !route.private);
    let routes: Vec<_> = public
        .map(|route| {
            let path = route
                .path
                .replace("{account_id}", by.account.as_str())
                .replace("{project_id}", &project.id)
                .replace("{environment_id}", &project.environment)
                .replace("{build_id}", build)
                .replace("{name}", "A")
                .replace("{domain}", "shop.example")
                .replace("{number}", "1")
                .replace("{webhook_id}", "whk_01h455vb4pex5vsknk084sn02q")
                .replace("{delivery_id}", "whd_01h455vb4pex5vsknk084sn02q");
            assert!(
                !path.contains('{'),
                "the test doesn't know how to fill {path}"
            );
            (route.method.parse().unwrap(), path)
        })
        .collect();
    assert!(routes.len() >= 43, "{routes:?}");
    routes
}

/// How many rows there are, and the sum of all versions: no change leaves both as they are.
async fn state(api: &Api) -> Vec<i64> {
    const TABLES: [&str; 14] = [
        "projects",
        "environments",
        "labels",
        "variables",
        "builds",
        "publications",
        "domains",
        "previews",
        "preview_settings",
        "aws_credentials",
        "webhooks",
        "webhook_deliveries",
        "audit_log",
        "jobs",
    ];
    const VERSIONED: [&str; 4] = ["projects", "environments", "builds", "publications"];
    let counts = TABLES.map(|table| format!("SELECT count(*) AS number FROM {table}"));
    let sums = VERSIONED.map(|table| {
        format!("SELECT CAST(coalesce(sum(version), 0) AS BIGINT) AS number FROM {table}")
    });
    let db = &api.platform().context("project").unwrap().db;
    db.read(move |db| {
        use diesel::RunQueryDsl as _;
        let number = |query: String| {
            diesel::sql_query(query)
                .get_result::<Number>(db)
                .map(|row| row.number)
        };
        counts
            .into_iter()
            .chain(sums)
            .map(number)
            .collect::<Result<_, diesel::result::Error>>()
    })
    .await
    .unwrap()
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

/// Whether a token of this caller may use no route: its name, the token, and the status expected.
fn callers(api: &Api, owner: &Member) -> Vec<(&'static str, Option<String>, u16)> {
    let euser = ScopeSet::euser();
    let good = || api.person(&owner.user, ActorType::Euser, &euser);
    let sign = |change: &dyn Fn(&mut common::token::Claims), kind| {
        let mut claims = good();
        change(&mut claims);
        Some(api.sign(kind, &claims))
    };
    let expired = |claims: &mut common::token::Claims| {
        claims.iat -= 7_200;
        claims.exp -= 7_200;
    };
    let elsewhere =
        |claims: &mut common::token::Claims| audience::INVITE.clone_into(&mut claims.aud);
    let foreign = |claims: &mut common::token::Claims| "somebody".clone_into(&mut claims.iss);
    let nobodys = api.sign(TokenKind::Access, &good());
    let tampered = format!("{}x", &nobodys[..nobodys.len() - 2]);
    vec![
        ("no token", None, 401),
        ("an expired one", sign(&expired, TokenKind::Access), 401),
        (
            "one for something else",
            sign(&elsewhere, TokenKind::Access),
            401,
        ),
        (
            "one of another issuer",
            sign(&foreign, TokenKind::Access),
            401,
        ),
        ("one of another kind", sign(&|_| {}, TokenKind::Invite), 401),
        (
            "a service's",
            Some(api.harness.issuer().service_token("provisioner", "project")),
            401,
        ),
        ("a changed one", Some(tampered), 401),
        (
            "no token at all",
            Some(TokenId::new(api.now()).to_string()),
            401,
        ),
    ]
}

on_both_backends! {
    async fn no_route_takes_a_wrong_token(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "guarded").await;
            let build = api.build(&owner, &project).await;
            let before = state(api).await;
            for (caller, token, status) in callers(api, &owner) {
                for (method, path) in routes(api, &owner, &project, &build).await {
                    let mut request = api.harness.request(method.clone(), "project", &path);
                    if let Some(token) = &token {
                        request = request.bearer_auth(token);
                    }
                    let answer = api.send(request).await;
                    assert_eq!(answer.status.as_u16(), status, "{method} {path} with {caller}: {:#}", answer.body);
                    assert!(answer.header("www-authenticate").starts_with("Bearer"));
                }
            }
            assert_eq!(state(api).await, before);
        }).await;
    }

    async fn no_route_serves_a_stranger_a_lesser_scope_or_a_lesser_role(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let stranger = api.account();
            let viewer = api.member(&owner.account, Role::Viewer);
            let project = api.project(&owner, "guarded").await;
            let build = api.build(&owner, &project).await;
            let before = state(api).await;
            let scopes: ScopeSet = "usage:read".parse().unwrap();
            let narrow = api.token_of(&owner.user, ActorType::Euser, &scopes);
            for (method, path) in routes(api, &owner, &project, &build).await {
                let admins = path.ends_with("/publication/approve");
                let ask = async |token: &str| {
                    let mut request = api.request(method.clone(), &path, token);
                    if method != Method::GET {
                        request = request.json(&Value::Object(serde_json::Map::new()));
                    }
                    let answer = api.send(request).await;
                    (answer.status.as_u16(), answer.body)
                };
                let (status, body) = ask(&stranger.token).await;
                assert_eq!(status, if admins { 403 } else { 404 }, "{method} {path}: {body:#}");
                let (status, body) = ask(&narrow).await;
                let code = if admins { "wrong_actor" } else { "insufficient_scope" };
                assert_eq!((status, body["code"].as_str().unwrap()), (403, code), "{method} {path}");
                if method != Method::GET {
                    let (status, body) = ask(&viewer.token).await;
                    let code = if admins { "wrong_actor" } else { "insufficient_role" };
                    assert_eq!((status, body["code"].as_str().unwrap()), (403, code), "{method} {path}");
                }
                // An admin without a user of the platform is no member of any account.
                let (status, body) = ask(&api.admin()).await;
                let expected = if admins { 404 } else { 403 };
                assert_eq!(status, expected, "{method} {path}: {body:#}");
            }
            assert_eq!(state(api).await, before);
        }).await;
    }

    async fn every_public_route_is_in_the_api_document(backend: Backend) {
        run(backend, async |api| {
            let calls = &api.platform().context("account").unwrap().calls;
            let document: Value = calls.get("project", "/internal/openapi.json").await.unwrap();
            let listed: Vec<chassis::http::RouteInfo> = calls.get("project", "/internal/routes").await.unwrap();
            let mut documented = 0;
            for route in listed.iter().filter(|route| !route.private) {
                let operation = &document["paths"][&route.path][route.method.to_lowercase()];
                assert!(operation.is_object(), "{} {} is not in the document", route.method, route.path);
                let parameters: Vec<_> = operation["parameters"].as_array().unwrap_or_else(|| panic!("{} {}: {operation:#}", route.method, route.path)).iter()
                    .filter(|parameter| parameter["in"] == "path")
                    .map(|parameter| parameter["name"].as_str().unwrap())
                    .collect();
                for name in route.path.split(['{', '}']).skip(1).step_by(2) {
                    assert!(parameters.contains(&name), "{} {}: {name}", route.method, route.path);
                }
                documented += 1;
            }
            let operations = document["paths"].as_object().unwrap().values();
            assert_eq!(operations.map(|path| path.as_object().unwrap().len()).sum::<usize>(), documented);
        }).await;
    }
}
