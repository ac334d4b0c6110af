//! Commands that have nothing to talk to, or nothing to say.

use crate::harness::{slipway, text};

async fn complaint(arguments: &[&str]) -> String {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = slipway(arguments);
    let output = command.current_dir(nowhere.path()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    text(&output.stderr)
}

#[tokio::test]
async fn a_deployment_that_cannot_begin_says_why() {
    let said = complaint(&["deploy", "no-such-directory"]).await;
    assert!(said.contains("no-such-directory"), "{said}");
    let said = complaint(&["deploy", ".", "--name", "../x"]).await;
    assert!(said.contains("../x"), "{said}");
    let said = complaint(&["deploy", "."]).await;
    assert!(
        said.contains("not signed in") && said.contains("SLIPWAY_TOKEN"),
        "{said}"
    );
}

#[tokio::test]
async fn without_a_platform_commands_say_how_to_start_one() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = slipway(&["apps", "--url", "http://127.0.0.1:1"]);
    command
        .env("SLIPWAY_TOKEN", "x")
        .current_dir(nowhere.path());
    let said = text(&command.output().await.unwrap().stderr);
    assert!(
        said.contains("http://127.0.0.1:1") && said.contains("slipway up"),
        "{said}"
    );
}

#[tokio::test]
async fn a_setting_that_nobody_knows_is_refused_by_its_name() {
    let nowhere = tempfile::tempdir().unwrap();
    std::fs::write(
        nowhere.path().join("slipway.toml"),
        "[gateway]\npublic_ulr = 'x'\n",
    )
    .unwrap();
    for command in ["config", "up"] {
        let output = slipway(&[command])
            .current_dir(nowhere.path())
            .output()
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(
            text(&output.stderr).contains("public_ulr"),
            "{command}: {}",
            text(&output.stderr)
        );
    }
}

#[tokio::test]
async fn the_settings_are_shown_without_secrets() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = slipway(&["config"]);
    command
        .env("SLIPWAY_DATABASE__URL", "postgres://u:hunter2@host/db")
        .env("SLIPWAY_MAIL__SMTP_URL", "smtps://u:hunter2@host")
        .env("SLIPWAY_MAIL__FROM", "no-reply@x.dev")
        .current_dir(nowhere.path());
    let output = command.output().await.unwrap();
    let shown = text(&output.stdout);
    assert!(
        output.status.success() && shown.contains("[database]") && shown.contains("url = \"***\""),
        "{shown}"
    );
    assert!(
        shown.contains("[mail]") && shown.contains("smtp_url = \"***\""),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}
