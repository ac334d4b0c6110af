use reqwest::Method;
use serde_json::{Value, json};
use testkit::{eventually_async, expect, on_both_backends};
use tonic::Code;

use super::{Client, Speaker};
use crate::named::named;
use crate::support::{PLATFORM, World};

/// A caller of `location` with this key.
fn with_key(world: &World, key: &str) -> Client {
    let client = Client::new(world.address, PLATFORM).below("/v1/location");
    client.with("authorization", &format!("Bearer {key}"))
}

on_both_backends! {
    async fn a_service_is_called_by_scope_quota_and_endpoint_and_counted(backend: Backend) {
        let speaker = Speaker::start();
        let world = named(&backend, speaker.address, json!({ "endpoints": [
            { "method": "POST", "path": "/test.Speaker/Count", "scope": "read" },
        ]})).await;
        let (read, write) = (world.key("service:location:read"), world.key("service:location:write"));
        let nobody = Client::new(world.address, PLATFORM).below("/v1/location").ask("Echo", "x").await.unwrap_err();
        assert_eq!(nobody.code(), Code::Unauthenticated, "{nobody:?}");
        // A call changes something unless the service says that it doesn't.
        let refused = with_key(&world, &read).ask("Echo", "x").await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert!(refused.message().starts_with("insufficient_scope: "), "{refused:?}");
        let count = with_key(&world, &read).stream("Count", futures_util::stream::empty()).await.unwrap();
        assert_eq!(count.into_inner().message().await.unwrap().unwrap(), b"0");
        let unknown = Client::new(world.address, PLATFORM).below("/v1/nothing").with("authorization", &format!("Bearer {write}"));
        let mut unknown = unknown;
        assert_eq!(unknown.ask("Echo", "x").await.unwrap_err().code(), Code::Unimplemented);
        // The service learns who calls, and sees no key.
        let answer = with_key(&world, &write).ask("Echo", "x").await.unwrap();
        assert!(answer.metadata().get("set-cookie").is_none(), "{answer:?}");
        let (path, seen) = speaker.noticed.last();
        assert_eq!(path, "/test.Speaker/Echo");
        assert!(seen.contains_key("slipway-identity") && !seen.contains_key("authorization"), "{seen:?}");
        assert_eq!(seen.get("x-forwarded-prefix").unwrap(), "/v1/location");
        world.stop().await;
    }

    async fn calls_use_up_a_quota_and_are_counted_by_what_they_are_in_http(backend: Backend) {
        let speaker = Speaker::start();
        let world = named(&backend, speaker.address, json!({})).await;
        let (user, token) = world.person();
        let limits = json!({ "limits": [{ "period": "month", "quota": 2 }] });
        let admin = world.harness.issuer().admin();
        expect(200, world.platform(Method::PUT, &format!("/v1/quotas/{user}")).bearer_auth(admin).json(&limits)).await;
        let mut client = with_key(&world, &token);
        client.ask("Echo", "four").await.unwrap();
        // What the service itself says of a call is no affair of HTTP's.
        assert_eq!(client.ask("Fail", "x").await.unwrap_err().code(), Code::NotFound);
        let over = client.ask("Echo", "x").await.unwrap_err();
        assert_eq!(over.code(), Code::ResourceExhausted);
        assert!(over.message().starts_with("quota_exceeded: ") && over.metadata().contains_key("ratelimit"), "{over:?}");
        let counted = |usage: &Value, endpoint: &str, class: &str| {
            let rows = usage["usage"].as_array().unwrap();
            let row = rows.iter().find(|row| row["endpoint"] == endpoint && row["status_class"] == class)?;
            assert_eq!((&row["service"], &row["method"]), (&json!("location"), &json!("POST")), "{usage}");
            Some((row["count"].as_i64()?, row["bytes_in"].as_i64()?, row["bytes_out"].as_i64()?))
        };
        let echo = eventually_async("the counts", || async {
            let usage = expect(200, world.platform(Method::GET, "/v1/usage").bearer_auth(&token)).await;
            assert!(counted(&usage, "/test.Speaker/Fail", "2xx").is_none_or(|row| row.0 == 1), "{usage}");
            counted(&usage, "/test.Speaker/Echo", "4xx")?;
            counted(&usage, "/test.Speaker/Echo", "2xx").filter(|row| row.2 > 0)
        }).await;
        // A message of four bytes has five before it.
        assert_eq!(echo, (1, 9, 9));
        world.stop().await;
    }
}
