use common::event::Visibility;
use common::scope::Verb;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{expect, on_both_backends};

use crate::support::{App, World};
use crate::upstream::Upstream;

impl World {
    fn name_service(&self, token: &str, body: &Value) -> reqwest::RequestBuilder {
        self.platform(Method::POST, "/v1/services")
            .bearer_auth(token)
            .json(body)
    }
}

on_both_backends! {
    async fn an_admin_names_changes_and_takes_away_an_upstream(backend: Backend) {
        let (world, one, two) = (World::start(&backend).await, Upstream::saying("one").await, Upstream::saying("two").await);
        let admin = world.harness.issuer().admin();
        let (_, anyone) = world.harness.issuer().someone();
        let new = json!({"name": "location", "upstream": format!("http://{}", one.address)});
        expect(403, world.name_service(&anyone, &new)).await;
        let made = expect(201, world.name_service(&admin, &new)).await;
        assert_eq!(made["service"]["scopes"], json!(["service:location:read", "service:location:write"]));
        expect(409, world.name_service(&admin, &new)).await;
        let until = |wanted: &'static str| {
            let (world, anyone) = (&world, anyone.clone());
            testkit::eventually_async(wanted, move || {
                let asked = world.platform(Method::GET, "/v1/location/x").bearer_auth(&anyone);
                async move { (asked.send().await.unwrap().text().await.unwrap().contains(wanted)).then_some(()) }
            })
        };
        until("one").await;
        let list = expect(200, world.platform(Method::GET, "/v1/services").bearer_auth(&anyone)).await;
        assert_eq!(list["services"][0]["name"], "location");
        assert!(list["services"][0].get("upstream").is_none(), "{list}");
        let change = |tag: &str| {
            let request = world.platform(Method::PATCH, "/v1/services/location").bearer_auth(&admin).header("if-match", tag);
            request.json(&json!({"upstream": format!("http://{}", two.address)}))
        };
        expect(412, change("\"7\"")).await;
        expect(200, change("\"1\"")).await;
        until("two").await;
        expect(200, world.platform(Method::DELETE, "/v1/services/location").bearer_auth(&admin)).await;
        until("not_found").await;
        expect(201, world.name_service(&admin, &new)).await;
        world.stop().await;
    }

    async fn names_of_the_platform_and_addresses_with_more_in_them_are_refused(backend: Backend) {
        let world = World::start(&backend).await;
        let admin = world.harness.issuer().admin();
        for name in ["users", "api-keys", "x", "Upper", "admin"] {
            expect(422, world.name_service(&admin, &json!({"name": name, "upstream": "http://127.0.0.1:1"}))).await;
        }
        for upstream in ["https://x", "http://a:b@x", "http://x/path", "ftp://x", "x"] {
            expect(422, world.name_service(&admin, &json!({"name": "location", "upstream": upstream}))).await;
        }
        expect(422, world.name_service(&admin, &json!({"name": "location", "upstream": "http://x", "scopes": ["admin"]}))).await;
        world.stop().await;
    }

    async fn a_published_name_is_its_accounts(backend: Backend) {
        let (world, app) = (World::start(&backend).await, App::new("location"));
        let admin = world.harness.issuer().admin();
        world.tell(app.published("location", Visibility::Account, &[Verb::Read]), 1).await;
        world.until_known("location").await;
        let new = json!({"name": "location", "upstream": "http://127.0.0.1:1"});
        expect(409, world.name_service(&admin, &new)).await;
        expect(409, world.platform(Method::DELETE, "/v1/services/location").bearer_auth(&admin)).await;
        let (user, token) = world.harness.issuer().someone();
        let list = || world.platform(Method::GET, "/v1/services").bearer_auth(&token);
        assert_eq!(expect(200, list()).await["services"], json!([]));
        world.accounts.join(&app.account, &user);
        assert_eq!(expect(200, list()).await["services"][0]["path"], "/v1/location/");
        world.stop().await;
    }
}
