//! The gateway's settings.
//!
//! | variable | meaning |
//! |---|---|
//! | `SLIPWAY_GATEWAY__PUBLIC_URL` | where people reach the platform |
//! | `SLIPWAY_GATEWAY__CONNECT_TIMEOUT` | how long to wait for a connection to an upstream |
//! | `SLIPWAY_GATEWAY__UPSTREAM_TIMEOUT` | how long to wait for the head of an upstream's answer |
//! | `SLIPWAY_GATEWAY__IDLE_TIMEOUT` | how long an unused connection to an upstream is kept |
//! | `SLIPWAY_GATEWAY__MAX_BODY` | the longest body that is passed on, in bytes |
//! | `SLIPWAY_GATEWAY__MAX_RESPONSE_HEADERS` | how many headers an upstream's answer may have |
//! | `SLIPWAY_GATEWAY__MAX_RESPONSE_HEAD` | the longest head of an upstream's answer, in bytes |
//! | `SLIPWAY_GATEWAY__FORWARD_KEY_ROTATION` | how old a key becomes with which upstreams are told who calls; 0 for as old as it likes |
//! | `SLIPWAY_GATEWAY__FORWARD_KEY_NOTICE` | for how long a new one is published before it signs |
//! | `SLIPWAY_GATEWAY__USAGE_DIR` | where the file is in which calls are counted, on a local disk; `usage` in the data directory unless set |
//! | `SLIPWAY_GATEWAY__ENDPOINTS_REFRESH` | how often services are asked for the OpenAPI document that names their endpoints; 0 for never |
//! | `SLIPWAY_GATEWAY__WAKE_TIMEOUT` | how long a request waits for an app that is woken |
//! | `SLIPWAY_GATEWAY__WAKE_WAITING` | how many requests wait for one app at a time; for all apps together ten times as many do |
//! | `SLIPWAY_GATEWAY__TLS__LISTEN` | where to listen for TLS |
//! | `SLIPWAY_GATEWAY__TLS__CERTIFICATES` | folders with certificates and their keys |
//! | `SLIPWAY_GATEWAY__TLS__RELOAD` | how often these are looked at for changes |
//! | `SLIPWAY_GATEWAY__TLS__REDIRECT` | whether requests in plain text are led to TLS |
//! | `SLIPWAY_GATEWAY__TLS__HSTS` | for how long browsers ask for the platform's host by TLS alone |
//! | `SLIPWAY_GATEWAY__TLS__HANDSHAKE_TIMEOUT` | how long a client may take for the handshake |
//! | `SLIPWAY_GATEWAY__ACME__DIRECTORY` | the directory of a maker of certificates (RFC 8555) |
//! | `SLIPWAY_GATEWAY__ACME__CONTACT` | where the maker reaches the operator by mail |
//! | `SLIPWAY_GATEWAY__ACME__AGREE_TO_TERMS` | whether the operator agrees to the maker's terms |
//! | `SLIPWAY_GATEWAY__ACME__PLATFORM` | whether a certificate for the platform's own host is got as well |
//! | `SLIPWAY_GATEWAY__ACME__AUTHORITY` | the private authority that the directory's own certificate is from |
//! | `SLIPWAY_GATEWAY__ACME__RETRY` | how long to wait after an order that failed |
//! | `SLIPWAY_GATEWAY__ACME__LOOK` | how often is looked for what there is to order or has been got |
//! | `SLIPWAY_APPS__DOMAIN` | the domain whose direct subdomains are apps |
//! | `SLIPWAY_CORS__ORIGINS` | origins whose pages may call the platform |

use std::path::{Path, PathBuf};

use chassis::settings::{Duration, List, Section};
use common::time::Span;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::acme::AcmeSettings;
use crate::edge::forward::Rotation;
use crate::proxy::MOST_HEADERS;
use crate::sleep::Hold;
use crate::tls::TlsSettings;

/// The longest head of an answer that can be allowed, in bytes: it is held in memory as a whole.
const LONGEST_HEAD: usize = 1024 * 1024;

/// `[gateway]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewaySettings {
    /// Where people reach the platform: scheme, host and port.
    pub public_url: Url,
    /// How long to wait for a connection to an upstream.
    pub connect_timeout: Duration,
    /// How long to wait, after the last byte of a request, for the head of an upstream's answer.
    pub upstream_timeout: Duration,
    /// How long an unused connection to an upstream is kept: less than servers usually keep them.
    pub idle_timeout: Duration,
    /// How many unused connections each worker keeps for one upstream.
    pub idle_connections: usize,
    /// The longest body that is passed on, in bytes.
    pub max_body: u64,
    /// How many headers an upstream's answer may have: 512 at most.
    pub max_response_headers: usize,
    /// The longest head of an upstream's answer, in bytes.
    pub max_response_head: usize,
    /// How old a key becomes with which upstreams are told who calls, before there is a new one; zero
    /// for as old as it likes.
    pub forward_key_rotation: Duration,
    /// For how long such a key is published before it signs: longer than anybody keeps a copy of the
    /// published ones, which may be five minutes. The same for all replicas.
    pub forward_key_notice: Duration,
    /// Where the file is in which calls are counted before the database has them: on a local disk that
    /// outlives the process. `usage` in the data directory unless set.
    pub usage_dir: Option<PathBuf>,
    /// How often services are asked for `/openapi.json`, by whose templates their calls are counted;
    /// zero for never.
    pub endpoints_refresh: Duration,
    /// How long a request waits for an app that is woken.
    pub wake_timeout: Duration,
    /// How many requests wait for one app at a time; for all apps together ten times as many do.
    pub wake_waiting: usize,
    /// TLS at the gateway itself.
    pub tls: TlsSettings,
    /// Certificates from a maker of certificates.
    pub acme: AcmeSettings,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the text is a constant, and a test reads it"
        )]
        let public_url = Url::parse("http://localhost:8080").expect("a URL");
        Self {
            public_url,
            connect_timeout: Duration::secs(3),
            upstream_timeout: Duration::secs(60),
            idle_timeout: Duration::secs(4),
            idle_connections: 64,
            max_body: 2 * 1024 * 1024 * 1024,
            max_response_headers: 128,
            max_response_head: 64 * 1024,
            forward_key_rotation: Duration::secs(30 * 24 * 3600),
            forward_key_notice: Duration::secs(600),
            usage_dir: None,
            endpoints_refresh: Duration::secs(600),
            wake_timeout: Duration::secs(60),
            wake_waiting: 100,
            tls: TlsSettings::default(),
            acme: AcmeSettings::default(),
        }
    }
}

