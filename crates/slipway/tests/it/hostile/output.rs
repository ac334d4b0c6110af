//! Builds and apps that write without end.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::harness::{Up, text};
use crate::secrets::places::files_under;

/// More than anything keeps. It says so in its last words.
const BUILD: &str =
    "yes 0123456789012345678901234567890123456789 | head -c 300000000; echo; echo the end";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_output_fills_neither_logs_nor_the_disk() {
    let up = Up::start_with(&[
        ("SLIPWAY_BUILDS__LOG_BYTES", "200000"),
        ("SLIPWAY_APPS__OUTPUT_BYTES", "500000"),
        ("SLIPWAY_APPS__LOG_LINES", "1000"),
    ])
    .await;
    let app = tempfile::tempdir().unwrap();
    let start = "yes an app that never stops talking | head -c 30000000; exec python3 -m http.server --bind 127.0.0.1 $PORT";
    let settings = format!("[build]\ncommand = {BUILD:?}\n\n[run]\nstart = {start:?}\n");
    std::fs::write(app.path().join("slipway.toml"), settings).unwrap();
    std::fs::write(app.path().join("index.html"), "quiet").unwrap();
    let url = up
        .result(&["deploy", app.path().to_str().unwrap(), "--name", "flood"])
        .await;
    assert_eq!(
        up.call_app(url.trim(), "/index.html").await,
        (200, "quiet".to_owned())
    );

    let build = up.result(&["logs", "flood", "--build", "last"]).await;
    assert!(
        build.len() < 400_000,
        "{} bytes of a build's log",
        build.len()
    );
    assert!(
        build.contains("more than 200000 bytes"),
        "{}",
        &build[build.len() - 500..]
    );
    testkit::eventually_async("an app's log has its bound", || async {
        let running = text(&up.run(&["logs", "flood"]).await.stdout);
        // What is left is whole pieces, of which the last one may be long.
        (1..=4_000).contains(&running.lines().count()).then_some(())
    })
    .await;
    // Of an app's file the beginning is given back to the disk, however long it is by name.
    let blocks = |file: &PathBuf| file.metadata().map_or(0, |about| about.blocks() * 512);
    let kept: u64 = files_under(&up.data_dir).iter().map(blocks).sum();
    assert!(kept < 60_000_000, "{kept} bytes in the data directory");
    let log = up.log().len();
    assert!(log < 1_000_000, "{log} bytes of the platform's log");
}
