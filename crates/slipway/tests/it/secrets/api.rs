//! Calls to a platform, with what was answered kept where nothing secret may be in it.

use std::sync::Mutex;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::harness::client;

/// A client that remembers what it was told.
pub(super) struct Api {
    url: String,
    http: reqwest::Client,
    told: Mutex<Vec<String>>,
}

impl Api {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            http: client(),
            told: Mutex::default(),
        }
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// What must have this status, and may show what it made.
    pub(super) async fn expect(&self, status: u16, request: RequestBuilder) -> Value {
        testkit::expect(status, request).await
    }

    /// What must have this status, and may show no secret.
    pub(super) async fn told(&self, status: u16, request: RequestBuilder) -> String {
        let response = request.send().await.unwrap();
        let (got, head) = (
            response.status().as_u16(),
            format!("{:?}", response.headers()),
        );
        let text = response.text().await.unwrap();
        assert_eq!(got, status, "{text}");
        self.told.lock().unwrap().push(format!("{head}\n{text}"));
        text
    }

    pub(super) async fn post(&self, status: u16, path: &str, token: &str, body: &Value) -> Value {
        let request = self
            .request(Method::POST, path)
            .bearer_auth(token)
            .json(body);
        self.expect(status, request).await
    }

    /// All that may show no secret.
    pub(super) fn all_told(&self) -> String {
        self.told.lock().unwrap().join("\n")
    }
}
