//! What GitHub delivers ("Validating webhook deliveries", "Webhook events and payloads").

use ring::hmac;
use serde_json::{Value, json};

use super::{Github, WEBHOOK_SECRET};

/// A delivery: its headers and the very bytes that are signed.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `X-GitHub-Delivery`: its own name, which a redelivery has again.
    pub id: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// `X-Hub-Signature-256`.
    pub signature: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Delivery {
    /// A delivery of this event, signed with the App's secret.
    #[must_use]
    pub fn new(event: &str, payload: &Value) -> Self {
        let id = [4, 2, 2, 2, 6].map(super::state::hex).join("-");
        Self::of_bytes(id, event, payload.to_string().into_bytes())
    }

    /// A delivery of these very bytes.
    #[must_use]
    pub fn of_bytes(id: String, event: &str, body: Vec<u8>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, WEBHOOK_SECRET.as_bytes());
        let tag = hmac::sign(&key, &body);
        let hex: String = tag
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            id,
            event: event.to_owned(),
            signature: format!("sha256={hex}"),
            body,
        }
    }

    /// Puts it on a request, as GitHub does.
    pub fn on(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request
            .header("user-agent", "GitHub-Hookshot/044aadd")
            .header("content-type", "application/json")
            .header("x-github-delivery", &self.id)
            .header("x-github-event", &self.event)
            .header("x-hub-signature-256", &self.signature)
            .body(self.body.clone())
    }
}

impl Github {
    /// That a branch has a new commit.
    ///
    /// # Panics
    /// When there is no such repository.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the test is wrong then")]
    pub fn push(&self, repository: u64, branch: &str, before: &str, after: &str) -> Delivery {
        let state = self.state();
        let found = state.repository(repository);
        let found = found.expect("the repository is there");
        let installation = state.installation_on(found).map(|known| known.id);
        let gone = after.bytes().all(|byte| byte == b'0');
        Delivery::new(
            "push",
            &json!({
                "ref": format!("refs/heads/{branch}"), "before": before, "after": after,
                "created": false, "deleted": gone, "forced": false,
                "repository": found.shown_pushed(), "installation": { "id": installation },
                "pusher": { "name": "octocat", "email": "octocat@example.com" },
                "head_commit": (!gone).then(|| json!({ "id": after, "message": "A change" })),
            }),
        )
    }

    /// That something became of an installation: `suspend`, `deleted`, say.
    ///
    /// # Panics
    /// When there is no such installation.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the test is wrong then")]
    pub fn installation_event(&self, action: &str, id: u64) -> Delivery {
        let state = self.state();
        let found = state.installation(id).expect("the installation is there");
        Delivery::new(
            "installation",
            &json!({
                "action": action, "installation": found.shown(), "repositories": [],
                "sender": { "login": "octocat" },
            }),
        )
    }

    /// That a repository is called otherwise, or somebody else's.
    ///
    /// # Panics
    /// When there is no such repository.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the test is wrong then")]
    pub fn repository_event(&self, action: &str, repository: u64, changes: &Value) -> Delivery {
        let state = self.state();
        let found = state.repository(repository);
        let found = found.expect("the repository is there");
        let installation = state.installation_on(found).map(|known| known.id);
        Delivery::new(
            "repository",
            &json!({
                "action": action, "changes": changes, "repository": found.shown(),
                "installation": { "id": installation },
            }),
        )
    }
}
