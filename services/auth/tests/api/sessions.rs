//! Sessions by cookie, as the gateway and the person meet them.

use common::id::{IdentityId, SessionId};
use common::session::SessionCookie;
use common::time::{Clock, Span};
use slipway_auth::identities;
use testkit::eventually_async;

use super::*;

/// What a session's browser has.
pub(super) struct Browser {
    pub(super) cookie: String,
    pub(super) answer: Value,
}

pub(super) fn begin(harness: &Harness, token: &str) -> reqwest::RequestBuilder {
    harness
        .request(Method::POST, "auth", "/auth/session")
        .bearer_auth(token)
}

/// The cookie that an answer sets.
pub(super) fn cookie_in(response: &reqwest::Response) -> Option<String> {
    let set = response.headers().get("set-cookie")?.to_str().unwrap();
    let (name, rest) = set.split_once('=').unwrap();
    assert_eq!(name, "connect.sid");
    Some(rest.split(';').next().unwrap().to_owned())
}

pub(super) async fn browser(request: reqwest::RequestBuilder) -> Browser {
    let response = request.send().await.unwrap();
    let status = response.status();
    let cookie = cookie_in(&response);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{answer}");
    Browser {
        cookie: cookie.unwrap(),
        answer,
    }
}

pub(super) async fn exchange(harness: &Harness, cookie: &str) -> reqwest::RequestBuilder {
    let digest = SessionCookie::given(cookie).unwrap().digest();
    let service = service_token(harness, "v1api", "auth").await;
    harness
        .private(Method::POST, "auth", "/internal/sessions/exchange")
        .bearer_auth(service)
        .json(&json!({ "digest": digest }))
}

/// The token that stands for a cookie.
pub(super) async fn traded(harness: &Harness, cookie: &str) -> String {
    token(exchange(harness, cookie).await).await
}

fn sign_out(harness: &Harness, cookie: &str) -> reqwest::RequestBuilder {
    harness
        .request(Method::DELETE, "auth", "/auth/session")
        .header("cookie", format!("connect.sid={cookie}"))
}

fn own(harness: &Harness, method: Method, rest: &str, token: &str) -> reqwest::RequestBuilder {
    harness
        .request(method, "auth", &format!("/auth/sessions{rest}"))
        .bearer_auth(token)
}

