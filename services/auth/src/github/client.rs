//! Calls to GitHub ("Authorizing OAuth apps", REST API 2022-11-28). Nothing that it answers is
//! believed to be short, in time or well-formed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chassis::github::{ExchangeError, below, exchange};
use chassis::outbound;
use chassis::settings::{GithubClient, GithubSettings};
use common::email::EmailAddress;
use common::{ExposeSecret as _, SecretString};
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::Profile;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// The longest name that is kept, in characters.
const MAX_NAME: usize = 255;
/// What we ask a person for: to see her addresses. Her profile is public.
const SCOPE: &str = "user:email";

/// Why GitHub told us nothing.
#[derive(Debug, thiserror::Error)]
pub enum GithubError {
    /// No app is configured.
    #[error("no GitHub app is configured")]
    NotConfigured,
    /// It can't be reached, or doesn't answer in time.
    #[error("GitHub can't be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It is there, but doesn't work, or wants us to come back later.
    #[error("GitHub answered with status {0}")]
    Failed(u16),
    /// Its answer can't be read, or is too long.
    #[error("GitHub's answer can't be read")]
    Unreadable,
    /// It doesn't accept the app's credentials or callback; the text is GitHub's name for that.
    #[error("GitHub doesn't accept the configured app: {0}")]
    Misconfigured(String),
    /// The code is wrong, used or too old.
    #[error("GitHub doesn't accept the code")]
    BadCode,
    /// The token isn't good, or is another app's.
    #[error("GitHub doesn't know the token as one of this app")]
    BadToken,
}

impl From<ExchangeError> for GithubError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Unreachable(error) => Self::Unreachable(error),
            ExchangeError::Status(status) => Self::Failed(status),
            ExchangeError::Unreadable => Self::Unreadable,
            ExchangeError::BadCode => Self::BadCode,
            ExchangeError::Misconfigured(why) => Self::Misconfigured(why),
        }
    }
}

/// Speaks to GitHub as the configured app.
#[derive(Debug)]
pub struct Github {
    http: reqwest::Client,
    settings: GithubSettings,
}

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct Email {
    email: String,
    #[serde(default)]
    primary: bool,
    #[serde(default)]
    verified: bool,
}

#[derive(Deserialize)]
struct Checked {
    app: App,
}

#[derive(Deserialize)]
struct App {
    client_id: String,
}

