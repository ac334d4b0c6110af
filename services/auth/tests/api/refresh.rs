//! Refresh tokens: chains of them, of which each is good once.

use common::event::TokensRevoked;
use common::id::{IdentityId, RefreshFamilyId};
use common::time::{Clock, Span};
use common::token::ActorType;
use slipway_auth::identities::{self, Provider, store};
use slipway_auth::oauth::Client;
use slipway_auth::refresh::{self as chains, Family, Link, RefreshToken};
use slipway_auth::tokens::SignIn;

use diesel::RunQueryDsl as _;

use super::*;

/// Signs somebody up and begins a chain, as if a person had let the command line in.
async fn begin(harness: &Harness) -> (IdentityId, String) {
    let signed = token(register(harness, "seb@x.dev", PASSWORD)).await;
    let id: IdentityId = claims(&signed)["sub"].as_str().unwrap().parse().unwrap();
    let token = chain_of(harness, &id).await;
    (id, token)
}

async fn chain_of(harness: &Harness, id: &IdentityId) -> String {
    let now = harness.clock.now();
    let link = Link::new(now + Span::hours(1), now);
    let token = link.token.expose().to_owned();
    let id = id.clone();
    let db = db(harness);
    let begun = db.write(move |db| {
        let identity = store::find(db, &id)?.unwrap();
        let family = Family {
            id: RefreshFamilyId::new(now),
            identity_id: id,
            client: Client::Cli,
            sign_in: SignIn {
                actor: ActorType::Euser,
                provider: Provider::Emailpass,
                at: now,
            },
            generation: identity.generation,
            expires_at: now + Span::days(30),
            ended: false,
        };
        chains::begin(db, &family, &link, now)
    });
    begun
        .await
        .unwrap_or_else(|error: diesel::result::Error| panic!("{error}"));
    token
}

