//! Signing in and up.

use super::*;

testkit::on_both_backends! {
    async fn who_has_a_second_factor_is_asked_for_it_after_github_as_well(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let ada = sign_in(&harness, &github, "ada").await;
        let (_, secret) = mfa::enable(&harness, &ada).await;
        let back = github.consent(&location(start(&harness)).await, "ada").await;
        let entered = expect(200, pass_on(&harness, &back)).await;
        assert_eq!(entered["mfa_required"], true, "{entered}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pending = (text(&entered["token"]), text(&entered["mfa_challenge"]["id"]));
        assert_eq!(part(&pending.0, 0)["typ"], "mfa+jwt");
        let code = mfa::code(&harness, &secret, 0);
        let whole = token(mfa::complete(&harness, &pending, "totp", &code)).await;
        assert_eq!((&claims(&whole)["sub"], &claims(&whole)["auth_provider"]), (&claims(&ada)["sub"], &json!("github")));
        harness.stop().await;
    }

    async fn a_person_signs_up_and_in_by_github_and_is_the_same(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let location = location(start(&harness)).await;
        let url = Url::parse(&location).unwrap();
        let pairs: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(url.path(), "/login/oauth/authorize");
        assert_eq!(pairs["redirect_uri"], format!("{PUBLIC}{START}/callback"));
        assert_eq!((pairs["code_challenge_method"].as_str(), pairs["code_challenge"].len()), ("S256", 43));
        assert!(pairs["state"].len() >= 43);

        let back = github.consent(&location, "ada").await;
        let first = token(pass_on(&harness, &back)).await;
        let said = claims(&first);
        assert_eq!((&said["auth_provider"], &said["actor_type"], &said["actor_id"]), (&json!("github"), &json!("euser"), &json!("")));
        // She is known by her number: her login and name are free to change.
        github.add(Person::new(4711, "countess", "A. King", "king@x.dev"));
        let again = sign_in(&harness, &github, "countess").await;
        assert_eq!(claims(&again)["sub"], said["sub"]);
        github.add(Person::new(9, "ada", "Somebody else", "else@x.dev"));
        let other = sign_in(&harness, &github, "ada").await;
        assert_ne!(claims(&other)["sub"], said["sub"]);
        let refreshed = token(refresh(&harness, &first)).await;
        assert_eq!(claims(&refreshed)["auth_provider"], "github");

        // Her address at GitHub is hers here, in its one form; it is what a user is made with.
        let service = service_token(&harness, "account", "auth").await;
        let path = format!("/internal/identities/{}", said["auth_identity_id"].as_str().unwrap());
        let identity = expect(200, harness.private(Method::GET, "auth", &path).bearer_auth(service)).await;
        assert_eq!((&identity["email"], &identity["email_verified"]), (&json!("ada@x.dev"), &json!(true)));
        harness.stop().await;
    }

    async fn medusas_other_forms_do_the_same(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let by_get = harness.request(Method::GET, "auth", START);
        let back = github.consent(&location(by_get).await, "ada").await;
        let path = format!("{START}/callback?{}", back.query().unwrap());
        let by_post = harness.request(Method::POST, "auth", &path).json(&json!({}));
        token(by_post).await;

        let refused = expect(400, post(&harness, &format!("{START}/register"), &json!({}))).await;
        assert_eq!(
            (&refused["type"], &refused["message"]),
            (&json!("not_allowed"), &json!("Github does not support registration. Use method `authenticate` instead.")),
        );
        let providers = expect(200, harness.request(Method::GET, "auth", "/auth/euser/providers")).await;
        assert_eq!(providers["providers"][1], json!({
            "id": "github", "identifier": "github", "display_name": "GitHub", "flow": "redirect",
        }));
        let providers = expect(200, harness.request(Method::GET, "auth", "/auth/admin/providers")).await;
        assert_eq!(providers["providers"].as_array().unwrap().len(), 1);
        harness.stop().await;
    }

    async fn an_address_that_somebody_has_or_that_is_not_verified_is_not_taken_over(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let known = token(register(&harness, "ada@x.dev", PASSWORD)).await;
        let by_github = sign_in(&harness, &github, "ada").await;
        assert_ne!(claims(&by_github)["sub"], claims(&known)["sub"], "nobody is merged");
        let unverified = Person { emails: vec![
            ("root@x.dev".into(), true, false), ("carol@x.dev".into(), false, true),
        ], ..Person::new(5, "carol", "Carol", "") };
        github.add(unverified);
        let carol = sign_in(&harness, &github, "carol").await;
        let service = service_token(&harness, "account", "auth").await;
        for token in [&by_github, &carol] {
            let path = format!("/internal/identities/{}", claims(token)["auth_identity_id"].as_str().unwrap());
            let identity = expect(200, harness.private(Method::GET, "auth", &path).bearer_auth(&service)).await;
            assert_eq!((&identity["email"], &identity["email_verified"]), (&Value::Null, &json!(false)));
        }
        // The one who has it keeps her password.
        token(login(&harness, "euser", "ada@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn two_first_sign_ins_at_the_same_instant_make_one_identity(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let mut arrivals = Vec::new();
        for _ in 0..4 {
            let back = github.consent(&location(start(&harness)).await, "ada").await;
            arrivals.push(token(pass_on(&harness, &back)));
        }
        let mut who = Vec::new();
        let running: Vec<_> = arrivals.into_iter().map(tokio::spawn).collect();
        for arrival in running {
            who.push(claims(&arrival.await.unwrap())["sub"].clone());
        }
        assert!(who.iter().all(|sub| *sub == who[0]), "{who:?}");
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_use_github_is_configuration() {
    let backend = Backend::sqlite();
    let github = Github::start(PUBLIC, Clock::system());
    github.add(Person::new(1, "ada", "Ada", "ada@x.dev"));
    let mut builder = auth(&backend)
        .setting("auth.providers.euser", "github")
        .setting("auth.providers.admin", "emailpass,github");
    for (key, value) in github.settings() {
        builder = builder.setting(key, &value);
    }
    let harness = builder.start().await;
    let providers = harness.request(Method::GET, "auth", "/auth/euser/providers");
    let providers = expect(200, providers).await;
    assert_eq!(providers["providers"].as_array().unwrap().len(), 1);
    let refused = expect(400, register(&harness, "ben@x.dev", PASSWORD)).await;
    assert_eq!(refused["type"], "not_allowed");
    // Nobody registers as an admin, by GitHub neither.
    let go = post(&harness, "/auth/admin/github", &json!({}));
    let back = github.consent(&location(go).await, "ada").await;
    let path = format!("/auth/admin/github/callback?{}", back.query().unwrap());
    expect(401, harness.request(Method::GET, "auth", &path)).await;
    let euser = claims(&sign_in(&harness, &github, "ada").await);
    assert_eq!(euser["actor_type"], "euser");
    let go = post(&harness, "/auth/admin/github", &json!({}));
    let back = github.consent(&location(go).await, "ada").await;
    let path = format!("/auth/admin/github/callback?{}", back.query().unwrap());
    expect(401, harness.request(Method::GET, "auth", &path)).await;
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_app_the_routes_say_which_settings_are_missing() {
    let backend = Backend::sqlite();
    let harness = auth(&backend).start().await;
    for request in [
        start(&harness),
        post(&harness, "/login-request", &json!({})),
    ] {
        let problem = expect(501, request).await;
        assert_eq!(problem["code"], "github_not_configured");
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains("github.client_id") && message.contains("github.client_secret"));
    }
    let providers = harness.request(Method::GET, "auth", "/auth/euser/providers");
    let providers = expect(200, providers).await;
    assert_eq!(providers["providers"].as_array().unwrap().len(), 1);
    harness.stop().await;
}
