//! The gateway's public keys, fetched once and kept; asked for anew when a token names one that isn't
//! known, and when they have got old, so that one that the gateway has dropped isn't taken for ever.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use crate::{Error, Rejection};

/// Where the gateway has its keys.
const PATH: &str = "/.well-known/forward-jwks.json";
/// How long an answer of the gateway's is waited for.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The longest answer that is read.
const LONGEST: usize = 64 * 1024;
/// The least time between two questions.
const PAUSE: Duration = Duration::from_secs(5);
/// For how long keys are good without asking: as long as the gateway lets caches keep them.
const FRESH: Duration = Duration::from_mins(5);
/// The length of one coordinate of a P-256 key, in bytes.
const COORDINATE: usize = 32;

/// A key as *ring* takes it: an uncompressed point.
type Point = Arc<[u8]>;

#[derive(Default)]
struct Known {
    points: HashMap<String, Point>,
    fetched: Option<Instant>,
}

/// The keys.
pub(crate) struct Keys {
    client: reqwest::Client,
    url: Url,
    pause: Duration,
    known: RwLock<Known>,
    /// When was asked last. Whoever holds it asks; the others wait for what comes of that.
    asked: Mutex<Option<Instant>>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kid: String,
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

impl Keys {
    pub(crate) fn new(gateway: &Url) -> Result<Self, reqwest::Error> {
        // Whoever installed a provider before has one that does as well.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let mut url = gateway.clone();
        url.set_path(PATH);
        Ok(Self::of(client, url, PAUSE))
    }

    fn of(client: reqwest::Client, url: Url, pause: Duration) -> Self {
        Self {
            client,
            url,
            pause,
            known: RwLock::default(),
            asked: Mutex::new(None),
        }
    }

    pub(crate) fn with_pause(&self, pause: Duration) -> Self {
        Self::of(self.client.clone(), self.url.clone(), pause)
    }

    /// The key of this name.
    pub(crate) async fn find(&self, kid: &str) -> Result<Point, Error> {
        match self.look(kid) {
            (Some(point), true) => return Ok(point),
            // Whoever asks now asks for all.
            (Some(point), false) if self.asked.try_lock().is_err() => return Ok(point),
            _ => {}
        }
        let answered = self.ask().await;
        // A gateway that is away for a while takes nothing from those that are known.
        match self.look(kid) {
            (Some(point), _) => Ok(point),
            (None, _) if answered => Err(Rejection::UnknownKey.into()),
            (None, _) => Err(Error::KeysAway),
        }
    }

    /// The key, and whether what is known is fresh.
    fn look(&self, kid: &str) -> (Option<Point>, bool) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = known.fetched.is_some_and(|at| at.elapsed() < FRESH);
        (known.points.get(kid).cloned(), fresh)
    }

    /// Asks for the keys, unless that was done a moment ago; whether what is known is what the gateway
    /// said last.
    async fn ask(&self) -> bool {
        let before = self.fetched();
        let mut asked = self.asked.lock().await;
        // Somebody else has asked while this one waited.
        if self.fetched() != before {
            return true;
        }
        if asked.is_some_and(|at| at.elapsed() < self.pause) {
            return before.is_some_and(|fetched| Some(fetched) >= *asked);
        }
        *asked = Some(Instant::now());
        match self.fetch().await {
            Ok(points) => {
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                *known = Known {
                    points,
                    fetched: Some(Instant::now()),
                };
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the gateway's keys can't be had; those known go on");
                false
            }
        }
    }

    fn fetched(&self) -> Option<Instant> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.fetched
    }

    async fn fetch(
        &self,
    ) -> Result<HashMap<String, Point>, Box<dyn std::error::Error + Send + Sync>> {
        let mut answer = self
            .client
            .get(self.url.clone())
            .send()
            .await?
            .error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > LONGEST {
                return Err("the answer is too long".into());
            }
            body.extend_from_slice(&chunk);
        }
        let set: Set = serde_json::from_slice(&body)?;
        Ok(set
            .keys
            .into_iter()
            .filter_map(|key| Some((key.kid.clone(), key.point()?)))
            .collect())
    }
}

impl Jwk {
    /// The key, if it is one by which such tokens are signed; others are nobody's here.
    fn point(&self) -> Option<Point> {
        if self.kty != "EC" || self.crv != "P-256" {
            return None;
        }
        let coordinate = |text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            (bytes.len() == COORDINATE).then_some(bytes)
        };
        let point = [vec![4], coordinate(&self.x)?, coordinate(&self.y)?].concat();
        Some(point.into())
    }
}