testkit::on_both_backends! {
    async fn a_session_is_traded_for_a_token_of_a_minute_until_it_ends(backend: Backend) {
        let harness = auth(&backend).start().await;
        let first = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let response = begin(&harness, &first).send().await.unwrap();
        let set = response.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(set.contains("; HttpOnly; SameSite=Lax; Path=/; Max-Age="), "{set}");
        assert!(!set.contains("Secure") && !set.contains("Domain"), "{set}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let cookie = cookie_in(&response).unwrap();
        let told: Value = response.json().await.unwrap();
        for claim in ["actor_id", "actor_type", "auth_identity_id", "app_metadata", "user_metadata"] {
            assert_eq!(told["user"][claim], claims(&first)[claim], "{claim}");
        }

        let traded = traded(&harness, &cookie).await;
        assert_eq!(part(&traded, 0)["typ"], "at+jwt");
        let told = claims(&traded);
        assert!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap() <= 60, "{told}");
        assert_eq!((&told["sub"], &told["auth_time"]), (&claims(&first)["sub"], &claims(&first)["auth_time"]));
        // What is refreshed from it lives longer, and ends with the session all the same.
        let refreshed = token(refresh(&harness, &traded)).await;
        assert_eq!(claims(&refreshed)["sid"], told["sid"]);

        let response = sign_out(&harness, &cookie).send().await.unwrap();
        assert!(response.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
        assert_eq!(response.json::<Value>().await.unwrap(), json!({ "success": true }));
        expect(404, exchange(&harness, &cookie).await).await;
        for ended in [&traded, &refreshed] {
            expect(401, refresh(&harness, ended)).await;
        }
        expect(401, sign_out(&harness, &cookie)).await;
        // The token that it began with is none of its own.
        expect(200, refresh(&harness, &first)).await;

        let service = service_token(&harness, "v1api", "auth").await;
        let feed = harness.private(Method::GET, "auth", "/internal/feeds/revocations?since=0");
        let feed = expect(200, feed.bearer_auth(&service)).await.to_string();
        assert!(feed.contains(told["sid"].as_str().unwrap()), "{feed}");
        harness.stop().await;
    }

    async fn each_session_has_a_cookie_of_its_own_and_takes_the_place_of_the_one_before(backend: Backend) {
        let harness = auth(&backend).start().await;
        let first = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        // What somebody else has put there is never taken.
        let planted = SessionCookie::random();
        let with = |cookie: &str| begin(&harness, &first).header("cookie", format!("connect.sid={cookie}"));
        let one = browser(with(planted.expose())).await;
        assert_ne!(one.cookie, planted.expose());
        expect(404, exchange(&harness, planted.expose()).await).await;

        let two = browser(with(&one.cookie)).await;
        assert_ne!(two.cookie, one.cookie);
        expect(404, exchange(&harness, &one.cookie).await).await;
        let from_two = traded(&harness, &two.cookie).await;
        // A token that came out of a session begins one in its place, wherever the cookie is.
        let three = browser(begin(&harness, &from_two)).await;
        expect(404, exchange(&harness, &two.cookie).await).await;
        expect(200, exchange(&harness, &three.cookie).await).await;
        harness.stop().await;
    }

    async fn a_session_ends_with_a_generation_with_its_owner_and_with_its_time(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend)
            .clock(clock.clone())
            .setting("auth.session_max_age", "2h")
            .start()
            .await;
        let first = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let id: IdentityId = claims(&first)["sub"].as_str().unwrap().parse().unwrap();
        let ends = browser(begin(&harness, &first)).await;
        let now = clock.now();
        db(&harness).write(move |db| identities::revoke_all(db, &id, now)).await.unwrap();
        expect(404, exchange(&harness, &ends.cookie).await).await;
        expect(401, sign_out(&harness, &ends.cookie)).await;

        let second = token(login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        let lasts = browser(begin(&harness, &second)).await;
        let sessions = expect(200, own(&harness, Method::GET, "", &second)).await;
        assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1, "{sessions}");
        clock.advance(Span::minutes(119));
        expect(200, exchange(&harness, &lasts.cookie).await).await;
        clock.advance(Span::minutes(1));
        expect(404, exchange(&harness, &lasts.cookie).await).await;
        harness.stop().await;
    }

    async fn a_session_lasts_over_a_restart_and_an_ended_one_stays_so(backend: Backend) {
        let harness = auth(&backend).start().await;
        let first = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let (lasts, ends) = (browser(begin(&harness, &first)).await, browser(begin(&harness, &first)).await);
        let from_ended = traded(&harness, &ends.cookie).await;
        expect(200, sign_out(&harness, &ends.cookie)).await;
        harness.stop().await;
        let harness = auth(&backend).start().await;
        expect(200, exchange(&harness, &lasts.cookie).await).await;
        expect(404, exchange(&harness, &ends.cookie).await).await;
        expect(401, refresh(&harness, &from_ended)).await;
        harness.stop().await;
    }

    async fn one_sees_and_ends_ones_own_sessions_and_no_others(backend: Backend) {
        let harness = auth(&backend).start().await;
        let seb = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let eve = token(register(&harness, "eve@x.dev", PASSWORD)).await;
        let agent = "Mozilla/5.0 \t(X11)".to_owned() + &"x".repeat(300);
        let mut browsers = Vec::new();
        for _ in 0..3 {
            browsers.push(browser(begin(&harness, &seb).header("user-agent", &agent)).await);
        }
        let others = browser(begin(&harness, &eve)).await;
        let current = traded(&harness, &browsers[0].cookie).await;

        let page = expect(200, own(&harness, Method::GET, "?limit=2", &current)).await;
        let rest = format!("?after={}", page["next"].as_str().unwrap());
        let rest = expect(200, own(&harness, Method::GET, &rest, &current)).await;
        assert_eq!((page["sessions"].as_array().unwrap().len(), &rest["next"]), (2, &Value::Null));
        let oldest = &rest["sessions"][0];
        assert_eq!(oldest["current"], true);
        assert_eq!(page["sessions"][0]["current"], false);
        let shown = oldest["user_agent"].as_str().unwrap();
        assert!(shown.starts_with("Mozilla/5.0 (X11)") && shown.len() == 200, "{shown}");
        assert!(oldest["address"].is_string() && oldest["created_at"].is_string() && oldest["last_seen_at"].is_string());
        for browser in &browsers {
            let digest = SessionCookie::given(&browser.cookie).unwrap().digest();
            assert!(!page.to_string().contains(&browser.cookie) && !page.to_string().contains(&digest), "{page}");
        }

        let newest = page["sessions"][0]["id"].as_str().unwrap();
        let path = format!("/{newest}");
        expect(404, own(&harness, Method::DELETE, &path, &eve)).await;
        expect(404, own(&harness, Method::DELETE, &format!("/{}", SessionId::new(harness.clock.now())), &seb)).await;
        expect(404, own(&harness, Method::DELETE, &format!("/{}", browsers[2].cookie), &seb)).await;
        expect(200, own(&harness, Method::DELETE, &path, &current)).await;
        expect(404, own(&harness, Method::DELETE, &path, &current)).await;
        expect(404, exchange(&harness, &browsers[2].cookie).await).await;

        expect(200, own(&harness, Method::DELETE, "", &current)).await;
        expect(404, exchange(&harness, &browsers[1].cookie).await).await;
        for kept in [&browsers[0], &others] {
            expect(200, exchange(&harness, &kept.cookie).await).await;
        }
        harness.stop().await;
    }

    async fn only_a_persons_own_token_begins_a_session_and_only_a_cookie_ends_one(backend: Backend) {
        let harness = auth(&backend).start().await;
        let person = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let service = service_token(&harness, "v1api", "auth").await;
        let key = json!({
            "kind": "key+jwt", "sub": "key_1", "audience": "slipway", "lifetime": 60,
            "identity_id": claims(&person)["sub"], "actor_type": "euser",
        });
        let key = token(harness.private(Method::POST, "auth", "/internal/tokens").bearer_auth(&service).json(&key)).await;
        for other in [key.as_str(), service.as_str(), "a.b.c", ""] {
            let response = begin(&harness, other).send().await.unwrap();
            assert_eq!((response.status().as_u16(), cookie_in(&response)), (401, None));
        }
        let session = browser(begin(&harness, &person)).await;
        let bare = || harness.request(Method::DELETE, "auth", "/auth/session");
        expect(401, bare()).await;
        let refused = expect(401, bare().bearer_auth(&person)).await;
        assert_eq!((&refused["type"], &refused["message"]), (&json!("unauthorized"), &json!("Unauthorized")));
        for odd in ["", "s%3Aabc.def", &"x".repeat(43), &"x".repeat(5_000)] {
            expect(401, sign_out(&harness, odd)).await;
        }
        // Two that differ are none, for nothing tells which is the person's.
        let two = format!("connect.sid={}; connect.sid={}", session.cookie, SessionCookie::random().expose());
        expect(401, bare().header("cookie", two)).await;
        expect(200, sign_out(&harness, &session.cookie)).await;
        assert_eq!(session.answer["user"]["actor_type"], "euser");

        // Others than the gateway trade nothing.
        let account = service_token(&harness, "account", "auth").await;
        let ask = harness.private(Method::POST, "auth", "/internal/sessions/exchange").bearer_auth(&account);
        expect(403, ask.json(&json!({ "digest": "0" }))).await;
        harness.stop().await;
    }

    async fn cookies_are_kept_as_digests_only(backend: Backend) {
        let harness = auth(&backend).start().await;
        let person = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let session = browser(begin(&harness, &person)).await;
        let kept: Vec<String> = db(&harness)
            .read(|db| {
                use diesel::prelude::*;
                #[derive(QueryableByName)]
                struct Row {
                    #[diesel(sql_type = diesel::sql_types::Text)]
                    digest: String,
                }
                diesel::sql_query("SELECT digest FROM sessions")
                    .load::<Row>(db)
                    .map(|rows| rows.into_iter().map(|row| row.digest).collect())
            })
            .await
            .unwrap();
        assert_eq!(kept, [SessionCookie::given(&session.cookie).unwrap().digest()]);
        assert!(!kept[0].contains(&session.cookie));
        harness.stop().await;
    }

    async fn when_a_session_was_last_seen_is_noted_to_a_few_minutes(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        let person = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let session = browser(begin(&harness, &person)).await;
        let seen = async || {
            let listed = eventually_async("a list", || async {
                let response = own(&harness, Method::GET, "", &person).send().await.unwrap();
                (response.status() == 200).then_some(response)
            });
            let listed: Value = listed.await.json().await.unwrap();
            listed["sessions"][0]["last_seen_at"].as_str().unwrap().to_owned()
        };
        let first = seen().await;
        clock.advance(Span::minutes(4));
        expect(200, exchange(&harness, &session.cookie).await).await;
        assert_eq!(seen().await, first);
        clock.advance(Span::minutes(2));
        expect(200, exchange(&harness, &session.cookie).await).await;
        assert_ne!(seen().await, first);
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cookie_is_secure_where_people_come_by_https_and_for_a_domain_where_told() {
    let backend = Backend::sqlite();
    let harness = auth(&backend)
        .setting("gateway.public_url", "https://slipway.example")
        .setting("auth.cookie_domain", "slipway.example")
        .start()
        .await;
    let person = token(register(&harness, "seb@x.dev", PASSWORD)).await;
    let response = begin(&harness, &person).send().await.unwrap();
    let set = response.headers()["set-cookie"].to_str().unwrap();
    assert!(
        set.contains("; Secure") && set.contains("; Domain=slipway.example"),
        "{set}"
    );
    harness.stop().await;
}
