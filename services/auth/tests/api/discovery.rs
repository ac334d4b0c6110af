//! Where everything is (RFC 8414).

use super::*;

const DOCUMENTS: [&str; 2] = [
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
];

testkit::on_both_backends! {
    async fn both_documents_say_where_things_are_and_nothing_that_is_not_there(backend: Backend) {
        let harness = auth(&backend)
            .setting("gateway.public_url", "https://slipway.example/")
            .start()
            .await;
        let signed = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        for path in DOCUMENTS {
            let said = expect(200, harness.request(Method::GET, "auth", path)).await;
            assert_eq!(said["issuer"], claims(&signed)["iss"], "what tokens say: {said}");
            assert_eq!(said["id_token_signing_alg_values_supported"], json!(["ES256"]));
            assert!(said.get("authorization_endpoint").is_none(), "there is none: {said}");
            for (member, address) in said.as_object().unwrap() {
                let Some(address) = address.as_str().filter(|_| member != "issuer") else { continue };
                let path = address.strip_prefix("https://slipway.example").unwrap();
                assert!(path.starts_with('/'), "{member}: {address}");
                if path == "/docs" {
                    continue; // the gateway's own
                }
                let asked = harness.request(Method::GET, "auth", path).send().await.unwrap();
                assert_ne!(asked.status(), 404, "{member}: {address}");
            }
        }
        harness.stop().await;
    }

    async fn keys_and_documents_can_be_kept_and_asked_about_by_their_tags(backend: Backend) {
        let harness = auth(&backend).start().await;
        for path in DOCUMENTS.iter().chain(&["/.well-known/jwks.json"]) {
            let get = || harness.request(Method::GET, "auth", path);
            let first = get().send().await.unwrap();
            assert!(first.headers()["cache-control"].to_str().unwrap().starts_with("public, max-age="));
            let tag = first.headers()["etag"].clone();
            let again = get().header("if-none-match", &tag).send().await.unwrap();
            assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (304, &tag));
            assert!(again.headers().contains_key("cache-control"));
            let other = get().header("if-none-match", "\"another\"").send().await.unwrap();
            assert_eq!(other.status(), 200);
        }
        let path = "/.well-known/jwks.json";
        let tag = |response: reqwest::Response| response.headers()["etag"].clone();
        let before = tag(harness.request(Method::GET, "auth", path).send().await.unwrap());
        let rotate = post(&harness, "/auth/admin/keys/rotate", &json!({ "now": true }));
        expect(200, rotate.bearer_auth(admin(&harness).await)).await;
        let after = tag(harness.request(Method::GET, "auth", path).send().await.unwrap());
        assert_ne!(before, after, "other keys have another tag");
        harness.stop().await;
    }
}
