//! One request to GitHub's REST API (2022-11-28) and its answer. Nothing that it answers is
//! believed to be short, in time or well-formed. What may be asked twice is, after a pause of a
//! random length; what hasn't changed isn't sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chassis::github::below;
use chassis::outbound;
use chassis::settings::GithubSettings;
use common::ExposeSecret as _;
use common::time::{Clock, Span, Time};
use reqwest::header::{ACCEPT, DATE, HeaderMap, IF_NONE_MATCH, LINK, LOCATION};
use reqwest::{Method, StatusCode};
use url::Url;

use super::ask::{Answer, Ask, By};
use super::kept::KeptAnswers;
use super::key::AppKey;
use super::limits::Limits;

/// The longest answer that is read, in bytes: a page of a hundred repositories has some 600 KiB.
const MAX_ANSWER: usize = 4 << 20;
/// How often one thing is asked at most.
const ATTEMPTS: u32 = 3;
/// The longest pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// From how many seconds on the two clocks count as apart.
const APART: i64 = 20;

/// Why GitHub told us nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum GithubError {
    /// It can't be reached, or doesn't answer in time.
    #[error("GitHub can't be reached")]
    Unreachable(#[source] Arc<reqwest::Error>),
    /// It is there, but answers with something that we can't use.
    #[error("GitHub answered with status {0}")]
    Status(u16),
    /// Its answer can't be read, or is too long.
    #[error("GitHub's answer can't be read")]
    Unreadable,
    /// A rate limit is used up.
    #[error("GitHub's rate limit is used up")]
    Limited {
        /// Until when.
        until: Time,
    },
    /// It doesn't take our token.
    #[error("GitHub doesn't accept the App's credentials")]
    Unauthorized,
    /// The App's own token can't be made.
    #[error("the App's token can't be signed")]
    Unsigned,
}

/// The client.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    api: Url,
    key: AppKey,
    clock: Clock,
    /// How many seconds GitHub's clock is ahead of ours.
    ahead: AtomicI64,
    limits: Limits,
    kept: KeptAnswers,
}