impl Github {
    /// GitHub as the settings say.
    pub fn new(settings: GithubSettings) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: outbound::configured(settings.timeout.0)?,
            settings,
        })
    }

    /// Whether an app is configured.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.settings.client().is_some()
    }

    /// Whether a callback must be the registered one, to the letter.
    #[must_use]
    pub fn wants_exact_callback(&self) -> bool {
        self.settings.exact_callback
    }

    /// The origin where people sign in.
    #[must_use]
    pub fn origin(&self) -> url::Origin {
        self.settings.web_url.origin()
    }

    fn app(&self) -> Result<GithubClient, GithubError> {
        self.settings.client().ok_or(GithubError::NotConfigured)
    }

    /// Where a person goes to consent. `challenge` is that of PKCE, by S256 (RFC 7636).
    pub fn authorize_url(
        &self,
        redirect_uri: &str,
        state: &str,
        challenge: &str,
    ) -> Result<Url, GithubError> {
        let app = self.app()?;
        let mut url = below(&self.settings.web_url, &["login", "oauth", "authorize"]);
        url.query_pairs_mut()
            .append_pair("client_id", &app.id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("response_type", "code")
            .append_pair("scope", SCOPE)
            .append_pair("state", state)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// Who consented: exchanges a code for a token, looks who that belongs to, and forgets it.
    pub async fn exchange(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<Profile, GithubError> {
        let app = self.app()?;
        let bound = [("redirect_uri", redirect_uri), ("code_verifier", verifier)];
        let token = exchange(&self.http, &self.settings.web_url, &app, code, &bound).await?;
        self.profile(&token).await
    }

    /// Who a token belongs to that somebody sent us: only if it was issued to this app. Else
    /// whoever runs another app could sign in as each of its users.
    pub async fn owner_of(&self, token: &SecretString) -> Result<Profile, GithubError> {
        let app = self.app()?;
        let url = below(&self.settings.api_url, &["applications", &app.id, "token"]);
        let credentials = STANDARD.encode(format!("{}:{}", app.id, app.secret.expose()));
        let request = api(self.http.request(Method::POST, url))
            .header(AUTHORIZATION, format!("Basic {credentials}"))
            .json(&serde_json::json!({ "access_token": token.expose_secret() }));
        let (status, body) = send(request).await?;
        match status {
            200 => {}
            404 | 422 => return Err(GithubError::BadToken),
            401 => {
                return Err(GithubError::Misconfigured(
                    "incorrect_client_credentials".into(),
                ));
            }
            other => return Err(GithubError::Failed(other)),
        }
        let checked: Checked = read(&body)?;
        if checked.app.client_id != app.id {
            return Err(GithubError::BadToken);
        }
        self.profile(token).await
    }

    async fn profile(&self, token: &SecretString) -> Result<Profile, GithubError> {
        let user: User = match self.get(token, &["user"]).await? {
            (200, body) => read(&body)?,
            (401, _) => return Err(GithubError::BadToken),
            (other, _) => return Err(GithubError::Failed(other)),
        };
        let emails: Vec<Email> = match self.get(token, &["user", "emails"]).await? {
            (200, body) => read(&body)?,
            // The app may not see addresses: she is who she is all the same.
            (401 | 403 | 404, _) => Vec::new(),
            (other, _) => return Err(GithubError::Failed(other)),
        };
        if user.id == 0 || user.login.is_empty() {
            return Err(GithubError::Unreadable);
        }
        let email = emails
            .into_iter()
            .find(|email| email.primary && email.verified)
            .and_then(|email| EmailAddress::parse(&email.email).ok());
        Ok(Profile {
            id: user.id,
            login: presentable(&user.login),
            name: user
                .name
                .map(|name| presentable(&name))
                .filter(|name| !name.is_empty()),
            email: email.map(|email| email.as_str().to_owned()),
        })
    }

    async fn get(
        &self,
        token: &SecretString,
        path: &[&str],
    ) -> Result<(u16, Vec<u8>), GithubError> {
        let url = below(&self.settings.api_url, path);
        let request = api(self.http.get(url)).bearer_auth(token.expose_secret());
        send(request.query(&[("per_page", "100")])).await
    }
}

fn api(request: RequestBuilder) -> RequestBuilder {
    request
        .header(ACCEPT, "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
}

async fn send(request: RequestBuilder) -> Result<(u16, Vec<u8>), GithubError> {
    let unreachable = |error: reqwest::Error| GithubError::Unreachable(error.without_url());
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    let body = outbound::read_limited(response, MAX_ANSWER)
        .await
        .map_err(unreachable)?
        .ok_or(GithubError::Unreadable)?;
    Ok((status, body))
}

/// What can't be read is not shown either: it may hold a token.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, GithubError> {
    serde_json::from_slice(body).map_err(|_unreadable| GithubError::Unreadable)
}

/// A name without control characters, of a length that can be shown.
fn presentable(name: &str) -> String {
    let shown = name.chars().filter(|c| !c.is_control()).take(MAX_NAME);
    shown.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::settings::Secret;

    fn github() -> Github {
        Github::new(GithubSettings {
            client_id: Some("Iv1/..&x".into()),
            client_secret: Some(Secret::new("s3cret")),
            api_url: Url::parse("https://github.example/api/v3/").unwrap(),
            ..GithubSettings::default()
        })
        .unwrap()
    }

    #[test]
    fn what_stands_in_an_address_can_not_lead_elsewhere() {
        let github = github();
        let url = github
            .authorize_url("https://x.dev/cb?a=1&b=2", "st&ate", "c#h")
            .unwrap();
        let pairs: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(url.path(), "/login/oauth/authorize");
        assert_eq!(
            (pairs["redirect_uri"].as_str(), pairs["state"].as_str()),
            ("https://x.dev/cb?a=1&b=2", "st&ate")
        );
        assert_eq!(
            (
                pairs["client_id"].as_str(),
                pairs["code_challenge"].as_str()
            ),
            ("Iv1/..&x", "c#h")
        );
    }

    #[test]
    fn neither_the_secret_nor_an_answer_is_shown() {
        let shown = format!("{:?}", github());
        assert!(!shown.contains("s3cret"), "{shown}");
        let why = read::<User>(br#"{"access_token":"gho_1"}"#).err().unwrap();
        assert!(!format!("{why:?} {why}").contains("gho_1"));
    }

    #[test]
    fn a_name_is_kept_as_it_is_but_for_what_can_not_be_shown() {
        assert_eq!(
            presentable(" Zo\u{eb} \u{1f984}\0\n<b> "),
            "Zo\u{eb} \u{1f984}<b>"
        );
        assert_eq!(presentable(&"x".repeat(1_000)).len(), MAX_NAME);
    }
}
