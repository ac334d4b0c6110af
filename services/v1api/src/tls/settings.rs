//! `[gateway.tls]`

use std::path::PathBuf;

use chassis::settings::{Duration, List};
use serde::{Deserialize, Serialize};

/// `[gateway.tls]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// Where to listen for TLS, as `host:port`; nowhere unless set.
    pub listen: Option<String>,
    /// Folders with certificates and their keys.
    pub certificates: List,
    /// How often the files are looked at for changes.
    pub reload: Duration,
    /// Whether requests in plain text are led to where TLS is, if there is a certificate for their host.
    pub redirect: bool,
    /// For how long browsers are to ask for the platform's host by TLS alone (RFC 6797); not told unless set.
    pub hsts: Option<Duration>,
    /// How long a client may take for the handshake.
    pub handshake_timeout: Duration,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            listen: None,
            certificates: List::default(),
            reload: Duration::secs(10),
            redirect: false,
            hsts: None,
            handshake_timeout: Duration::secs(10),
        }
    }
}

impl TlsSettings {
    /// What can't be, seen from the scheme of the platform's public URL, and from whether certificates are got
    /// elsewhere.
    pub(crate) fn validate(&self, scheme: &str, are_got: bool) -> Result<(), String> {
        if self.listen.is_none() {
            return match (&self.certificates.0.is_empty(), self.redirect) {
                (false, _) => Err("`tls.certificates` needs `tls.listen`".into()),
                (true, true) => Err("`tls.redirect` needs `tls.listen`".into()),
                (true, false) => Ok(()),
            };
        }
        if self.certificates.0.is_empty() && !are_got {
            return Err("`tls.listen` needs `tls.certificates` or `acme.directory`".into());
        }
        if self.redirect && scheme != "https" {
            return Err("`tls.redirect` needs a `public_url` of https://".into());
        }
        if self.reload.0.is_zero() || self.handshake_timeout.0.is_zero() {
            return Err(
                "`tls.reload` and `tls.handshake_timeout` must be more than nothing".into(),
            );
        }
        Ok(())
    }

    /// The folders with certificates.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        self.certificates.0.iter().map(PathBuf::from).collect()
    }
}