impl Client {
    pub(super) fn new(
        settings: &GithubSettings,
        key: AppKey,
        clock: Clock,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: outbound::configured(settings.timeout.0)?,
            api: settings.api_url.clone(),
            key,
            clock,
            ahead: AtomicI64::new(0),
            limits: Limits::default(),
            kept: KeptAnswers::default(),
        })
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// An address of the API.
    pub(super) fn url(&self, path: &[&str]) -> Url {
        below(&self.api, path)
    }

    /// Asks, and again where that may help. Follows one redirect of a `GET` within the API: that is how
    /// GitHub says that something is called otherwise now.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, GithubError> {
        let answer = self.ask_here(&ask).await?;
        if !matches!(answer.status, 301 | 302 | 307 | 308) || ask.method != Method::GET {
            return Ok(answer);
        }
        match answer.location.filter(|url| self.is_ours(url)) {
            Some(url) => self.ask_here(&Ask { url, ..ask }).await,
            None => Err(GithubError::Status(answer.status)),
        }
    }

    /// Whether an address is of the API: a token goes nowhere else.
    fn is_ours(&self, url: &Url) -> bool {
        let base = format!("{}/", self.api.path().trim_end_matches('/'));
        url.origin() == self.api.origin() && url.path().starts_with(&base)
    }

    async fn ask_here(&self, ask: &Ask<'_>) -> Result<Answer, GithubError> {
        let mut corrected = false;
        let mut attempt = 1;
        loop {
            let answered = self.once(ask).await;
            let passing = match &answered {
                // The clocks were apart, and aren't any more; or the App's key was replaced.
                Ok((answer, true)) if answer.status == 401 && !corrected => {
                    corrected = true;
                    continue;
                }
                Ok((answer, _)) if answer.status < 500 => false,
                Ok(_) => true,
                Err(GithubError::Unreachable(_)) => true,
                Err(_) => false,
            };
            if passing && ask.repeatable && attempt < ATTEMPTS {
                tokio::time::sleep(pause(attempt)).await;
                attempt += 1;
                continue;
            }
            let (answer, _) = answered?;
            return match answer.status {
                401 => Err(GithubError::Unauthorized),
                500.. => Err(GithubError::Status(answer.status)),
                _ => Ok(answer),
            };
        }
    }

    /// Asks once; beside the answer, whether it showed that our clock was wrong.
    async fn once(&self, ask: &Ask<'_>) -> Result<(Answer, bool), GithubError> {
        let (bucket, now) = (ask.by.bucket(), self.clock.now());
        if let Some(until) = self.limits.held_until(bucket, now) {
            return Err(GithubError::Limited { until });
        }
        let token = match &ask.by {
            By::App => self
                .key
                .token(self.now_there())
                .ok_or(GithubError::Unsigned)?,
            By::Installation(_, token) | By::Person(token) => (*token).clone(),
        };
        let mut request = self
            .http
            .request(ask.method.clone(), ask.url.clone())
            .header(ACCEPT, ask.accept)
            .header("x-github-api-version", "2022-11-28")
            .bearer_auth(token.expose_secret());
        let kept = self.kept.of(ask);
        if let Some(kept) = &kept {
            request = request.header(IF_NONE_MATCH, kept.tag.clone());
        }
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let unreachable =
            |error: reqwest::Error| GithubError::Unreachable(Arc::new(error.without_url()));
        let response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = outbound::read_limited(response, MAX_ANSWER)
            .await
            .map_err(unreachable)?
            .ok_or(GithubError::Unreadable)?;
        let answer = (status.as_u16(), &headers, body.as_slice());
        if let Some(until) = self.limits.note(bucket, answer, self.clock.now()) {
            return Err(GithubError::Limited { until });
        }
        if let (StatusCode::NOT_MODIFIED, Some(kept)) = (status, kept) {
            let answer = Answer {
                status: 200,
                next: kept.next,
                location: None,
                body: kept.body,
            };
            return Ok((answer, false));
        }
        let corrected = matches!(ask.by, By::App)
            && status == StatusCode::UNAUTHORIZED
            && self.correct_clock(&headers);
        let answer = Answer {
            status: status.as_u16(),
            next: next_page(&headers).filter(|url| self.is_ours(url)),
            location: header(&headers, &LOCATION).and_then(|text| Url::parse(text).ok()),
            body: body.into(),
        };
        self.kept.keep(ask, &headers, &answer);
        Ok((answer, corrected))
    }

    /// The time by GitHub's clock.
    fn now_there(&self) -> Time {
        self.clock.now() + Span::seconds(self.ahead.load(Ordering::Relaxed))
    }

    /// Learns from an answer how far ahead GitHub's clock is; whether that is news.
    fn correct_clock(&self, headers: &HeaderMap) -> bool {
        let there = header(headers, &DATE)
            .and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok())
            .map(|date| date.timestamp());
        let Some(there) = there else {
            return false;
        };
        let ahead = there - self.clock.now().unix();
        let before = self.ahead.swap(ahead, Ordering::Relaxed);
        let news = (ahead - before).abs() >= APART;
        if news {
            tracing::warn!(
                github.clock_ahead_s = ahead,
                "our clock and GitHub's are apart"
            );
        }
        news
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &reqwest::header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The address with `rel="next"` (RFC 8288).
fn next_page(headers: &HeaderMap) -> Option<Url> {
    let links = header(headers, &LINK)?;
    let next = links
        .split(',')
        .find(|link| link.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    Url::parse(rest.split_once('>')?.0).ok()
}

/// Somewhere between nothing and the longest pause, so that many don't come again together.
fn pause(attempt: u32) -> Duration {
    let longest = PAUSE.saturating_mul(1 << (attempt - 1).min(8));
    let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(common::random::below(millis.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_other_links() {
        let mut headers = HeaderMap::new();
        assert_eq!(next_page(&headers), None);
        let links = r#"<https://a.b/x?page=1>; rel="prev", <https://a.b/x?page=3>; rel="next", <https://a.b/x?page=9>; rel="last""#;
        headers.insert(LINK, links.parse().unwrap());
        assert_eq!(
            next_page(&headers).unwrap().as_str(),
            "https://a.b/x?page=3"
        );
        headers.insert(
            LINK,
            r#"<https://a.b/x?page=9>; rel="last""#.parse().unwrap(),
        );
        assert_eq!(next_page(&headers), None);
    }

    #[test]
    fn a_pause_is_never_longer_than_its_bound() {
        for attempt in 1..=3 {
            let bound = PAUSE * (1 << (attempt - 1));
            assert!((0..200).all(|_| pause(attempt) <= bound));
        }
    }
}
