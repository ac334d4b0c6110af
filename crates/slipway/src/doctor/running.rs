//! Whether the platform runs.

use std::net::TcpListener;

use url::Url;

use super::Finding;
use crate::api::{Api, ApiError};
use crate::cli::PlatformArgs;
use crate::lock;

const SUBJECT: &str = "platform";

/// Asks the gateway whether it and all behind it are ready.
pub(super) async fn check(platform: &PlatformArgs) -> Vec<Finding> {
    let url = platform.url.as_str().trim_end_matches('/');
    let api = match Api::new(platform.url.clone()) {
        Ok(api) => api,
        Err(error) => {
            return vec![Finding::wrong(
                SUBJECT,
                error.to_string(),
                "name the platform with --url",
            )];
        }
    };
    match api.status("/readyz").await {
        Ok(200) => vec![Finding::fine(
            SUBJECT,
            format!("{url} answers, and all six services are ready"),
        )],
        Ok(503) => vec![Finding::wrong(
            SUBJECT,
            format!("{url} answers, but not everything behind it is ready"),
            "look at what `slipway up` or the services write: each names what it waits for",
        )],
        Ok(status) => vec![Finding::wrong(
            SUBJECT,
            format!("what answers at {url} is no Slipway platform (status {status} for /readyz)"),
            "name the platform with --url, or start it on another port: slipway up --port N",
        )],
        Err(ApiError::Unreachable { why, .. }) => not_running(platform, &why),
        Err(error) => vec![Finding::wrong(
            SUBJECT,
            error.to_string(),
            "see whether something stands between here and there",
        )],
    }
}

fn not_running(platform: &PlatformArgs, why: &str) -> Vec<Finding> {
    let url = platform.url.as_str().trim_end_matches('/');
    if let Some(holder) = lock::holder(&platform.data_dir) {
        let finding = format!(
            "nothing answers at {url} ({why}), but process {} runs at {}",
            holder.pid, holder.url
        );
        return vec![Finding::wrong(
            SUBJECT,
            finding,
            format!("use that one: --url {}", holder.url),
        )];
    }
    let mut findings = vec![Finding::wrong(
        SUBJECT,
        format!("nothing answers at {url} ({why})"),
        "start it: slipway up",
    )];
    findings.extend(check_port(&platform.url));
    findings
}

/// Whether the port could be had, where it is this machine's.
fn check_port(url: &Url) -> Option<Finding> {
    let port = url
        .port_or_known_default()
        .filter(|_| url.host_str() == Some("localhost"))?;
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Some(Finding::fine("port", format!("{port} is free"))),
        Err(error) => {
            let finding = format!("{port} can't be listened on: {error}");
            Some(Finding::wrong(
                "port",
                finding,
                "end what holds it, or choose another: slipway up --port N",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[tokio::test]
    async fn a_platform_that_does_not_run_is_wrong_and_says_how_to_start_it() {
        let dir = tempfile::tempdir().unwrap();
        let platform = PlatformArgs {
            url: "http://127.0.0.1:1".parse().unwrap(),
            data_dir: dir.path().join("data"),
        };
        let findings = check(&platform).await;
        assert_eq!(findings[0].level, Level::Wrong);
        assert!(findings[0].advice.as_ref().unwrap().contains("slipway up"));
    }

    #[test]
    fn a_port_that_somebody_holds_is_told() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("http://localhost:{}", held.local_addr().unwrap().port())
            .parse()
            .unwrap();
        assert_eq!(check_port(&url).unwrap().level, Level::Wrong);
        assert_eq!(
            check_port(&"https://slipway.example".parse().unwrap()),
            None
        );
    }
}
