use common::role::Role;
use serde_json::{Value, json};
use testkit::on_both_backends;

use crate::harness::run;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn key() -> Value {
    json!({ "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": SECRET, "region": "eu-central-1" })
}

on_both_backends! {
    async fn a_key_is_kept_and_its_secret_never_comes_back(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "aws").await;
            let path = format!("{}/credentials/aws", project.path);
            let body = api.put(&path, &owner, key()).await.expect(200);
            assert_eq!(body["credentials"]["access_key_id"], "AKIAIOSFODNN7EXAMPLE");
            assert!(!body.to_string().contains(SECRET));
            assert_eq!(api.get(&path, &owner).await.expect(200), body);
            let rows: Vec<Sealed> = api.platform().context("project").unwrap().db.read(|db| {
                use diesel::RunQueryDsl as _;
                diesel::sql_query("SELECT sealed_secret FROM aws_credentials").load(db)
            }).await.map_err(|error: diesel::result::Error| error).unwrap();
            assert!(!rows[0].sealed_secret.windows(10).any(|window| window == &SECRET.as_bytes()[..10]));
        }).await;
    }

    async fn a_role_takes_the_place_of_a_key_and_the_external_id_stays(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "aws").await;
            let path = format!("{}/credentials/aws", project.path);
            let before = api.get(&path, &owner).await.expect(200);
            let external_id = before["credentials"]["external_id"].clone();
            assert!(external_id.as_str().unwrap().len() >= 32);
            assert_eq!(before["credentials"]["region"], json!(null));
            api.put(&path, &owner, key()).await.expect(200);
            let role = json!({ "role_arn": "arn:aws:iam::123456789012:role/slipway", "region": "us-east-1" });
            let body = api.put(&path, &owner, role).await.expect(200);
            assert_eq!(body["credentials"]["access_key_id"], json!(null));
            assert_eq!(body["credentials"]["role_arn"], "arn:aws:iam::123456789012:role/slipway");
            assert_eq!(body["credentials"]["external_id"], external_id);
            let other = api.project(&owner, "aws").await;
            let other = api.get(&format!("{}/credentials/aws", other.path), &owner).await.expect(200);
            assert_ne!(other["credentials"]["external_id"], external_id);

            api.delete(&path, &owner).await.expect(200);
            api.delete(&path, &owner).await.refused(404, "not_found");
            assert_eq!(api.get(&path, &owner).await.expect(200), before);
        }).await;
    }

    async fn what_cannot_be_credentials_is_refused_without_being_repeated(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "aws").await;
            let path = format!("{}/credentials/aws", project.path);
            let with = |field: &str, value: Value| {
                let mut body = key();
                body[field] = value;
                body
            };
            for (field, value) in [
                ("access_key_id", json!("nonsense")),
                ("secret_access_key", json!("canary")),
                ("region", json!("canary")),
                ("external_id", json!("mine")),
            ] {
                let refused = api.put(&path, &owner, with(field, value)).await.refused(422, "invalid_data");
                assert_eq!(refused["errors"][0]["field"], field);
                assert!(!refused.to_string().contains("canary"), "{refused:#}");
            }
            api.put(&path, &owner, json!({ "region": "eu-central-1" })).await.refused(422, "invalid_data");
            let both = with("role_arn", json!("arn:aws:iam::123456789012:role/slipway"));
            api.put(&path, &owner, both).await.refused(422, "invalid_data");
        }).await;
    }

    async fn credentials_are_the_owners_alone(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let developer = api.member(&owner.account, Role::Developer);
            let project = api.project(&owner, "aws").await;
            let path = format!("{}/credentials/aws", project.path);
            api.get(&path, &developer).await.refused(403, "insufficient_role");
            api.put(&path, &developer, key()).await.refused(403, "insufficient_role");
            api.delete(&path, &developer).await.refused(403, "insufficient_role");
        }).await;
    }
}

#[derive(diesel::QueryableByName)]
struct Sealed {
    #[diesel(sql_type = diesel::sql_types::Binary)]
    sealed_secret: Vec<u8>,
}
