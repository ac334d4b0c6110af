//! What an app and its build reach of the platform that runs them.

use super::canary::{Canary, must_not_show};
use super::prober::{self, Probe, Targets, listening};
use crate::harness::{Up, text};

/// What any process of the machine may ask for: whether a service is well, how it counts, which
/// routes it has, and public keys.
const OPEN: [&str; 15] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/internal/routes",
    "/internal/openapi.json",
    "/internal/jwks",
    "/.well-known/jwks.json",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/forward-jwks.json",
    "/auth/actor/providers",
    "/auth/reset",
    "/auth/verify",
    "/oauth/device",
    "/github/installed",
];

/// Where the credentials are in the body, so that one without them is no request at all.
const SIGN_IN: [&str; 16] = [
    "/internal/service-tokens",
    "/auth/actor/provider",
    "/auth/actor/provider/register",
    "/auth/actor/provider/reset-password",
    "/auth/verification/confirm",
    "/auth/actor/github",
    "/auth/actor/github/register",
    "/auth/actor/github/callback",
    "/login-request",
    "/complete",
    "/api/users/signup",
    "/api/users/login",
    "/oauth/revoke",
    "/oauth/token",
    "/oauth/device",
    "/oauth/device_authorization",
];

/// Pages for people, which say that there is nothing to see by a reference that nobody was given.
const PAGES: [&str; 3] = [
    "/login-request/reference",
    "/auth-redirect",
    "/auth-redirect/reference",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_and_its_build_find_no_secret_of_the_platform() {
    if !rustix::process::geteuid().is_root() {
        // Without root it can't be kept; that this is said is shown below.
        return;
    }
    let password = Canary::new("the admin's password");
    let setting = Canary::plain("a secret setting", 40);
    let up = Up::start_with(&[
        ("SLIPWAY_ADMIN_EMAIL", "ada@example.com"),
        ("SLIPWAY_ADMIN_PASSWORD", &password.value),
        ("SLIPWAY_SERVICES__GITHUB__SECRET", &setting.value),
    ])
    .await;
    let master = std::fs::read_to_string(up.data_dir.join("master.key")).unwrap();
    let master = Canary::found("the master key", master.trim());
    assert_eq!(listening(up.pid()).len(), 12, "two for each service");

    let probes = prober::deploy(&up, &Targets::of(&up).await).await;
    let mut requests = 0;
    for probe in &probes {
        must_not_show(
            &[password.clone(), setting.clone(), master.clone()],
            "a probe",
            &probe.got,
        );
        match probe.what.as_str() {
            "file" | "directory" | "trace" | "signal" => {
                assert!(probe.got.starts_with("refused: "), "{probe:?}");
            }
            "request" | "forged" => requests += 1,
            "environment" => {
                let names = probe
                    .got
                    .split(' ')
                    .filter(|name| name.starts_with("SLIPWAY_"));
                let marks: Vec<_> = names.collect();
                assert_eq!(marks, ["SLIPWAY_INSTANCE", "SLIPWAY_NODE"], "{probe:?}");
            }
            _ => {}
        }
    }
    assert!(answered(&probes).is_empty(), "{:#?}", answered(&probes));
    assert!(requests > 4 * 100, "{requests} requests are not all routes");
    assert!(!up.log().contains("panicked"), "{}", up.log());
}

/// The requests that weren't refused: with 401 or 404 and a problem document, unless they are open to all.
fn answered(probes: &[Probe]) -> Vec<&Probe> {
    let requests = probes
        .iter()
        .filter(|probe| matches!(probe.what.as_str(), "request" | "forged"));
    requests.filter(|probe| !is_refused(probe)).collect()
}

fn is_refused(probe: &Probe) -> bool {
    let answer = probe
        .got
        .strip_prefix("open: ")
        .and_then(|got| got.split_once(' '));
    let (status, body) = answer.unwrap_or_else(|| panic!("{probe:?}"));
    let path = format!("/{}", probe.place.splitn(4, '/').nth(3).unwrap());
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    match status {
        "200" => OPEN.contains(&path.as_str()),
        // git shows its person the text.
        "401" if path.starts_with("/git/") => body.contains("Give a token of the platform"),
        "400" | "404" if PAGES.contains(&path.as_str()) && body.starts_with("<!doctype html>") => {
            true
        }
        "415" if PAGES.contains(&path.as_str()) => problem["code"].is_string(),
        "501" => problem["code"] == "github_not_configured",
        "400" | "415" | "422" if SIGN_IN.contains(&path.as_str()) => problem["code"].is_string(),
        "401" | "404" => problem["code"].is_string(),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_ordinary_user_can_not_keep_from_apps_is_said() {
    let up = Up::start_as_ordinary_user().await;
    // Where the kernel has Landlock, it is as good as a user of their own.
    let kept = up
        .log()
        .contains("The kernel keeps them from each other's files");
    let warning = if kept {
        "apps and builds run as the same user"
    } else {
        "can read what Slipway can, its data directory and its environment included"
    };
    assert!(up.log().contains(warning), "{}", up.log());
    let doctor = up.run(&["doctor"]).await;
    let said = text(&doctor.stdout) + &text(&doctor.stderr);
    assert!(
        said.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .contains(warning),
        "{said}"
    );

    // And so it is.
    let probes = prober::deploy(&up, &Targets::of(&up).await).await;
    let key = up.data_dir.join("master.key");
    let read = probes
        .iter()
        .filter(|probe| probe.place == key.to_str().unwrap());
    assert_eq!(
        read.filter(|probe| probe.got.starts_with("open: ")).count(),
        if kept { 0 } else { 3 }
    );
    assert!(answered(&probes).is_empty(), "{:#?}", answered(&probes));
}
