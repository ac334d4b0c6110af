//! `slipway usage`, at a platform that runs.

use testkit::eventually_async;

use crate::harness::{Up, json_lines, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_drawn_in_the_terminal_and_as_pictures() {
    let up = Up::start().await;
    // The first command makes the operator a user; what she calls from the next one on is hers.
    up.result(&["usage"]).await;
    let drawn = eventually_async("the calls to be counted", || async {
        let drawn = up.result(&["usage"]).await;
        drawn.contains("account GET /v1/users/me").then_some(drawn)
    })
    .await;
    assert!(drawn.contains('█'), "{drawn}");
    let days = json_lines(&up.result(&["usage", "--by", "day", "--json"]).await);
    assert_eq!(days[0]["day"].as_str().unwrap().len(), 10, "{days:?}");
    assert!(
        up.result(&["usage", "--by", "key"])
            .await
            .contains("without a key")
    );
    let long_ago = ["usage", "--from", "2020-01-01", "--to", "2020-01-02"];
    assert_eq!(up.result(&long_ago).await, "");

    let directory = tempfile::tempdir().unwrap();
    for (name, begins) in [("usage.svg", &b"<svg"[..]), ("usage.png", b"\x89PNG")] {
        let file = directory.path().join(name);
        up.result(&["usage", "--plot", file.to_str().unwrap()])
            .await;
        assert!(std::fs::read(&file).unwrap().starts_with(begins), "{name}");
    }
    for wrong in [
        &["usage", "--plot", "usage.pdf"][..],
        &["usage", "--from", "yesterday"],
        &["usage", "--user", "nobody"],
    ] {
        let output = up.run(wrong).await;
        let said = text(&output.stderr);
        assert!(
            !output.status.success() && said.contains("error:"),
            "{wrong:?}: {said}"
        );
    }
}
