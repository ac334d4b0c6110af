//! People who come from elsewhere with the hashes of their passwords.

use super::*;

const PATH: &str = "/auth/admin/identities/import";

/// The same password, as Devise, Medusa, passlib and Django keep it.
const HASHES: [(&str, &str); 4] = [
    (
        "bcrypt@x.dev",
        "$2b$06$abcdefghijklmnopqrstuu50eFBEC8vQwBnuFXMHE45jBnqvQ8xz.",
    ),
    (
        "medusa@x.dev",
        "c2NyeXB0AAwAAAAIAAAAAQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fFGS2WqpQoYsa6sYq5waurxp6OZa99Vs5F8rA0RcOzm0upiP/vZoPkRSW9qyKwaU/",
    ),
    (
        "passlib@x.dev",
        "$pbkdf2-sha256$20000$MDEyMzQ1Njc4OWFiY2RlZg$YZPUgXYPKMyKakj2x5HB6c9KWXQgYCsDV54RnJ.S4jo",
    ),
    (
        "django@x.dev",
        "pbkdf2_sha256$20000$saltysalt$JuwnnYHYfIuFzH6iX1EaDZbOk+C/VcfyRSiadryA4Vs=",
    ),
];

fn row(email: &str, hash: &str) -> Value {
    json!({ "email": email, "password_hash": hash, "created_at": "2024-01-01" })
}

fn import(harness: &Harness, admin: &str, rows: &[Value]) -> reqwest::RequestBuilder {
    post(harness, PATH, &json!({ "identities": rows })).bearer_auth(admin)
}

/// What is kept of somebody's password.
async fn kept(harness: &Harness, email: &'static str) -> String {
    use diesel::RunQueryDsl as _;
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        secret_hash: String,
    }
    let query = format!("SELECT secret_hash FROM provider_identities WHERE entity_id = '{email}'");
    let found: diesel::QueryResult<Row> = db(harness)
        .read(move |db| diesel::sql_query(query).get_result(db))
        .await;
    found.unwrap().secret_hash
}

