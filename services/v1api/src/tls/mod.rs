//! TLS at the gateway: which certificate a client is shown, and where certificates come from.

pub(crate) mod certificate;
mod check;
mod files;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chassis::http::Tls;
use common::time::Clock;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use certificate::Certificate;
pub use check::{Ending, ending};
use files::{FileError, Files};
pub use settings::TlsSettings;

/// Why there is no listener for TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A certificate's file.
    #[error("in section [gateway]: `tls.certificates`: {0}")]
    File(#[from] FileError),
    /// The socket.
    #[error("in section [gateway]: `tls.listen`")]
    Listen(#[from] std::io::Error),
}

/// The certificates of this moment; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Certificates(Arc<RwLock<Arc<Chosen>>>);

/// Certificates by what they are for.
#[derive(Default)]
struct Chosen {
    by_name: HashMap<String, Certificate>,
    /// For clients that name no host, or one that there is no certificate for: what answers them then
    /// says so in HTTP.
    default: Option<Arc<CertifiedKey>>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.now().by_name.keys()).finish()
    }
}

impl Certificates {
    fn now(&self) -> Arc<Chosen> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a client that asks for this host, in lower case, is shown a certificate for it.
    pub(crate) fn cover(&self, host: &str) -> bool {
        self.now().find(host).is_some()
    }

    /// Takes these in the place of those before. Of two for one name the one that holds longer is shown;
    /// without a host to choose by, the platform's, else the first.
    fn replace(&self, certificates: Vec<Certificate>, platform: Option<&str>) {
        let first = certificates.first().map(|one| Arc::clone(&one.key));
        let mut chosen = Chosen::default();
        for certificate in certificates {
            for name in &certificate.names {
                let holds_longer = chosen
                    .by_name
                    .get(name)
                    .is_none_or(|other| other.not_after < certificate.not_after);
                if holds_longer {
                    chosen.by_name.insert(name.clone(), certificate.clone());
                }
            }
        }
        let of_platform = platform.and_then(|host| chosen.find(host));
        chosen.default = of_platform.map(|one| Arc::clone(&one.key)).or(first);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(chosen);
    }
}

impl Chosen {
    /// The one for a host: of its own name, or of all names beside it.
    fn find(&self, host: &str) -> Option<&Certificate> {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.by_name.get(host).or_else(|| {
            let (_, domain) = host.split_once('.')?;
            self.by_name.get(&format!("*.{domain}"))
        })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.now();
        // RFC 6066 has names in lower case compared without regard to it; rustls hands them over in lower case.
        let own = hello.server_name().and_then(|name| chosen.find(name));
        own.map(|one| Arc::clone(&one.key))
            .or_else(|| chosen.default.clone())
    }
}

/// Keeps certificates equal to their files.
pub(crate) struct Watcher {
    files: Files,
    certificates: Certificates,
    platform: Option<String>,
    clock: Clock,
    period: Duration,
}

/// Reads the certificates and binds the listener; neither if TLS isn't wanted.
pub(crate) fn start(
    settings: &TlsSettings,
    platform: Option<&str>,
    clock: &Clock,
) -> Result<(Certificates, Option<Tls>, Option<Watcher>), TlsError> {
    let certificates = Certificates::default();
    let Some(address) = &settings.listen else {
        return Ok((certificates, None, None));
    };
    let files = Files::open(settings.folders(), clock.now())?;
    let watcher = Watcher {
        files,
        certificates: certificates.clone(),
        platform: platform.map(str::to_ascii_lowercase),
        clock: clock.clone(),
        period: settings.reload.0,
    };
    watcher.publish();
    let resolver = Arc::new(certificates.clone());
    let tls = Tls::bind(address, resolver, settings.handshake_timeout.0)?;
    Ok((certificates, Some(tls), Some(watcher)))
}

impl Watcher {
    fn publish(&self) {
        let certificates = self.files.certificates();
        self.certificates
            .replace(certificates, self.platform.as_deref());
    }

    /// Looks again and again until the service stops. A look is a few small reads, and needs nothing of the
    /// file system but that: what is swapped by links, mounted or far away is seen like the rest.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(self.period) => {}
            }
            let looked = tokio::task::spawn_blocking(move || {
                let now = self.clock.now();
                if self.files.refresh(now) {
                    self.publish();
                }
                self
            });
            match looked.await {
                Ok(watcher) => self = watcher,
                Err(error) => {
                    tracing::error!(error = %error, "certificates are looked at no more");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
