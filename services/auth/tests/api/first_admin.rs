use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn unnamed(backend: &Backend) -> Builder<'_> {
    Builder::new(backend)
        .real_auth()
        .service(slipway_auth::service())
}

testkit::on_both_backends! {
    async fn the_first_start_makes_an_admin_and_the_next_changes_nothing(backend: Backend) {
        let harness = unnamed(&backend).start().await;
        let path = backend.directory().join("admin-credentials.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let told: Value = serde_json::from_str(&text).unwrap();
        let (email, password) = (told["email"].as_str().unwrap(), told["password"].as_str().unwrap());
        assert_eq!(email, "admin@slipway.localhost");

        let before = token(login(&harness, "admin", email, password)).await;
        assert_eq!(claims(&before)["actor_type"], "admin");
        assert_eq!(claims(&before)["scope"], "*");
        let euser = token(login(&harness, "euser", email, password)).await;
        assert_eq!(claims(&euser)["actor_type"], "euser");
        assert_ne!(claims(&euser)["scope"], "*");
        harness.stop().await;

        let harness = unnamed(&backend).start().await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        // The keys are the same, too: a token from before the restart holds.
        expect(200, refresh(&harness, &before)).await;
        expect(200, login(&harness, "admin", email, password)).await;
        harness.stop().await;
    }

    async fn the_operators_own_password_is_taken_and_written_nowhere(backend: Backend) {
        let harness = auth(&backend).start().await;
        expect(200, login(&harness, "admin", "Root@x.dev", "the operator's own")).await;
        let files: Vec<_> = std::fs::read_dir(backend.directory())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("admin"))
            .collect();
        assert!(files.is_empty(), "{files:?}");
        harness.stop().await;
    }
}
