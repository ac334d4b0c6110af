//! AWS credentials, checked by a double that verifies every signature.

use serde_json::{Value, json};
use testkit::{AWS_ACCOUNT, Backend, Sts, StsMood, on_both_backends};

use crate::harness::{Api, Member, run_with};

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const ROLE: &str = "arn:aws:iam::123456789012:role/path/slipway";
const OWN_ID: &str = "AKIAPLATFORMSOWNKEY1";
const OWN_SECRET: &str = "PlatformsOwn/SecretKeyOf40Characters+++=";

async fn with_aws(backend: Backend, more: &[(&str, &str)], test: impl AsyncFnOnce(&Api, &Sts)) {
    let sts = Sts::start().await;
    sts.user("shop", ID, SECRET);
    sts.user("slipway", OWN_ID, OWN_SECRET);
    let url = sts.url();
    let mut settings = vec![("aws.check", "true"), ("aws.sts_endpoint", url.as_str())];
    settings.extend(more);
    run_with(backend, &settings, async |api| test(api, &sts).await).await;
}

const OWN: [(&str, &str); 2] = [
    ("aws.access_key_id", OWN_ID),
    ("aws.secret_access_key", OWN_SECRET),
];

fn key(secret: &str) -> Value {
    json!({ "access_key_id": ID, "secret_access_key": secret, "region": "eu-central-1" })
}

fn role() -> Value {
    json!({ "role_arn": ROLE, "region": "eu-central-1" })
}

async fn place(api: &Api, owner: &Member) -> String {
    format!("{}/credentials/aws", api.project(owner, "aws").await.path)
}

