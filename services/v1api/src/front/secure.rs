//! From plain text to TLS.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::{Counted, Outcome, authority};
use crate::hosts::host_name;
use crate::settings::GatewaySettings;
use crate::tls::Certificates;

/// Who is led to TLS, and who is told to stay there.
#[derive(Clone, Debug)]
pub(crate) struct Secure {
    redirect: bool,
    /// What stands behind a host in a URL to TLS: nothing, or `:` and the port.
    port: String,
    stays: Option<HeaderValue>,
    certificates: Certificates,
}

impl Secure {
    /// As the settings say, for the hosts of these certificates.
    pub(crate) fn new(settings: &GatewaySettings, certificates: Certificates) -> Self {
        let port = settings.public_url.port();
        let stays = settings.tls.hsts.and_then(|hsts| {
            let value = format!("max-age={}", hsts.as_secs());
            HeaderValue::try_from(value).ok()
        });
        Self {
            redirect: settings.tls.redirect,
            port: port.map(|port| format!(":{port}")).unwrap_or_default(),
            stays,
            certificates,
        }
    }

    /// Where a request in plain text finds the same by TLS. Nowhere if its host has no certificate: it
    /// would be led to an error.
    pub(super) fn elsewhere(&self, scheme: &str, request: &HttpRequest) -> Option<String> {
        if !self.redirect || scheme == "https" {
            return None;
        }
        let host = host_name(authority(request)?).ok()?;
        let target = request.uri().path_and_query()?.as_str();
        self.certificates
            .cover(&host)
            .then(|| format!("https://{host}{}{target}", self.port))
    }

    /// What a browser is told that has come by TLS (RFC 6797, section 7.2).
    pub(super) fn stays(&self, scheme: &str) -> Option<HeaderValue> {
        self.stays.clone().filter(|_| scheme == "https")
    }
}

/// Leads a request elsewhere for good, with its method and body (RFC 9110, section 15.4.9).
pub(super) fn led(url: &str) -> Outcome {
    let mut response = HttpResponse::new(StatusCode::PERMANENT_REDIRECT);
    if let Ok(url) = HeaderValue::from_str(url) {
        response.headers_mut().insert(header::LOCATION, url);
    }
    Outcome {
        response: Ok(response),
        counted: Counted::default(),
    }
}
