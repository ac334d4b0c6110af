use std::fs;
use std::path::Path;

use common::time::{Span, Time};
use rcgen::{CertificateParams, KeyPair};

use super::certificate::{Certificate, Unusable};
use super::files::Files;
use super::{Certificates, ending};
use crate::settings::GatewaySettings;

const NOW: i64 = 1_800_000_000;

fn now() -> Time {
    Time::from_unix(NOW)
}

/// A certificate and its key, which holds from some days after the test's time to some days after it.
fn pem(names: &[&str], from: i64, until: i64) -> (String, String) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let day = |days: i64| {
        let date = Time::from_unix(NOW + days * 86_400).to_chrono();
        let part = |text: &str| date.format(text).to_string().parse::<i32>().unwrap();
        let (month, day) = (
            part("%m").try_into().unwrap(),
            part("%d").try_into().unwrap(),
        );
        rcgen::date_time_ymd(part("%Y"), month, day)
    };
    (params.not_before, params.not_after) = (day(from), day(until));
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn put(folder: &Path, name: &str, (certificate, key): &(String, String)) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(format!("{name}.crt")), certificate).unwrap();
    fs::write(folder.join(format!("{name}.key")), key).unwrap();
}

fn parse((certificate, key): &(String, String)) -> Result<Certificate, Unusable> {
    Certificate::parse(certificate.as_bytes(), key.as_bytes(), now())
}

#[test]
fn a_certificate_that_cannot_be_used_says_why() {
    let (good, other) = (pem(&["a.example"], -1, 9), pem(&["a.example"], -1, 9));
    let why = |pair: (String, String)| parse(&pair).unwrap_err();
    assert_eq!(
        why(("nothing".into(), good.1.clone())),
        Unusable::NoCertificate
    );
    assert_eq!(why((good.0.clone(), "nothing".into())), Unusable::NoKey);
    assert_eq!(why((good.0.clone(), good.0.clone())), Unusable::NoKey);
    assert_eq!(why((good.0, other.1)), Unusable::Mismatch);
    assert_eq!(why(pem(&[], -1, 9)), Unusable::Nameless);
    assert!(matches!(
        why(pem(&["a.example"], -9, -1)),
        Unusable::Expired(_)
    ));
    assert!(matches!(why(pem(&["a.example"], 2, 9)), Unusable::Early(_)));
    let empty = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let (_, key) = pem(&["a.example"], -1, 9);
    assert_eq!(why((empty.into(), key)), Unusable::Malformed);
}

#[test]
fn the_name_chooses_the_certificate_and_the_longer_one_of_two() {
    let own = parse(&pem(&["Shop.Example"], -1, 9)).unwrap();
    let longer = parse(&pem(&["shop.example"], -1, 20)).unwrap();
    let all = parse(&pem(&["*.apps.example"], -1, 9)).unwrap();
    let certificates = Certificates::new(Some("Shop.example"));
    certificates.put_files(vec![all.clone(), longer.clone(), own]);
    let chosen = certificates.now();
    let found = |host: &str| chosen.find(host).map(|one| one.not_after);
    assert_eq!(found("shop.example"), Some(longer.not_after));
    assert_eq!(found("shop.example."), Some(longer.not_after));
    assert_eq!(found("a.apps.example"), Some(all.not_after));
    for host in [
        "apps.example",
        "a.b.apps.example",
        "example",
        "other.example",
        "",
    ] {
        assert_eq!(found(host), None, "{host}");
    }
    assert!(certificates.cover("a.apps.example") && !certificates.cover("apps.example"));
    let is_default = |one: &Certificate| {
        std::sync::Arc::ptr_eq(certificates.now().default.as_ref().unwrap(), &one.key)
    };
    assert!(is_default(&longer), "the platform's own");
    certificates.put_files(vec![all.clone()]);
    assert!(is_default(&all), "else the first");
    let got = |host: &str, one: &Certificate| (host.to_owned(), one.clone());
    certificates.put_made(vec![
        got("shop.example", &longer),
        got("a.apps.example", &longer),
    ]);
    assert!(certificates.cover("shop.example") && !certificates.in_files("shop.example"));
    assert!(
        is_default(&longer),
        "the platform's own, wherever it is from"
    );
    let chosen = certificates.now();
    assert_eq!(
        chosen.find("a.apps.example").map(|one| one.not_after),
        Some(all.not_after),
        "files come first"
    );
}