fn form(harness: &Harness, path: &str, body: String) -> reqwest::RequestBuilder {
    harness
        .request(Method::POST, "auth", path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

fn exchange(harness: &Harness, token: &str) -> reqwest::RequestBuilder {
    let body = format!("grant_type=refresh_token&refresh_token={token}&client_id=slipway-cli");
    form(harness, "/oauth/token", body)
}

/// The access token and the next refresh token.
async fn exchanged(harness: &Harness, token: &str) -> (String, String) {
    let said = expect(200, exchange(harness, token)).await;
    let text = |member: &str| said[member].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

async fn refused(harness: &Harness, token: &str) {
    let said = expect(400, exchange(harness, token)).await;
    assert_eq!(
        (&said["error"], &said["code"]),
        (&json!("invalid_grant"), &json!("invalid_grant"))
    );
}

async fn introspect(harness: &Harness, caller: &str, token: &str) -> Value {
    let asked = form(harness, "/oauth/introspect", format!("token={token}"));
    expect(200, asked.bearer_auth(caller)).await
}

/// The access token as the other routes take it.
async fn holds(harness: &Harness, access: &str) -> bool {
    introspect(harness, access_of(harness).await.as_str(), access).await["active"] == true
}

async fn access_of(harness: &Harness) -> String {
    token(login(harness, "admin", "root@x.dev", "the operator's own")).await
}

/// Whether an event of this kind waits or has gone out: the audit log has it as well.
async fn audited(harness: &Harness, action: &'static str) -> i64 {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let query = format!("SELECT count(*) AS count FROM audit_log WHERE action = '{action}'");
    let counted: diesel::QueryResult<Count> = db(harness)
        .read(move |db| diesel::sql_query(query).get_result(db))
        .await;
    counted.unwrap().count
}

#[derive(diesel::QueryableByName)]
struct Kept {
    #[diesel(sql_type = diesel::sql_types::Text)]
    digest: String,
    #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Binary>)]
    successor: Option<Vec<u8>>,
}

testkit::on_both_backends! {
    async fn a_person_sees_the_programs_she_has_let_in_and_ends_one(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (id, one) = begin(&harness).await;
        let other = chain_of(&harness, &id).await;
        let seb = token(login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        let ada = token(register(&harness, "ada@x.dev", PASSWORD)).await;
        let ask = |method: Method, rest: &str, token: &str| {
            harness.request(method, "auth", &format!("/auth/devices{rest}")).bearer_auth(token)
        };
        assert_eq!(expect(200, ask(Method::GET, "", &ada)).await["devices"], json!([]));
        let listed = expect(200, ask(Method::GET, "", &seb)).await;
        let devices = listed["devices"].as_array().unwrap();
        assert_eq!((devices.len(), &devices[0]["client_id"]), (2, &json!("slipway-cli")), "{listed}");
        let page = expect(200, ask(Method::GET, "?limit=1", &seb)).await;
        let after = format!("?after={}", page["next"].as_str().unwrap());
        let rest = expect(200, ask(Method::GET, &after, &seb)).await;
        assert_eq!((&page["devices"][0], &rest["devices"][0]), (&devices[0], &devices[1]));

        // The older one; another person's is as if it weren't there.
        let (access, next) = exchanged(&harness, &one).await;
        let device = format!("/{}", devices[1]["id"].as_str().unwrap());
        expect(404, ask(Method::DELETE, &device, &ada)).await;
        expect(200, ask(Method::DELETE, &device, &seb)).await;
        expect(404, ask(Method::DELETE, &device, &seb)).await;
        refused(&harness, &next).await;
        assert!(!holds(&harness, &access).await);
        exchanged(&harness, &other).await;
        let listed = expect(200, ask(Method::GET, "", &seb)).await;
        assert_eq!(listed["devices"].as_array().unwrap().len(), 1);
        harness.stop().await;
    }

    async fn each_token_gives_the_next_and_an_access_token(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (id, first) = begin(&harness).await;
        let response = exchange(&harness, &first).send().await.unwrap();
        assert_eq!(response.headers()["cache-control"], "no-store");
        let said: Value = response.json().await.unwrap();
        assert_eq!(said["token_type"], "Bearer");
        assert!((3_595..=3_600).contains(&said["expires_in"].as_i64().unwrap()), "{said}");
        let access = said["access_token"].as_str().unwrap();
        let told = claims(access);
        assert_eq!((&told["sub"], &told["client_id"]), (&json!(id), &json!("slipway-cli")));
        assert_eq!(said["scope"], told["scope"]);
        assert!(holds(&harness, access).await);
        let (_, third) = exchanged(&harness, said["refresh_token"].as_str().unwrap()).await;
        assert_ne!(third, first);
        // It is renewed by the chain alone, with which it ends.
        expect(401, super::refresh(&harness, access)).await;
        harness.stop().await;
    }

    async fn an_answer_that_got_lost_can_be_asked_for_again_for_a_moment(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        let (_, first) = begin(&harness).await;
        let (access, second) = exchanged(&harness, &first).await;
        clock.advance(Span::seconds(5));
        let (again, same) = exchanged(&harness, &first).await;
        assert_eq!(same, second);
        for member in ["jti", "exp"] {
            assert_eq!(claims(&again)[member], claims(&access)[member], "{member}");
        }
        // The one that was asked for twice goes on.
        let (_, third) = exchanged(&harness, &second).await;
        exchanged(&harness, &third).await;
        harness.stop().await;
    }

    async fn two_who_ask_at_the_same_instant_get_the_same_and_neither_is_logged_out(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (_, mut token) = begin(&harness).await;
        for _ in 0..10 {
            let ((_, a), (_, b), (_, c)) = tokio::join!(
                exchanged(&harness, &token), exchanged(&harness, &token), exchanged(&harness, &token),
            );
            assert!(a == b && b == c);
            token = a;
        }
        assert_eq!(audited(&harness, "refresh.reused").await, 0);
        harness.stop().await;
    }

    async fn a_token_that_is_used_again_later_ends_the_whole_chain(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        let (id, first) = begin(&harness).await;
        let other = chain_of(&harness, &id).await;
        let (access, second) = exchanged(&harness, &first).await;
        clock.advance(Span::seconds(11));
        refused(&harness, &first).await;
        refused(&harness, &second).await;
        assert_eq!(introspect(&harness, &access_of(&harness).await, &access).await, json!({ "active": false }));
        assert_eq!(audited(&harness, "refresh.reused").await, 1);
        // Once is enough, and another sign-in of hers goes on.
        refused(&harness, &first).await;
        assert_eq!(audited(&harness, "refresh.reused").await, 1);
        let (access, _) = exchanged(&harness, &other).await;
        assert!(holds(&harness, &access).await);
        harness.stop().await;
    }

    async fn ending_all_tokens_of_somebody_ends_her_chains(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (id, first) = begin(&harness).await;
        let (access, second) = exchanged(&harness, &first).await;
        let now = harness.clock.now();
        let ended = db(&harness).write(move |db| identities::revoke_all(db, &id, now)).await;
        ended.unwrap();
        refused(&harness, &second).await;
        assert_eq!(audited(&harness, "refresh.withdrawn").await, 1);
        assert!(!holds(&harness, &access).await, "the chain's last access token ended with it");
        harness.stop().await;
    }

    async fn a_chain_ends_a_month_after_the_sign_in_however_often_it_is_used(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        let (_, mut token) = begin(&harness).await;
        let mut access = String::new();
        for _ in 0..30 {
            (access, token) = exchanged(&harness, &token).await;
            clock.advance(Span::days(1) - Span::seconds(1));
        }
        (access, token) = { let given = exchanged(&harness, &token).await; drop(access); given };
        let lives = claims(&access)["exp"].as_i64().unwrap() - claims(&access)["iat"].as_i64().unwrap();
        assert!((29..=31).contains(&lives), "it doesn't outlive the chain: {lives}");
        clock.advance(Span::seconds(31));
        refused(&harness, &token).await;
        harness.stop().await;
    }

    async fn who_gives_a_token_back_ends_its_chain(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (_, first) = begin(&harness).await;
        let (access, second) = exchanged(&harness, &first).await;
        let said = introspect(&harness, &access, &second).await;
        assert_eq!((&said["active"], &said["token_type"], &said["client_id"]),
            (&json!(true), &json!("refresh_token"), &json!("slipway-cli")));
        let other = token(register(&harness, "other@x.dev", PASSWORD)).await;
        for (caller, token) in [(&other, &second), (&access, &first)] {
            assert_eq!(introspect(&harness, caller, token).await, json!({ "active": false }));
        }
        // Even a used one names the chain (RFC 7009, section 2.1).
        expect(200, form(&harness, "/oauth/revoke", format!("token={first}"))).await;
        refused(&harness, &second).await;
        assert!(!holds(&harness, &access).await);
        expect(200, form(&harness, "/oauth/revoke", format!("token={first}"))).await;
        harness.stop().await;
    }

    async fn the_database_tells_no_refresh_token(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (_, first) = begin(&harness).await;
        let (_, second) = exchanged(&harness, &first).await;
        let digest = RefreshToken::given(&second).unwrap().digest();
        let query = "SELECT digest, successor FROM refresh_tokens ORDER BY created_at";
        let rows: diesel::QueryResult<Vec<Kept>> = db(&harness).read(move |db| diesel::sql_query(query).load(db)).await;
        let rows = rows.unwrap();
        assert!(rows.iter().any(|row| row.digest == digest));
        for row in rows {
            let successor = row.successor.unwrap_or_default();
            assert!(!successor.windows(second.len()).any(|window| window == second.as_bytes()));
        }
        harness.stop().await;
    }

    async fn what_was_revoked_is_told_to_the_other_services(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (_, first) = begin(&harness).await;
        let (access, _) = exchanged(&harness, &first).await;
        expect(200, form(&harness, "/oauth/revoke", format!("token={first}"))).await;
        let service = service_token(&harness, "v1api", "auth").await;
        let feed = harness.private(Method::GET, "auth", "/internal/feeds/revocations?since=0");
        let feed = expect(200, feed.bearer_auth(&service)).await;
        let entries: Vec<TokensRevoked> = serde_json::from_value(feed["entries"].clone()).unwrap();
        let jti = claims(&access)["jti"].as_str().unwrap().to_owned();
        assert!(entries.iter().any(|entry| entry.subject() == jti), "{entries:?}");
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_exchanged_is_refused_in_oauths_words() {
    let backend = Backend::sqlite();
    let harness = auth(&backend).start().await;
    let (_, token) = begin(&harness).await;
    let other = token_of_nobody();
    let cases = [
        (String::new(), 400, "invalid_request"),
        ("grant_type=refresh_token".into(), 400, "invalid_request"),
        (
            "grant_type=password&username=a&password=b".into(),
            400,
            "unsupported_grant_type",
        ),
        (
            "grant_type=authorization_code&code=x".into(),
            400,
            "unsupported_grant_type",
        ),
        (
            format!("grant_type=refresh_token&refresh_token={token}&refresh_token={token}"),
            400,
            "invalid_request",
        ),
        (
            format!("grant_type=refresh_token&refresh_token={token}&client_id=another"),
            401,
            "invalid_client",
        ),
        (
            format!("grant_type=refresh_token&refresh_token={other}"),
            400,
            "invalid_grant",
        ),
        (
            "grant_type=refresh_token&refresh_token=a.b.c".into(),
            400,
            "invalid_grant",
        ),
        (
            format!(
                "grant_type=refresh_token&refresh_token={}",
                "x".repeat(65_536)
            ),
            400,
            "invalid_grant",
        ),
    ];
    for (body, status, error) in cases {
        let response = form(&harness, "/oauth/token", body.clone())
            .send()
            .await
            .unwrap();
        let kind = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(response.status().as_u16(), status, "{body:.60}");
        let said: Value = response.json().await.unwrap();
        assert_eq!(said["error"], error, "{body:.60}: {said}");
        assert!(said["error_description"].is_string() && said["message"].is_string());
        assert!(kind.contains("json"), "{kind}");
        assert!(!said.to_string().contains(&token));
    }
    // None of this has used it up.
    exchanged(&harness, &token).await;
    harness.stop().await;
}

fn token_of_nobody() -> String {
    RefreshToken::random().expose().to_owned()
}
