//! What more than one service asks of GitHub: addresses, and a person's token for the code with
//! which she comes back ("Authorizing OAuth apps", "Generating a user access token for a GitHub App").

use common::SecretString;
use reqwest::header::ACCEPT;
use serde::Deserialize;
use url::Url;

use crate::outbound;
use crate::settings::GithubClient;

/// The longest answer to a code, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// How much of GitHub's name for a refusal is kept, in characters.
const LONGEST_REFUSAL: usize = 64;

/// Why there is no token for a code.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// GitHub can't be reached, or doesn't answer in time.
    #[error("GitHub can't be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It is there, but answers with something that we can't use.
    #[error("GitHub answered with status {0}")]
    Status(u16),
    /// Its answer can't be read, or is too long.
    #[error("GitHub's answer can't be read")]
    Unreadable,
    /// The code is wrong, used or too old.
    #[error("GitHub doesn't accept the code")]
    BadCode,
    /// It doesn't accept the app's credentials or callback; the text is GitHub's name for that.
    #[error("GitHub doesn't accept the configured app: {0}")]
    Misconfigured(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Exchanged {
    Token { access_token: SecretString },
    Refused { error: String },
}

/// A path below a base that may have a path itself. What stands in a segment can't lead elsewhere.
#[must_use]
pub fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// The token of the person who came back with this code. `bound` is what the code was bound to when
/// she set out, such as `redirect_uri` and `code_verifier`.
///
/// # Errors
/// As [`ExchangeError`] says; none shows a secret.
pub async fn exchange(
    http: &reqwest::Client,
    web_url: &Url,
    client: &GithubClient,
    code: &str,
    bound: &[(&str, &str)],
) -> Result<SecretString, ExchangeError> {
    let url = below(web_url, &["login", "oauth", "access_token"]);
    let mut form = vec![
        ("client_id", client.id.as_str()),
        ("client_secret", client.secret.expose()),
        ("code", code),
    ];
    form.extend_from_slice(bound);
    let unreachable = |error: reqwest::Error| ExchangeError::Unreachable(error.without_url());
    let request = http.post(url).header(ACCEPT, "application/json");
    let response = request.form(&form).send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    let body = outbound::read_limited(response, LONGEST_ANSWER)
        .await
        .map_err(unreachable)?
        .ok_or(ExchangeError::Unreadable)?;
    if status != 200 {
        return Err(ExchangeError::Status(status));
    }
    match serde_json::from_slice(&body) {
        Ok(Exchanged::Token { access_token }) => Ok(access_token),
        Ok(Exchanged::Refused { error }) if error == "bad_verification_code" => {
            Err(ExchangeError::BadCode)
        }
        Ok(Exchanged::Refused { error }) => Err(ExchangeError::Misconfigured(
            error.chars().take(LONGEST_REFUSAL).collect(),
        )),
        // What can't be read isn't shown: it may hold a token.
        Err(_unreadable) => Err(ExchangeError::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_segment_can_not_lead_elsewhere() {
        let base = Url::parse("https://github.example/api/v3/").unwrap();
        let url = below(&base, &["applications", "Iv1/..&x", "token"]);
        assert_eq!(url.path(), "/api/v3/applications/Iv1%2F..&x/token");
    }
}
