use common::api::provisioner::Standing;
use common::event::ProjectEvent;
use reqwest::Method;
use serde_json::json;
use testkit::on_both_backends;

use crate::fakes::unique;
use crate::harness::{run, run_with};

on_both_backends! {
    async fn an_environment_is_made_changed_and_deleted(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, &unique("shop")).await;
            let all = format!("{}/environments", project.path);
            let body = json!({ "name": "staging", "database": true, "branch": "develop" });
            let environment = api.post(&all, &owner, body.clone()).await.expect(201)["environment"].clone();
            assert_eq!(environment["database"], true);
            assert_eq!(environment["branch"], "develop");
            api.post(&all, &owner, body.clone()).await.refused(409, "environment_exists");

            let path = format!("{all}/{}", environment["id"].as_str().unwrap());
            let change = |tag: &'static str| {
                let body = json!({ "database": false, "branch": null });
                api.request(Method::PATCH, &path, &owner.token).header("if-match", tag).json(&body)
            };
            api.send(change("\"9\"")).await.refused(412, "precondition_failed");
            let changed = api.send(change("\"1\"")).await.expect(200);
            assert_eq!(changed["environment"]["database"], false);
            assert_eq!(changed["environment"]["branch"], json!(null));
            let listed = api.get(&all, &owner).await.expect(200);
            let names: Vec<_> = listed["environments"].as_array().unwrap().iter().map(|e| e["name"].clone()).collect();
            assert_eq!(names, ["staging", "production"]);

            api.delete(&path, &owner).await.expect(200);
            api.get(&path, &owner).await.refused(404, "not_found");
            let told = api.told(environment["id"].as_str().unwrap(), 3).await;
            let kinds: Vec<_> = told.iter().map(|envelope| &envelope.event).collect();
            assert!(matches!(kinds[..], [
                ProjectEvent::EnvironmentCreated(_),
                ProjectEvent::EnvironmentUpdated(_),
                ProjectEvent::EnvironmentDeleted(_),
            ]));
            let again = api.post(&all, &owner, body).await.expect(201);
            assert_ne!(again["environment"]["label"], environment["label"], "the label stays reserved");
        }).await;
    }

    async fn an_environment_says_after_how_long_its_app_sleeps(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, &unique("shop")).await;
            let path = format!("{}/environments/{}", project.path, project.environment);
            let set = |value: serde_json::Value| {
                let body = json!({ "sleep_after": value });
                api.send(api.request(Method::PATCH, &path, &owner.token).json(&body))
            };
            for wrong in [json!(0), json!(59), json!(40_000_000), json!("1h"), json!(-60)] {
                set(wrong).await.refused(422, "invalid_data");
            }
            assert_eq!(set(json!(60)).await.expect(200)["environment"]["sleep_after"], 60);
            let body = json!({ "branch": "main" });
            let kept = api.send(api.request(Method::PATCH, &path, &owner.token).json(&body)).await.expect(200);
            assert_eq!(kept["environment"]["sleep_after"], 60, "what isn't said stays");
            assert_eq!(set(json!(null)).await.expect(200)["environment"]["sleep_after"], json!(null));
            let told = api.told(&project.environment, 4).await;
            let after: Vec<_> = told.iter().filter_map(|envelope| match &envelope.event {
                ProjectEvent::EnvironmentUpdated(state) => Some(state.sleep_after),
                _ => None,
            }).collect();
            assert_eq!(after, [Some(60), Some(60), None]);
        }).await;
    }

    async fn an_environment_says_how_many_run_and_whether_it_is_in_maintenance(backend: Backend) {
        run_with(backend, &[("apps.max_instances", "3")], async |api| {
            let owner = api.account();
            let project = api.project(&owner, &unique("shop")).await;
            let path = format!("{}/environments/{}", project.path, project.environment);
            let set = |body: serde_json::Value| {
                api.send(api.request(Method::PATCH, &path, &owner.token).json(&body))
            };
            for wrong in [0, 4, -1] {
                set(json!({ "instances": wrong })).await.refused(422, "invalid_data");
            }
            let made = api.get(&path, &owner).await.expect(200);
            assert_eq!((&made["environment"]["instances"], &made["environment"]["maintenance"]), (&json!(1), &json!(false)));
            let scaled = set(json!({ "instances": 3 })).await.expect(200);
            assert_eq!(scaled["environment"]["instances"], 3);
            let closed = set(json!({ "maintenance": true })).await.expect(200);
            assert_eq!((&closed["environment"]["instances"], &closed["environment"]["maintenance"]), (&json!(3), &json!(true)));
            let told = api.told(&project.environment, 3).await;
            let told: Vec<_> = told.iter().filter_map(|envelope| match &envelope.event {
                ProjectEvent::EnvironmentUpdated(state) => Some((state.instances, state.maintenance)),
                _ => None,
            }).collect();
            assert_eq!(told, [(3, false), (3, true)]);
        }).await;
    }

    async fn an_app_is_put_to_sleep_and_woken_by_those_who_may(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, &unique("shop")).await;
            let path = format!("{}/environments/{}", project.path, project.environment);
            let (sleep, wake) = (format!("{path}/sleep"), format!("{path}/wake"));
            // The provisioner doesn't know it yet, or has nothing to run there.
            api.post(&wake, &owner, json!({})).await.refused(409, "not_deployed");
            let stands = |standing| api.world.standings.lock().unwrap().insert(project.environment.clone(), standing);
            stands(Standing::Empty);
            api.post(&sleep, &owner, json!({})).await.refused(409, "not_deployed");
            stands(Standing::Asleep);
            assert_eq!(api.post(&sleep, &owner, json!({})).await.expect(202)["standing"], "asleep");
            stands(Standing::Awake);
            assert_eq!(api.post(&format!("{path}/restart"), &owner, json!({})).await.expect(202)["standing"], "awake");
            stands(Standing::Waking);
            assert_eq!(api.post(&wake, &owner, json!({})).await.expect(202)["standing"], "waking");
        }).await;
    }

    async fn of_two_environments_of_one_name_asked_for_at_once_one_is_made(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, &unique("shop")).await;
            let all = format!("{}/environments", project.path);
            let ask = || api.post(&all, &owner, json!({ "name": "staging" }));
            let (one, other) = tokio::join!(ask(), ask());
            let mut statuses = [one.status.as_u16(), other.status.as_u16()];
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 409]);
        }).await;
    }

    async fn a_long_name_still_makes_a_label_that_fits(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let name = "a very long name that goes on and on and on and on until it ends";
            let (first, second) = (api.project(&owner, name).await, api.project(&owner, name).await);
            for label in [&first.label, &second.label] {
                assert!(label.len() <= 63 && label.contains("-production"), "{label}");
            }
            assert_ne!(first.label, second.label);
        }).await;
    }

    async fn a_wrong_environment_name_is_refused(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "shop").await;
            let all = format!("{}/environments", project.path);
            for name in ["", "Staging", "a_b", "1st", "-x", &"x".repeat(33)] {
                api.post(&all, &owner, json!({ "name": name })).await.refused(422, "invalid_data");
            }
            let branch = json!({ "name": "x", "branch": "-oProxyCommand=x" });
            api.post(&all, &owner, branch).await.refused(422, "invalid_data");
        }).await;
    }
}
