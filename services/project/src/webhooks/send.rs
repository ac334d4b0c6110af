//! Sending one message to one address.

use std::time::Duration;

use chassis::outbound::{LookUp, Outbound, Refused, is_refused};
use chassis::seal::Sealer;
use common::time::{Clock, Span, Time};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, Response};
use url::Url;

use super::Webhook;
use super::deliveries::{Delivery, KEPT_OF_ANSWER, Sent};
use super::secret;
use crate::settings::WebhooksSection;

/// The longest address.
const LONGEST_URL: usize = 2_000;

/// Sends messages. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    client: Outbound,
    sealer: Sealer,
    clock: Clock,
    timeout: Duration,
    allows_http: bool,
}

/// Why an address can't be a webhook's. It doesn't repeat the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidUrl {
    /// It is none.
    #[error("must be an https address of at most {LONGEST_URL} characters")]
    Form,
    /// Messages would go in plain text.
    #[error("must be an https address: messages don't go in plain text")]
    PlainText,
    /// It holds a name and a password.
    #[error("can't hold a name or a password")]
    Credentials,
    /// It leads inside.
    #[error("is an address of a private network")]
    Private,
}

impl Sender {
    /// One that goes by these settings.
    pub(crate) fn new(
        settings: &WebhooksSection,
        look_up: LookUp,
        sealer: Sealer,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let timeout = settings.timeout.0;
        Ok(Self {
            client: Outbound::sending(settings.allowed()?, look_up, timeout)?,
            sealer,
            clock,
            timeout,
            allows_http: settings.allow_http,
        })
    }

    /// Checks an address, as far as that is to be seen before anything is sent there.
    pub(crate) fn parse(&self, text: &str) -> Result<Url, InvalidUrl> {
        if text.len() > LONGEST_URL {
            return Err(InvalidUrl::Form);
        }
        let mut url = Url::parse(text).map_err(|_why| InvalidUrl::Form)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::Credentials);
        }
        match url.scheme() {
            "https" => {}
            "http" if self.allows_http => {}
            "http" => return Err(InvalidUrl::PlainText),
            _ => return Err(InvalidUrl::Form),
        }
        // It is never sent.
        url.set_fragment(None);
        match self.client.check(&url) {
            Ok(()) => Ok(url),
            Err(Refused::Private(_)) => Err(InvalidUrl::Private),
            Err(Refused::Scheme | Refused::NoHost) => Err(InvalidUrl::Form),
        }
    }

    /// Sends a delivery once. What comes of it says nothing of where the name led.
    pub(crate) async fn send(&self, webhook: &Webhook, delivery: &Delivery) -> Sent {
        let unanswered = |why: &str| Sent::Unanswered(why.to_owned());
        let now = self.clock.now();
        let keys = match webhook.sealed.keys(&self.sealer, &webhook.id, now) {
            Ok(keys) => keys,
            Err(error) => {
                tracing::error!(webhook.id = %webhook.id, %error, "a webhook's secret can't be opened");
                return unanswered("the webhook's secret can't be read");
            }
        };
        // An operator may have become stricter since the address was named.
        let Ok(url) = self.parse(&webhook.url) else {
            return unanswered("the address isn't allowed");
        };
        let Ok(request) = self.client.request(Method::POST, &url) else {
            return unanswered("the address isn't allowed");
        };
        let (id, timestamp) = (delivery.message_id.as_str(), now.unix());
        let signatures = secret::signatures(&keys, id, timestamp, &delivery.payload);
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures)
            .body(delivery.payload.clone());
        // The client's own limit ends with the head of the answer's last byte that is read.
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(error)) if is_refused(&error) => unanswered("the address isn't allowed"),
            Ok(Err(error)) if error.is_timeout() => unanswered("there was no answer in time"),
            Ok(Err(error)) => {
                tracing::debug!(webhook.id = %webhook.id, error = %error.without_url(), "a webhook gave no answer");
                unanswered("the address can't be reached")
            }
            Err(_elapsed) => unanswered("there was no answer in time"),
        }
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Sent, reqwest::Error> {
        let mut answer = request.send().await?;
        let status = answer.status().as_u16();
        let retry_after = retry_after(&answer, self.clock.now());
        // The status is what counts: a body that breaks off is kept as far as it came.
        let body = beginning(&mut answer).await;
        Ok(Sent::Answered {
            status,
            retry_after,
            body,
        })
    }
}

/// The first bytes of an answer. NUL can't be kept by every database.
async fn beginning(answer: &mut Response) -> String {
    let mut body = Vec::new();
    while body.len() < KEPT_OF_ANSWER {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(KEPT_OF_ANSWER);
    String::from_utf8_lossy(&body).replace('\0', "\u{fffd}")
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a time.
fn retry_after(answer: &Response, now: Time) -> Option<Span> {
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Span::seconds(i64::from(seconds)));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let at = at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    let wait = i64::try_from(at).ok()? - now.unix();
    Some(Span::seconds(wait.max(0)))
}
