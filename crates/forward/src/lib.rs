//! Who calls a service behind a Slipway gateway.
//!
//! The gateway keeps the caller's credentials to itself. What a published service gets instead is the
//! header `Slipway-Identity`: a token of a minute at most (`forward+jwt`, ES256) for this one service,
//! with the user, the API key and the scope of the call. This crate verifies it with the keys that the
//! gateway publishes at `/.well-known/forward-jwks.json`, for any actix-web application:
//!
//! ```no_run
//! use actix_web::{App, HttpServer, middleware::from_fn, web};
//! use slipway_forward::{ForwardedCaller, Gateway, require};
//!
//! async fn track(caller: ForwardedCaller) -> String {
//!     format!("Hello, {}", caller.subject)
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let gateway = Gateway::new(&"http://localhost:8080".parse()?, "location")?;
//! let app = move || {
//!     App::new()
//!         .app_data(web::Data::new(gateway.clone()))
//!         // Even routes that don't ask who calls are for the gateway alone.
//!         .wrap(from_fn(require))
//!         .route("/track", web::get().to(track))
//! };
//! HttpServer::new(app).bind("127.0.0.1:3000")?.run().await?;
//! # Ok(())
//! # }
//! ```
//!
//! It depends on none of the platform's other crates, and needs nothing of the gateway but its address.

mod caller;
mod keys;
mod token;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use caller::{ForwardedCaller, Verb, require};
pub use token::Rejection;

use keys::Keys;

/// The header in which the token comes.
pub const HEADER: &str = "slipway-identity";

/// The platform's issuer, unless it is set otherwise.
const ISSUER: &str = "micro";

/// Tells the time, in seconds since the epoch.
type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The gateway in front of a service, whose word is taken. Cheap to clone; clones share their keys.
#[derive(Clone)]
pub struct Gateway {
    keys: Arc<Keys>,
    service: Arc<str>,
    issuer: Arc<str>,
    clock: Clock,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gateway for {}", self.service)
    }
}

/// Why a caller isn't known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No token came, so that the request hasn't come through the gateway.
    #[error("The request doesn't come from the gateway")]
    Missing,
    /// One came that doesn't hold.
    #[error("{0}")]
    Rejected(#[from] Rejection),
    /// One came whose key isn't known, and the gateway can't be asked for it.
    #[error("The gateway's keys can't be had at the moment")]
    KeysAway,
}

impl Gateway {
    /// The gateway at this address, in front of the service of this name.
    pub fn new(address: &Url, service: &str) -> Result<Self, reqwest::Error> {
        Ok(Self {
            keys: Arc::new(Keys::new(address)?),
            service: service.into(),
            issuer: ISSUER.into(),
            clock: Arc::new(system_time),
        })
    }

    /// With another issuer than `micro`, as the platform's `tokens.issuer` says.
    #[must_use]
    pub fn issuer(mut self, issuer: &str) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// With another pause between two questions for keys than five seconds: however many tokens come
    /// with keys that nobody knows, the gateway isn't asked more often.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.keys = Arc::new(self.keys.with_pause(pause));
        self
    }

    /// By another clock than the system's, which tells seconds since the epoch.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Whom a token speaks of, if it holds.
    pub async fn verify(&self, token: &str) -> Result<ForwardedCaller, Error> {
        let parts = token::Parts::read(token)?;
        let key = self.keys.find(parts.kid()).await?;
        let claims = parts.verify(&key, &self.issuer, &self.service, (self.clock)())?;
        Ok(ForwardedCaller::new(claims, &self.service))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the time comes from; tests put another clock in its place"
)]
fn system_time() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
