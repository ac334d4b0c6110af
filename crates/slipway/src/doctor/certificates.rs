//! Whether the gateway's certificates can be used, and for how long.

use chassis::settings::Settings;
use common::time::{Span, Time};
use slipway_v1api::settings::GatewaySettings;
use slipway_v1api::tls::ending;

use super::Finding;

/// How long before its end a certificate should have been replaced.
const SOON: Span = Span::days(14);

/// Looks at the certificates in files; there is nothing to say where TLS isn't set.
pub(super) fn check(settings: &Settings, now: Time) -> Vec<Finding> {
    const SUBJECT: &str = "gateway.tls.certificates";
    // What can't be read of the settings has been told already.
    let Ok(gateway) = settings.section::<GatewaySettings>("gateway") else {
        return Vec::new();
    };
    if gateway.tls.listen.is_none() {
        return Vec::new();
    }
    let certificates = match ending(&gateway, SOON, now) {
        Ok(certificates) => certificates,
        Err(error) => {
            let advice = "replace it, or take it away; the platform doesn't start with it";
            return vec![Finding::wrong(SUBJECT, error, advice)];
        }
    };
    let of = |one: slipway_v1api::tls::Ending| {
        let finding = format!("{} until {}", one.names.join(", "), one.not_after);
        if one.soon {
            Finding::warning(
                SUBJECT,
                finding,
                "renew it: a running platform takes the new files over",
            )
        } else {
            Finding::fine(SUBJECT, finding)
        }
    };
    certificates.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use chassis::settings::Sources;

    use super::super::Level;
    use super::*;

    fn settings(folder: &std::path::Path) -> Settings {
        let overrides = BTreeMap::from([
            ("gateway.tls.listen".to_owned(), "127.0.0.1:0".to_owned()),
            (
                "gateway.tls.certificates".to_owned(),
                folder.to_string_lossy().into_owned(),
            ),
        ]);
        Settings::load(Sources {
            overrides,
            ..Sources::default()
        })
        .unwrap()
    }

    #[test]
    fn a_certificate_is_told_with_its_end_and_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2030, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, 4, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(
            dir.path().join("tls.crt"),
            params.self_signed(&key).unwrap().pem(),
        )
        .unwrap();
        fs::write(dir.path().join("tls.key"), key.serialize_pem()).unwrap();
        let at = |date: &str| {
            let now = format!("{date}T00:00:00Z").parse().unwrap();
            check(&settings(dir.path()), now).remove(0)
        };
        assert_eq!(at("2030-03-17").level, Level::Fine);
        let soon = at("2030-03-19");
        assert_eq!(soon.level, Level::Warning);
        assert!(
            soon.finding.contains("a.example until 2030-04-01"),
            "{soon:?}"
        );
        let over = at("2030-04-02");
        assert_eq!(over.level, Level::Wrong);
        assert!(
            over.finding.contains("tls.crt") && over.finding.contains("expired"),
            "{over:?}"
        );
    }
}
