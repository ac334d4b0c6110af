//! TLS at the gateway: which certificate a client is shown, and where certificates come from.

pub(crate) mod certificate;
mod check;
mod files;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
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
pub(crate) struct Certificates(Arc<Shared>);

#[derive(Default)]
struct Shared {
    chosen: RwLock<Arc<Chosen>>,
    sources: Mutex<Sources>,
}

/// Where certificates come from.
#[derive(Default)]
struct Sources {
    files: Vec<Certificate>,
    /// Those that were got, each with the host that it was got for.
    made: Vec<(String, Certificate)>,
    /// The platform's host.
    platform: Option<String>,
}

/// Certificates by what they are for.
#[derive(Default)]
struct Chosen {
    files: HashMap<String, Certificate>,
    made: HashMap<String, Certificate>,
    /// For clients that name no host, or one that there is no certificate for: what answers them then
    /// says so in HTTP.
    default: Option<Arc<CertifiedKey>>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let now = self.now();
        let hosts = now.files.keys().chain(now.made.keys());
        f.debug_list().entries(hosts).finish()
    }
}

impl Certificates {
    /// None yet, for a platform of this host.
    pub(crate) fn new(platform: Option<&str>) -> Self {
        let certificates = Self::default();
        certificates.change(|sources| sources.platform = platform.map(str::to_ascii_lowercase));
        certificates
    }

    fn now(&self) -> Arc<Chosen> {
        let chosen = self.0.chosen.read();
        Arc::clone(&chosen.unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a client that asks for this host, in lower case, is shown a certificate for it.
    pub(crate) fn cover(&self, host: &str) -> bool {
        self.now().find(host).is_some()
    }

    /// Whether the operator's files have a certificate for this host.
    pub(crate) fn in_files(&self, host: &str) -> bool {
        find(&self.now().files, host).is_some()
    }

    /// Takes the operator's certificates in the place of those before. Of two for one name the one that
    /// holds longer is shown.
    fn put_files(&self, files: Vec<Certificate>) {
        self.change(|sources| sources.files = files);
    }

    /// Takes those that were got in the place of those before, each for its host. Where the operator's
    /// files have one, that one is shown.
    pub(crate) fn put_made(&self, made: Vec<(String, Certificate)>) {
        self.change(|sources| sources.made = made);
    }

    fn change(&self, change: impl FnOnce(&mut Sources)) {
        // Held until what is chosen is there, so that of two changes the later one is.
        let mut sources = self
            .0
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut sources);
        let chosen = Arc::new(Chosen::of(&sources));
        *self
            .0
            .chosen
            .write()
            .unwrap_or_else(PoisonError::into_inner) = chosen;
    }
}

impl Chosen {
    fn of(sources: &Sources) -> Self {
        let mut files: HashMap<String, Certificate> = HashMap::new();
        for certificate in &sources.files {
            for name in &certificate.names {
                let holds_longer = files
                    .get(name)
                    .is_none_or(|other| other.not_after < certificate.not_after);
                if holds_longer {
                    files.insert(name.clone(), certificate.clone());
                }
            }
        }
        let mut chosen = Self {
            files,
            made: sources.made.iter().cloned().collect(),
            default: None,
        };
        // Without a host to choose by, the platform's, else the first of the operator's.
        let of_platform = sources
            .platform
            .as_deref()
            .and_then(|host| chosen.find(host));
        let default = of_platform.or(sources.files.first());
        chosen.default = default.map(|one| Arc::clone(&one.key));
        chosen
    }

    fn find(&self, host: &str) -> Option<&Certificate> {
        find(&self.files, host).or_else(|| self.made.get(host.strip_suffix('.').unwrap_or(host)))
    }
}

/// The one for a host: of its own name, or of all names beside it.
fn find<'a>(by_name: &'a HashMap<String, Certificate>, host: &str) -> Option<&'a Certificate> {
    let host = host.strip_suffix('.').unwrap_or(host);
    by_name.get(host).or_else(|| {
        let (_, domain) = host.split_once('.')?;
        by_name.get(&format!("*.{domain}"))
    })
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
    clock: Clock,
    period: Duration,
}

/// Reads the certificates and binds the listener; neither if TLS isn't wanted.
pub(crate) fn start(
    settings: &TlsSettings,
    platform: Option<&str>,
    clock: &Clock,
) -> Result<(Certificates, Option<Tls>, Option<Watcher>), TlsError> {
    let certificates = Certificates::new(platform);
    let Some(address) = &settings.listen else {
        return Ok((certificates, None, None));
    };
    let files = Files::open(settings.folders(), clock.now())?;
    let watcher = Watcher {
        files,
        certificates: certificates.clone(),
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
        self.certificates.put_files(self.files.certificates());
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