async fn external_id(api: &Api, owner: &Member, path: &str) -> String {
    let body = api.get(path, owner).await.expect(200);
    body["credentials"]["external_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

on_both_backends! {
    async fn a_key_that_aws_knows_is_kept_with_whose_it_is(backend: Backend) {
        with_aws(backend, &[], async |api, sts| {
            let owner = api.account();
            let path = place(api, &owner).await;
            let body = api.put(&path, &owner, key(SECRET)).await.expect(200);
            let check = &body["credentials"]["check"];
            assert_eq!((&check["status"], &check["account_id"]), (&json!("verified"), &json!(AWS_ACCOUNT)));
            assert_eq!(check["arn"], format!("arn:aws:iam::{AWS_ACCOUNT}:user/shop"));
            assert!(check["checked_at"].is_string());
            assert_eq!(api.get(&path, &owner).await.expect(200), body);
            assert!(!body.to_string().contains(SECRET));
            assert_eq!(sts.asked(), ["GetCallerIdentity"]);
        }).await;
    }

    async fn a_key_that_aws_refuses_is_not_kept_and_the_one_before_stays(backend: Backend) {
        with_aws(backend, &[], async |api, sts| {
            let owner = api.account();
            let path = place(api, &owner).await;
            let before = api.put(&path, &owner, key(SECRET)).await.expect(200);
            let wrong = "x".repeat(40);
            let refused = api.put(&path, &owner, key(&wrong)).await.refused(422, "aws_credentials_refused");
            assert_eq!(refused["aws_code"], "SignatureDoesNotMatch");
            assert!(!refused.to_string().contains(&wrong), "{refused:#}");
            let mut unknown = key(SECRET);
            unknown["access_key_id"] = json!("AKIAUNKNOWNUNKNOWN12");
            let refused = api.put(&path, &owner, unknown).await.refused(422, "aws_credentials_refused");
            assert_eq!(refused["aws_code"], "InvalidClientTokenId");
            assert_eq!(api.get(&path, &owner).await.expect(200), before);
            assert_eq!(sts.asked().len(), 3);
        }).await;
    }

    async fn while_aws_does_not_answer_credentials_are_kept_and_asked_about_later(backend: Backend) {
        with_aws(backend, &[], async |api, sts| {
            let owner = api.account();
            let path = place(api, &owner).await;
            for (mood, problem) in [
                (StsMood::Failing, "AWS answers 500"),
                (StsMood::Throttling, "AWS is asked too much"),
                (StsMood::Confused, "AWS's answer can't be read"),
            ] {
                sts.mood(mood);
                let body = api.put(&path, &owner, key(SECRET)).await.expect(200);
                let check = &body["credentials"]["check"];
                assert_eq!((&check["status"], &check["problem"]), (&json!("unchecked"), &json!(problem)));
                assert_eq!(check["account_id"], Value::Null);
            }
            let again = format!("{path}/check");
            sts.mood(StsMood::Well);
            let body = api.post(&again, &owner, json!({})).await.expect(200);
            assert_eq!(body["credentials"]["check"]["status"], "verified");
            assert_eq!(api.get(&path, &owner).await.expect(200), body);
            // What ends later is told, and stays where it is.
            sts.end(ID);
            let body = api.post(&again, &owner, json!({})).await.expect(200);
            let check = &body["credentials"]["check"];
            assert_eq!((&check["status"], &check["code"]), (&json!("refused"), &json!("InvalidClientTokenId")));
            assert_eq!(api.get(&path, &owner).await.expect(200), body);
            api.delete(&path, &owner).await.expect(200);
            api.post(&again, &owner, json!({})).await.refused(404, "not_found");
        }).await;
    }

    async fn where_nobody_listens_credentials_are_unchecked(backend: Backend) {
        with_aws(backend, &[("aws.sts_endpoint", "http://127.0.0.1:1/")], async |api, sts| {
            let owner = api.account();
            let path = place(api, &owner).await;
            let body = api.put(&path, &owner, key(SECRET)).await.expect(200);
            let check = &body["credentials"]["check"];
            assert_eq!((&check["status"], &check["problem"]), (&json!("unchecked"), &json!("AWS can't be reached")));
            assert_eq!(sts.asked().len(), 0);
        }).await;
    }

    async fn a_role_is_taken_on_with_the_projects_own_external_id(backend: Backend) {
        with_aws(backend, &OWN, async |api, sts| {
            let owner = api.account();
            let path = place(api, &owner).await;
            sts.role(ROLE, &external_id(api, &owner, &path).await);
            let body = api.put(&path, &owner, role()).await.expect(200);
            let check = &body["credentials"]["check"];
            let arn = format!("arn:aws:sts::{AWS_ACCOUNT}:assumed-role/slipway/slipway");
            assert_eq!((&check["status"], &check["arn"]), (&json!("verified"), &json!(arn)));
            assert_eq!(sts.asked(), ["AssumeRole", "GetCallerIdentity"]);
            // Who names another's role in a project of her own gets nothing by it.
            let stranger = api.account();
            let theirs = place(api, &stranger).await;
            let refused = api.put(&theirs, &stranger, role()).await.refused(422, "aws_credentials_refused");
            assert_eq!(refused["aws_code"], "AccessDenied");
            let shown = api.get(&theirs, &stranger).await.expect(200);
            assert_eq!((&shown["credentials"]["role_arn"], &shown["credentials"]["check"]), (&Value::Null, &Value::Null));
        }).await;
    }

    async fn without_a_good_key_of_the_platforms_roles_are_unchecked(backend: Backend) {
        with_aws(backend, &OWN, async |api, sts| {
            let owner = api.account();
            let path = place(api, &owner).await;
            sts.end(OWN_ID);
            let body = api.put(&path, &owner, role()).await.expect(200);
            let check = &body["credentials"]["check"];
            assert_eq!((&check["status"], &check["problem"]), (&json!("unchecked"), &json!("AWS refuses the platform's own key")));
        }).await;
    }

    async fn nobody_has_aws_asked_about_what_is_not_hers(backend: Backend) {
        with_aws(backend, &[], async |api, sts| {
            let (owner, stranger) = (api.account(), api.account());
            let path = place(api, &owner).await;
            let elsewhere = path.replace(owner.account.as_str(), stranger.account.as_str());
            api.put(&elsewhere, &stranger, key(SECRET)).await.refused(404, "not_found");
            api.post(&format!("{elsewhere}/check"), &stranger, json!({})).await.refused(404, "not_found");
            let developer = api.member(&owner.account, common::role::Role::Developer);
            api.put(&path, &developer, key(SECRET)).await.refused(403, "insufficient_role");
            assert_eq!(sts.asked().len(), 0);
        }).await;
    }
}
