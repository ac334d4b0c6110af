//! What the gateway itself offers: keys, counts, services.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, ApiError, ApiKey, Usage};

#[derive(Deserialize)]
struct UsageAnswer {
    usage: Vec<Usage>,
}

#[derive(Deserialize)]
struct UsagePage {
    usage: Vec<Value>,
    next: Option<String>,
}

/// What is asked of the counts.
#[derive(Clone, Debug)]
pub(crate) struct UsageQuestion {
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) group_by: &'static str,
    pub(crate) user: Option<String>,
}

impl Api {
    /// Makes an API key that can do no more than these scopes.
    pub(crate) async fn generate_key(
        &self,
        name: &str,
        scopes: &[String],
    ) -> Result<SecretString, ApiError> {
        let key: ApiKey = self
            .post("/v1/generate", &json!({ "name": name, "scopes": scopes }))
            .await?;
        Ok(key.token)
    }

    /// How often the caller has called which endpoint.
    pub(crate) async fn usage(&self) -> Result<Vec<Usage>, ApiError> {
        let answer: UsageAnswer = self.get("/v1/usage?group_by=endpoint").await?;
        Ok(answer.usage)
    }

    /// All rows of the counts, page after page.
    pub(crate) async fn all_usage(&self, question: &UsageQuestion) -> Result<Vec<Value>, ApiError> {
        let mut rows = Vec::new();
        let mut after = None::<String>;
        loop {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("group_by", question.group_by);
            let given = [
                ("from", &question.from),
                ("to", &question.to),
                ("user_id", &question.user),
                ("after", &after),
            ];
            for (name, value) in given {
                query.extend_pairs(value.as_deref().map(|value| (name, value)));
            }
            let path = format!("/v1/usage?{}", query.finish());
            let page: UsagePage = self.get(&path).await?;
            rows.extend(page.usage);
            after = page.next;
            if after.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Calls an app by its own address, over the connection to the platform: names below
    /// `localhost` don't resolve everywhere.
    pub(crate) async fn call_app(
        &self,
        app: &url::Url,
        path: &str,
    ) -> Result<serde_json::Value, ApiError> {
        let host = match (app.host_str(), app.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let request = self
            .http
            .get(self.url(path))
            .header(reqwest::header::HOST, host);
        let request = request.timeout(Duration::from_secs(30));
        let response = self.send(request, &reqwest::Method::GET, path).await?;
        response.json().await.map_err(|error| self.lost(&error))
    }
}
