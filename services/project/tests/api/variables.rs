use chassis::calls::CallError;
use common::ExposeSecret as _;
use common::api::project::EnvironmentRuntime;
use common::role::Role;
use serde_json::{Value, json};
use testkit::on_both_backends;

use crate::harness::run;

fn names(body: &Value) -> Vec<&str> {
    body["variables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect()
}

on_both_backends! {
    async fn what_is_named_is_set_or_removed_and_the_rest_stays(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "vars").await;
            let path = format!("{}/variables", project.environment_path);
            let body = json!({ "variables": { "A": "one", "B": { "value": "two" }, "C": { "value": "three", "secret": true } } });
            let set = api.put(&path, &owner, body).await.expect(200);
            assert_eq!(names(&set), ["A", "B", "C"]);
            let set = api.put(&path, &owner, json!({ "variables": { "A": "other", "B": null } })).await.expect(200);
            assert_eq!(names(&set), ["A", "C"]);
            assert_eq!(set["variables"][0]["value"], "other");
            assert_eq!(api.get(&path, &owner).await.expect(200), set);
            api.delete(&format!("{path}/A"), &owner).await.expect(200);
            api.delete(&format!("{path}/A"), &owner).await.refused(404, "not_found");
            assert_eq!(names(&api.get(&path, &owner).await.expect(200)), ["C"]);
            api.delete(&path, &owner).await.expect(200);
            assert!(names(&api.get(&path, &owner).await.expect(200)).is_empty());
        }).await;
    }

    async fn a_secret_never_comes_back_and_is_sealed_in_the_database(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "vars").await;
            let path = format!("{}/variables", project.environment_path);
            let body = json!({ "variables": { "S": { "value": "canary-4711", "secret": true }, "P": "canary-4712" } });
            let answer = api.put(&path, &owner, body).await.expect(200).to_string();
            assert!(!answer.contains("canary-4711") && answer.contains("canary-4712"), "{answer}");
            let read = api.get(&path, &owner).await.expect(200);
            let secret = read["variables"].as_array().unwrap().iter().find(|v| v["name"] == "S").unwrap();
            assert_eq!(secret["secret"], true);
            assert!(secret.get("value").is_none());
            let rows: Vec<Sealed> = api.platform().context("project").unwrap().db.read(|db| {
                use diesel::RunQueryDsl as _;
                diesel::sql_query("SELECT sealed FROM variables").load(db)
            }).await.map_err(|error: diesel::result::Error| error).unwrap();
            assert!(rows.len() == 2 && rows.iter().all(|row| !row.sealed.windows(6).any(|w| w == b"canary")));
        }).await;
    }

    async fn the_provisioner_alone_learns_the_values(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "vars").await;
            let body = json!({ "variables": { "S": { "value": "hidden", "secret": true }, "P": "plain" } });
            api.put(&format!("{}/variables", project.environment_path), &owner, body).await.expect(200);
            let path = format!("/internal/environments/{}/runtime", project.environment);
            let calls = &api.platform().context("provisioner").unwrap().calls;
            let runtime: EnvironmentRuntime = calls.get("project", &path).await.unwrap();
            assert_eq!(runtime.variables["P"], "plain");
            assert_eq!(runtime.secrets["S"].expose_secret(), "hidden");
            let others = &api.platform().context("github").unwrap().calls;
            let refused = others.get::<EnvironmentRuntime>("project", &path).await.unwrap_err();
            assert!(matches!(&refused, CallError::Problem { problem, .. } if problem.status == 403), "{refused}");
            api.delete(&project.environment_path, &owner).await.expect(200);
            assert!(calls.get::<EnvironmentRuntime>("project", &path).await.unwrap_err().is_not_found());
            let public = api.get(&path, &owner).await;
            assert_eq!(public.status.as_u16(), 404, "not on the public listener");
        }).await;
    }

    async fn a_wrong_name_or_value_changes_nothing(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "vars").await;
            let path = format!("{}/variables", project.environment_path);
            for (name, value) in [
                ("PORT", json!("1")),
                ("SLIPWAY_X", json!("1")),
                ("1A", json!("1")),
                ("A-B", json!("1")),
                ("A", json!("x".repeat(65_537))),
                ("A", json!(5)),
                ("A", json!({ "value": "x", "scret": true })),
            ] {
                let refused = api.put(&path, &owner, json!({ "variables": { "GOOD": "1", name: value } })).await;
                assert!(refused.refused(422, "invalid_data")["errors"][0]["field"].as_str().unwrap().contains(name));
            }
            let many: serde_json::Map<_, _> = (0..257).map(|n| (format!("V{n}"), json!("x"))).collect();
            api.put(&path, &owner, json!({ "variables": many })).await.refused(422, "too_many_variables");
            assert!(names(&api.get(&path, &owner).await.expect(200)).is_empty());
        }).await;
    }

    async fn a_viewer_sees_no_variables(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let viewer = api.member(&owner.account, Role::Viewer);
            let project = api.project(&owner, "vars").await;
            let path = format!("{}/variables", project.environment_path);
            api.get(&path, &viewer).await.refused(403, "insufficient_role");
        }).await;
    }
}

#[derive(diesel::QueryableByName)]
struct Sealed {
    #[diesel(sql_type = diesel::sql_types::Binary)]
    sealed: Vec<u8>,
}
