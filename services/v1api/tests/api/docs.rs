use reqwest::Method;
use testkit::{expect, on_both_backends};

use crate::support::World;

on_both_backends! {
    async fn the_api_document_is_there_as_data_and_as_a_page_of_its_own(backend: Backend) {
        let world = World::start(&backend).await;
        let document = expect(200, world.platform(Method::GET, "/openapi.json")).await;
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
        assert!(document["paths"]["/v1/generate"]["post"].is_object());
        let page = world.platform(Method::GET, "/docs").send().await.unwrap();
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        let html = page.text().await.unwrap();
        assert!(html.contains("/v1/api-keys/{key_id}") && !html.contains("src="), "{html}");
        world.stop().await;
    }

    async fn every_documented_route_is_served_and_every_route_under_v1_documented(backend: Backend) {
        let world = World::start(&backend).await;
        let document = expect(200, world.harness.private(Method::GET, "v1api", "/internal/openapi.json")).await;
        let routes = expect(200, world.harness.private(Method::GET, "v1api", "/internal/routes")).await;
        let mut served: Vec<_> = routes.as_array().unwrap().iter()
            .filter(|route| route["private"] == false && route["path"].as_str().unwrap().starts_with("/v1/"))
            .map(|route| format!("{} {}", route["method"].as_str().unwrap().to_lowercase(), route["path"].as_str().unwrap()))
            .collect();
        let mut documented: Vec<_> = document["paths"].as_object().unwrap().iter()
            .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}")))
            .collect();
        served.sort();
        documented.sort();
        assert_eq!(served, documented);
        world.stop().await;
    }
}
