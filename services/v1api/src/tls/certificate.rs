//! A certificate with its key: whose it is, how long it holds, and whether both belong together.

use std::sync::Arc;

use common::time::{Span, Time};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Why a certificate can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// There is none.
    #[error("it holds no certificate in PEM")]
    NoCertificate,
    /// There is no key.
    #[error("its key's file holds no private key in PEM")]
    NoKey,
    /// It can't be read.
    #[error("its first certificate is no X.509 certificate")]
    Malformed,
    /// It is for nobody: names in the subject alone count for no client (RFC 9525).
    #[error("its certificate names no host")]
    Nameless,
    /// The key is another one's.
    #[error("its key does not belong to its certificate")]
    Mismatch,
    /// The key is of a kind that isn't known.
    #[error("its key is none that can be used: {0}")]
    Key(String),
    /// It holds no more.
    #[error("its certificate expired at {0}")]
    Expired(Time),
    /// It doesn't hold yet.
    #[error("its certificate doesn't hold before {0}")]
    Early(Time),
}

/// A certificate that can be shown to clients.
#[derive(Clone)]
pub(crate) struct Certificate {
    /// What a handshake needs.
    pub(crate) key: Arc<CertifiedKey>,
    /// The hosts that it is for, in lower case; `*.` stands for one label.
    pub(crate) names: Vec<String>,
    /// From when it holds.
    pub(crate) not_before: Time,
    /// Until when it holds.
    pub(crate) not_after: Time,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({:?})", self.names)
    }
}

impl Certificate {
    /// Reads a chain, the host's own certificate first, and its key.
    pub(crate) fn parse(chain: &[u8], key: &[u8], now: Time) -> Result<Self, Unusable> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_why| Unusable::NoCertificate)?;
        let own = chain.first().ok_or(Unusable::NoCertificate)?;
        let (names, not_before, not_after) = facts(own)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_why| Unusable::NoKey)?;
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider());
        let key = key.map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Unusable::Mismatch,
            other => Unusable::Key(other.to_string()),
        })?;
        if names.is_empty() {
            Err(Unusable::Nameless)
        } else if not_after <= now {
            Err(Unusable::Expired(not_after))
        } else if not_before > now {
            Err(Unusable::Early(not_before))
        } else {
            Ok(Self {
                key: Arc::new(key),
                names,
                not_before,
                not_after,
            })
        }
    }

    /// When it is time for another: a third of its life before its end, as the certificates' makers ask for.
    pub(crate) fn renew_at(&self) -> Time {
        let life = self.not_after - self.not_before;
        self.not_after - life / 3
    }

    /// Whether it ends within this span.
    pub(crate) fn ends_within(&self, span: Span, now: Time) -> bool {
        self.not_after - now <= span
    }
}

fn facts(der: &CertificateDer<'_>) -> Result<(Vec<String>, Time, Time), Unusable> {
    let malformed = |_| Unusable::Malformed;
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_why| Unusable::Malformed)?;
    let names = certificate
        .subject_alternative_name()
        .map_err(malformed)?
        .map(|extension| extension.value.general_names.as_slice())
        .unwrap_or_default()
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect();
    let validity = certificate.validity();
    Ok((
        names,
        Time::from_unix(validity.not_before.timestamp()),
        Time::from_unix(validity.not_after.timestamp()),
    ))
}

fn address(bytes: &[u8]) -> Option<String> {
    let ip = <[u8; 4]>::try_from(bytes)
        .map(std::net::IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
    ip.ok().map(|ip| ip.to_string())
}
