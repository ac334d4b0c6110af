//! From a directory to a live app.

use serde_json::Value;

use crate::harness::{Up, example, json_lines, text};

#[tokio::test]
async fn a_static_site_becomes_live_and_stays_so_over_a_restart() {
    let mut up = Up::start().await;
    let events = json_lines(
        &up.result(&["deploy", &example("static-site"), "--json"])
            .await,
    );
    let live = events.last().unwrap();
    assert_eq!(live["event"], "live", "{live}");
    let url = live["url"].as_str().unwrap();
    assert!(
        url.starts_with("http://static-site-production.localhost:"),
        "{url}"
    );
    assert!(
        events.iter().any(|event| event["event"] == "log"),
        "the build's log is streamed"
    );

    let page = std::fs::read_to_string(example("static-site/index.html")).unwrap();
    assert_eq!(up.call_app(url, "/").await, (200, page.clone()));
    assert_eq!(up.call_app(url, "/no-such-page").await.0, 404);

    let apps: Value = serde_json::from_str(&up.result(&["apps", "--json"]).await).unwrap();
    assert_eq!(
        (&apps[0]["app"], &apps[0]["status"]),
        (&"static-site".into(), &"live".into()),
        "{apps}"
    );
    assert_eq!(up.result(&["open", "static-site"]).await.trim(), url);

    let status = up.stop().await;
    assert!(status.success(), "{status}");
    up.restart().await;
    let (status, body) = testkit::eventually_async("the app answers again", || async {
        let answer = up.call_app(url_on(&up.url, url).as_str(), "/").await;
        (answer.0 == 200).then_some(answer)
    })
    .await;
    assert_eq!((status, body), (200, page));
}

/// The app's address on a platform that has another port now.
fn url_on(platform: &str, app: &str) -> String {
    let port = platform.rsplit(':').next().unwrap();
    let host = app.rsplit_once(':').unwrap().0;
    format!("{host}:{port}/")
}

#[tokio::test]
async fn deploying_again_uses_the_same_app_and_switches_to_what_is_new() {
    let up = Up::start().await;
    let site = tempfile::tempdir().unwrap();
    let mut urls = Vec::new();
    for text in ["first", "second"] {
        std::fs::write(site.path().join("index.html"), text).unwrap();
        let path = site.path().to_str().unwrap();
        let url = up.result(&["deploy", path, "--name", "site"]).await;
        assert_eq!(up.call_app(url.trim(), "/").await, (200, text.to_owned()));
        urls.push(url);
    }
    assert_eq!(urls[0], urls[1]);
    let apps: Value = serde_json::from_str(&up.result(&["apps", "--json"]).await).unwrap();
    assert_eq!(apps.as_array().unwrap().len(), 1, "{apps}");
}

#[tokio::test]
async fn a_build_that_fails_ends_with_its_reason_and_the_lines_that_matter() {
    let up = Up::start().await;
    let app = tempfile::tempdir().unwrap();
    let settings = "[build]\ncommand = [\"sh\", \"-c\", \"echo fatal: the flux is low; exit 3\"]\n";
    std::fs::write(app.path().join("slipway.toml"), settings).unwrap();
    std::fs::write(app.path().join("index.html"), "x").unwrap();
    let output = up
        .run(&[
            "deploy",
            app.path().to_str().unwrap(),
            "--name",
            "broken",
            "--json",
        ])
        .await;
    assert_eq!(output.status.code(), Some(1));
    let events = json_lines(&text(&output.stdout));
    let failed = events.last().unwrap();
    assert_eq!(
        (&failed["event"], &failed["state"]),
        (&"failed".into(), &"failed".into()),
        "{failed}"
    );
    assert!(failed["reason"].as_str().unwrap().contains('3'), "{failed}");
    assert!(
        failed["lines"].to_string().contains("the flux is low"),
        "{failed}"
    );
}