impl GatewaySettings {
    /// When there are new keys for upstreams.
    pub(crate) fn rotation(&self) -> Rotation {
        let seconds = |duration: Duration| Span::seconds(duration.as_secs());
        let every = seconds(self.forward_key_rotation);
        Rotation {
            every: (!every.is_zero()).then_some(every),
            notice: seconds(self.forward_key_notice),
        }
    }

    /// How requests wait for apps that are woken.
    pub(crate) fn hold(&self) -> Hold {
        Hold {
            longest: self.wake_timeout.0,
            per_app: self.wake_waiting,
            together: self.wake_waiting.saturating_mul(10),
        }
    }

    /// Where the file is in which calls are counted.
    pub(crate) fn usage_dir(&self, data_dir: &Path) -> PathBuf {
        let set = self.usage_dir.clone();
        set.unwrap_or_else(|| data_dir.join("usage"))
    }
}

impl Section for GatewaySettings {
    fn validate(&self) -> Result<(), String> {
        if !matches!(self.public_url.scheme(), "http" | "https")
            || self.public_url.host_str().is_none()
        {
            return Err("`public_url` must be http:// or https:// and a host".into());
        }
        let (every, notice) = (self.forward_key_rotation.0, self.forward_key_notice.0);
        if !every.is_zero() && every <= 2 * notice {
            return Err(
                "`forward_key_rotation` must be 0, or more than twice `forward_key_notice`".into(),
            );
        }
        if self.wake_waiting == 0 || self.wake_timeout.0.is_zero() {
            return Err("`wake_waiting` and `wake_timeout` must be more than 0".into());
        }
        if !(1..=MOST_HEADERS).contains(&self.max_response_headers) {
            return Err(format!(
                "`max_response_headers` must be 1 to {MOST_HEADERS}"
            ));
        }
        if !(256..=LONGEST_HEAD).contains(&self.max_response_head) {
            return Err(format!(
                "`max_response_head` must be 256 to {LONGEST_HEAD} bytes"
            ));
        }
        let are_got = self.acme.directory.is_some();
        self.tls.validate(self.public_url.scheme(), are_got)?;
        if are_got && self.tls.listen.is_none() {
            return Err("`acme.directory` needs `tls.listen`".into());
        }
        self.acme.validate(self.public_url.host())
    }
}

/// `[cors]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsSettings {
    /// Origins (scheme, host and port) whose pages may call the platform with credentials.
    pub origins: List,
}

impl Section for CorsSettings {
    fn validate(&self) -> Result<(), String> {
        for origin in &self.origins.0 {
            let url =
                Url::parse(origin).map_err(|error| format!("`origins`: `{origin}`: {error}"))?;
            if url.origin().ascii_serialization() != *origin {
                return Err(format!(
                    "`origins`: `{origin}` is not an origin: scheme, host and port alone"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold() {
        GatewaySettings::default().validate().unwrap();
    }

    #[test]
    fn tls_that_cannot_be_is_said() {
        let check = |change: fn(&mut GatewaySettings)| {
            let mut settings = GatewaySettings {
                public_url: Url::parse("https://slipway.example").unwrap(),
                ..GatewaySettings::default()
            };
            settings.tls.listen = Some("127.0.0.1:0".into());
            settings.tls.certificates = List(vec!["folder".into()]);
            change(&mut settings);
            settings.validate()
        };
        check(|_| {}).unwrap();
        check(|settings| settings.tls.redirect = true).unwrap();
        for (change, what) in [
            (
                (|settings| settings.tls.listen = None) as fn(&mut GatewaySettings),
                "`tls.listen`",
            ),
            (
                |settings| settings.tls.certificates = List::default(),
                "`tls.certificates`",
            ),
            (
                |settings| settings.tls.reload = Duration::secs(0),
                "`tls.reload`",
            ),
            (
                |settings| {
                    settings.tls.redirect = true;
                    settings.public_url = Url::parse("http://slipway.example").unwrap();
                },
                "`public_url`",
            ),
            (
                |settings| {
                    settings.tls = TlsSettings::default();
                    settings.acme.directory = Url::parse("https://maker.example").ok();
                },
                "`acme.directory` needs `tls.listen`",
            ),
        ] {
            let error = check(change).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn an_origin_is_no_address_and_no_pattern() {
        let check = |origin: &str| {
            CorsSettings {
                origins: List(vec![origin.into()]),
            }
            .validate()
        };
        assert!(check("https://shop.example").is_ok());
        for wrong in [
            "https://shop.example/",
            "https://shop.example/x",
            "*",
            "null",
            "shop.example",
            "https://shop.example:443",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