#[test]
fn a_start_with_a_certificate_that_cannot_be_used_names_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Files::open(vec![dir.path().to_owned()], now()).map(|_| ());
    let error = open().unwrap_err().to_string();
    assert!(error.contains("holds no certificate"), "{error}");
    put(&dir.path().join("old"), "tls", &pem(&["a.example"], -9, -1));
    let error = open().unwrap_err().to_string();
    assert!(
        error.contains("old/tls.crt") && error.contains("expired at"),
        "{error}"
    );
    fs::remove_file(dir.path().join("old/tls.key")).unwrap();
    let error = open().unwrap_err().to_string();
    assert!(error.contains("tls.key can't be read"), "{error}");
    let gone = Files::open(vec![dir.path().join("gone")], now()).map(|_| ());
    assert!(gone.unwrap_err().to_string().contains("gone can't be read"));
}

#[test]
fn what_changes_in_files_is_taken_over_and_what_is_broken_leaves_what_was() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "tls", &pem(&["one.example"], -1, 9));
    let mut files = Files::open(vec![dir.path().to_owned()], now()).unwrap();
    let names = |files: &Files| {
        let all = files.certificates();
        all.into_iter()
            .flat_map(|one| one.names)
            .collect::<Vec<_>>()
    };
    assert!(!files.refresh(now()), "nothing has changed");
    let next = pem(&["two.example"], -1, 9);
    fs::write(dir.path().join("tls.crt"), &next.0).unwrap();
    assert!(!files.refresh(now()), "its key isn't there yet");
    assert_eq!(names(&files), ["one.example"]);
    fs::write(dir.path().join("tls.key"), &next.1).unwrap();
    assert!(files.refresh(now()));
    assert_eq!(names(&files), ["two.example"]);
    // Another beside it, as certbot lays them, and a hidden folder, as Kubernetes has them.
    let third = pem(&["three.example"], -1, 9);
    let live = dir.path().join("three.example");
    fs::create_dir_all(&live).unwrap();
    fs::write(live.join("fullchain.pem"), &third.0).unwrap();
    fs::write(live.join("privkey.pem"), &third.1).unwrap();
    put(
        &dir.path().join("..2026"),
        "tls",
        &pem(&["hidden.example"], -1, 9),
    );
    assert!(files.refresh(now()));
    assert_eq!(names(&files), ["three.example", "two.example"]);
    fs::remove_dir_all(live).unwrap();
    assert!(files.refresh(now()));
    assert_eq!(names(&files), ["two.example"]);
    // All at once is rather a folder that isn't mounted.
    fs::remove_dir_all(dir.path()).unwrap();
    assert!(!files.refresh(now()));
    assert_eq!(names(&files), ["two.example"]);
}

#[test]
fn a_swap_of_links_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("..1"), dir.path().join("..2"));
    put(&first, "tls", &pem(&["one.example"], -1, 9));
    put(&second, "tls", &pem(&["two.example"], -1, 9));
    let link = |to: &Path| {
        let fresh = dir.path().join("..fresh");
        std::os::unix::fs::symlink(to, &fresh).unwrap();
        fs::rename(fresh, dir.path().join("..data")).unwrap();
    };
    link(&first);
    for file in ["tls.crt", "tls.key"] {
        std::os::unix::fs::symlink(Path::new("..data").join(file), dir.path().join(file)).unwrap();
    }
    let mut files = Files::open(vec![dir.path().to_owned()], now()).unwrap();
    link(&second);
    assert!(files.refresh(now()));
    assert_eq!(files.certificates()[0].names, ["two.example"]);
}

#[test]
fn what_ends_soon_is_told() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a", &pem(&["soon.example"], -1, 13));
    put(dir.path(), "b", &pem(&["late.example"], -1, 20));
    let mut settings = GatewaySettings::default();
    settings.tls.certificates.0 = vec![dir.path().to_string_lossy().into_owned()];
    let found = ending(&settings, Span::days(14), now()).unwrap();
    let soon: Vec<_> = found
        .iter()
        .map(|one| (one.names[0].as_str(), one.soon))
        .collect();
    assert_eq!(soon, [("soon.example", true), ("late.example", false)]);
}

#[test]
fn it_is_time_for_another_a_third_of_its_life_before_the_end() {
    let certificate = parse(&pem(&["a.example"], -30, 60)).unwrap();
    assert_eq!(
        certificate.renew_at(),
        certificate.not_after - Span::days(30)
    );
}