testkit::on_both_backends! {
    async fn people_sign_in_with_what_they_brought_and_have_it_hashed_anew(backend: Backend) {
        let harness = auth(&backend).start().await;
        let rows: Vec<_> = HASHES.iter().map(|(email, hash)| row(email, hash)).collect();
        let admin = admin(&harness).await;
        let said = expect(200, import(&harness, &admin, &rows)).await;
        assert_eq!((&said["created"], &said["refused"]), (&json!(HASHES.len()), &json!(0)), "{said}");
        for (email, hash) in HASHES {
            expect(401, login(&harness, "euser", email, "another password")).await;
            assert_eq!(kept(&harness, email).await, hash, "a wrong password changes nothing");
            expect(200, login(&harness, "euser", email, PASSWORD)).await;
            let after = kept(&harness, email).await;
            assert!(after.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{after}");
            expect(200, login(&harness, "euser", email, PASSWORD)).await;
            assert_eq!(kept(&harness, email).await, after, "once is enough");
            expect(401, login(&harness, "euser", email, "another password")).await;
        }
        expect(401, login(&harness, "admin", "bcrypt@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn an_import_can_be_done_again_and_changes_nobody_who_is_here(backend: Backend) {
        let harness = auth(&backend).start().await;
        let admin = admin(&harness).await;
        let here = claims(&token(register(&harness, "seb@x.dev", "her very own words")).await);
        let (_, hash) = HASHES[0];
        let rows = [row("Seb@X.dev", hash), row("new@x.dev", hash), row("NEW@x.dev", hash)];
        let said = expect(200, import(&harness, &admin, &rows)).await;
        assert_eq!((&said["created"], &said["existing"]), (&json!(1), &json!(2)), "{said}");
        assert_eq!(said["results"][0], json!({ "status": "exists", "id": here["sub"] }));
        assert_eq!(said["results"][1]["id"], said["results"][2]["id"], "the same in other letters");
        let again = expect(200, import(&harness, &admin, &rows)).await;
        assert_eq!((&again["created"], &again["existing"]), (&json!(0), &json!(3)));
        expect(200, login(&harness, "euser", "seb@x.dev", "her very own words")).await;
        expect(401, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        expect(200, login(&harness, "euser", "new@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn two_imports_at_the_same_instant_take_everybody_in_once(backend: Backend) {
        let harness = auth(&backend).start().await;
        let admin = admin(&harness).await;
        let rows: Vec<_> = (0..20).map(|n| row(&format!("p{n}@x.dev"), HASHES[0].1)).collect();
        let (a, b) = tokio::join!(
            expect(200, import(&harness, &admin, &rows)), expect(200, import(&harness, &admin, &rows)),
        );
        let count = |said: &Value| said["created"].as_i64().unwrap();
        assert_eq!(count(&a) + count(&b), 20, "{a} {b}");
        for (a, b) in a["results"].as_array().unwrap().iter().zip(b["results"].as_array().unwrap()) {
            assert_eq!(a["id"], b["id"]);
        }
        harness.stop().await;
    }

    async fn who_can_not_be_taken_is_told_row_by_row_without_repeating_the_hash(backend: Backend) {
        let harness = auth(&backend).start().await;
        let admin = admin(&harness).await;
        let rows = [
            row("no address", HASHES[0].1),
            row("costly@x.dev", "$2b$31$abcdefghijklmnopqrstuu50eFBEC8vQwBnuFXMHE45jBnqvQ8xz."),
            row("rounds@x.dev", "pbkdf2_sha256$2147483648$saltysalt$JuwnnYHYfIuFzH6iX1EaDZbOk+C/VcfyRSiadryA4Vs="),
            row("plain@x.dev", "her plain password"),
            row("fine@x.dev", HASHES[0].1),
        ];
        let said = expect(200, import(&harness, &admin, &rows)).await;
        assert_eq!((&said["created"], &said["refused"]), (&json!(1), &json!(4)));
        let reason = |place: usize| said["results"][place]["reason"].as_str().unwrap();
        assert!(reason(0).contains("email"), "{said}");
        assert!(reason(1).contains("costs more") && reason(2).contains("costs more"), "{said}");
        assert!(reason(3).contains("form"), "{said}");
        for secret in ["her plain password", "abcdefghijkl", "saltysalt"] {
            assert!(!said.to_string().contains(secret), "{said}");
        }
        expect(401, login(&harness, "euser", "costly@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn only_operators_take_people_in_and_not_too_many_at_once(backend: Backend) {
        let harness = auth(&backend).start().await;
        let person = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let rows = [row("new@x.dev", HASHES[0].1)];
        expect(403, import(&harness, &person, &rows)).await;
        expect(401, post(&harness, PATH, &json!({ "identities": rows }))).await;
        let admin = admin(&harness).await;
        let many: Vec<_> = (0..501).map(|n| row(&format!("p{n}@x.dev"), HASHES[0].1)).collect();
        expect(422, import(&harness, &admin, &many)).await;
        let huge = [row("new@x.dev", &"x".repeat(300_000))];
        expect(413, import(&harness, &admin, &huge)).await;
        let wrong = expect(422, import(&harness, &admin, &[json!({ "email": "new@x.dev", "password_hash": 4711 })])).await;
        assert!(!wrong.to_string().contains("4711"), "{wrong}");
        expect(401, login(&harness, "euser", "new@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn a_raised_cost_reaches_everybody_who_signs_in(backend: Backend) {
        let harness = auth(&backend).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        harness.stop().await;
        let harness = auth(&backend)
            .setting("auth.hashing.memory", "20480")
            .setting("auth.hashing.iterations", "3")
            .start()
            .await;
        expect(401, login(&harness, "euser", "seb@x.dev", "another password")).await;
        assert!(kept(&harness, "seb@x.dev").await.contains("m=19456,t=2"));
        expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        assert!(kept(&harness, "seb@x.dev").await.contains("m=20480,t=3,p=1"));
        expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_no_turn_for_hashing_is_asked_to_come_back_at_once() {
    let backend = Backend::sqlite();
    let harness = auth(&backend)
        .setting("auth.hashing.concurrency", "1")
        .setting("auth.hashing.queue", "0")
        .start()
        .await;
    let admin = admin(&harness).await;
    let rows = [row("seb@x.dev", HASHES[0].1)];
    expect(200, import(&harness, &admin, &rows)).await;
    let ask = || async {
        let response = login(&harness, "euser", "seb@x.dev", PASSWORD)
            .send()
            .await
            .unwrap();
        let wait = response.headers().get("retry-after").cloned();
        (response.status().as_u16(), wait)
    };
    let all = tokio::join!(ask(), ask(), ask(), ask(), ask(), ask());
    let all = [all.0, all.1, all.2, all.3, all.4, all.5];
    assert!(all.iter().any(|(status, _)| *status == 200), "{all:?}");
    assert!(all.iter().any(|(status, _)| *status == 503), "{all:?}");
    for (status, wait) in &all {
        assert!(matches!(status, 200 | 503), "{all:?}");
        assert_eq!(wait.is_some(), *status == 503, "{all:?}");
    }
    harness.stop().await;
}
