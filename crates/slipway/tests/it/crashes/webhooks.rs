//! The platform is killed between the sending of a message and the note of it.

use serde_json::json;
use slipway_project::failpoints;
use testkit::Hooks;

use super::site::{Site, patiently};

testkit::on_both_backends! {
    async fn what_was_sent_and_not_noted_is_sent_again_as_the_same_message(backend: Backend) {
        let hooks = Hooks::start().await;
        let settings = [
            ("SLIPWAY_WEBHOOKS__ALLOWED_ADDRESSES", "127.0.0.1"),
            ("SLIPWAY_WEBHOOKS__ALLOW_HTTP", "true"),
            ("SLIPWAY_WEBHOOKS__TIMEOUT", "5s"),
        ];
        let mut site = Site::new(backend, &settings).await;
        let path = format!("/v1/accounts/{}/webhooks", site.account);
        let body = json!({ "url": hooks.url("/hook"), "event_types": ["webhook.test"] });
        let made = site.owner.post(&site.up, &path, &body).await;
        let secret = made["secret"].as_str().unwrap();
        let path = format!("{path}/{}", made["webhook"]["id"].as_str().unwrap());
        site.up.stop().await;
        site.up.restart_with(&[("SLIPWAY_FAILPOINT", failpoints::SENT)]).await;
        site.owner.post(&site.up, &format!("{path}/test"), &json!({})).await;
        let ended = site.up.end().await;
        assert!(ended.is_some_and(|ended| !ended.success()), "{}", site.up.log());

        site.up.restart().await;
        let came = hooks.until("/hook", 2).await;
        assert_eq!((came[0].id(), &came[0].body), (came[1].id(), &came[1].body));
        assert!(came.iter().all(|hook| hook.is_signed_by(secret)));
        let listed = format!("{path}/deliveries");
        patiently("the note of it", || async {
            let found = site.owner.get(&site.up, &listed).await;
            (found["deliveries"][0]["status"] == "delivered").then_some(())
        })
        .await;
        assert_eq!(hooks.came("/hook").len(), 2);
    }
}
