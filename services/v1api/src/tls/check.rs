//! What an operator should know of the certificates in files.

use common::time::{Span, Time};

use super::certificate::Certificate;
use super::files::Files;
use crate::settings::GatewaySettings;

/// A certificate, seen from its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The hosts that it is for.
    pub names: Vec<String>,
    /// When it ends.
    pub not_after: Time,
    /// Whether that is within the given span.
    pub soon: bool,
}

/// The certificates in files, and which of them end within `span`.
///
/// # Errors
/// What is wrong with one, naming its file.
pub fn ending(settings: &GatewaySettings, span: Span, now: Time) -> Result<Vec<Ending>, String> {
    let files = Files::open(settings.tls.folders(), now).map_err(|error| error.to_string())?;
    let of = |certificate: Certificate| Ending {
        soon: certificate.ends_within(span, now),
        not_after: certificate.not_after,
        names: certificate.names,
    };
    Ok(files.certificates().into_iter().map(of).collect())
}
