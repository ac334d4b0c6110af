//! A session that has ended is over for all services within a second, and stays so.

use std::time::{Duration, Instant};

use common::session::SessionCookie;
use reqwest::{Client, RequestBuilder};
use testkit::on_both_backends;

use super::sdk::{Mode, Sdk};
use super::{PAGE, credentials, person, start};
use crate::harness::{Up, client};

/// A route of each service that people call, and the gateway's own.
const ROUTES: [&str; 4] = [
    "/v1/users/me",
    "/v1/accounts/acc_01h455vb4pex5vsknk084sn02q/projects",
    "/v1/accounts/acc_01h455vb4pex5vsknk084sn02q/github/repositories",
    "/v1/api-keys",
];
const SOON: Duration = Duration::from_secs(1);

/// What is answered to a cookie at each route.
async fn statuses(client: &Client, url: &str, cookie: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    for path in ROUTES {
        statuses.push(status(by_cookie(client, url, path, cookie)).await);
    }
    statuses
}

fn by_cookie(client: &Client, url: &str, path: &str, cookie: &str) -> RequestBuilder {
    let request = client.get(format!("{url}{path}"));
    request.header("cookie", format!("connect.sid={cookie}"))
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

/// Asks until nothing is served any more, and tells when the last one was asked that was.
async fn last_served(requests: &[RequestBuilder]) -> Duration {
    let (since, mut last) = (Instant::now(), Duration::ZERO);
    loop {
        let mut served = false;
        for request in requests {
            let asked = since.elapsed();
            if status(request.try_clone().unwrap()).await != 401 {
                (served, last) = (true, asked);
            }
        }
        if !served {
            return last;
        }
        assert!(last < Duration::from_secs(20), "it goes on and on");
    }
}

async fn signed_in(url: &str) -> Sdk {
    let (mut sdk, email) = person(url, Mode::Session).await;
    sdk.login("euser", "emailpass", &credentials(&email))
        .await
        .unwrap();
    sdk
}

on_both_backends! {
    async fn an_ended_session_is_refused_by_every_service_within_a_second(backend: Backend) {
        let up = start(&backend).await;
        let mut sdk = signed_in(&up.url).await;
        let lasting = signed_in(&up.url).await;
        let client = client();
        let cookie = sdk.cookie.clone().unwrap();
        assert!(!statuses(&client, &up.url, &cookie).await.contains(&401));
        // A token of an hour that came out of the session is at every service's own door.
        let answer = sdk.fetch("POST", "/auth/token/refresh", None, None).await.unwrap();
        let token = answer["token"].as_str().unwrap();
        let mut requests = Vec::new();
        for (service, path) in ["account", "project", "github", "v1api"].iter().zip(ROUTES) {
            let api = &up.platform.directory().get(service).unwrap().api;
            let by_token = client.get(format!("{api}{path}")).bearer_auth(token);
            assert_ne!(status(by_token.try_clone().unwrap()).await, 401);
            requests.extend([by_token, by_cookie(&client, &up.url, path, &cookie)]);
        }
        sdk.logout().await.unwrap();
        let last = last_served(&requests).await;
        assert!(last < SOON, "{last:?}");
        assert!(!statuses(&client, &up.url, &lasting.cookie.unwrap()).await.contains(&401));
        up.platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_last_over_a_restart_and_no_cookie_is_written_anywhere() {
    let variables = [
        ("SLIPWAY_CORS__ORIGINS", PAGE),
        ("SLIPWAY_LOG__LEVEL", "debug"),
    ];
    let client = client();
    let mut up = Up::start_with(&variables).await;
    let mut ends = signed_in(&up.url).await;
    let lasting = signed_in(&up.url).await;
    let (ended, lasts) = (
        ends.cookie.clone().unwrap(),
        lasting.cookie.clone().unwrap(),
    );
    for cookie in [&ended, &lasts] {
        assert!(!statuses(&client, &up.url, cookie).await.contains(&401));
    }
    ends.logout().await.unwrap();
    up.kill().await;
    up.restart().await;
    assert_eq!(statuses(&client, &up.url, &ended).await, [401; 4]);
    assert!(!statuses(&client, &up.url, &lasts).await.contains(&401));
    up.stop().await;

    let digest = |cookie: &str| SessionCookie::given(cookie).unwrap().digest();
    let log = up.log();
    for (cookie, digest) in [(&ended, digest(&ended)), (&lasts, digest(&lasts))] {
        assert!(
            !log.contains(cookie.as_str()) && !log.contains(&digest),
            "in the log"
        );
        for file in files(&up.data_dir) {
            let bytes = std::fs::read(&file).unwrap();
            let found = bytes
                .windows(cookie.len())
                .any(|window| window == cookie.as_bytes());
            assert!(!found, "in {}", file.display());
        }
    }
}

fn files(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}
