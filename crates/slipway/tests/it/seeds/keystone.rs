//! "Keystone Auth Server": a program asks for a login, its person answers at GitHub in her browser, and
//! the program completes the login.

use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Client, Method, Response, redirect};
use serde_json::{Value, json};
use testkit::github::{CLIENT_ID, CLIENT_SECRET, Github, OauthApp, Person};
use testkit::{Receiver, eventually_async, expect};

use super::text;
use crate::harness::{InProcess, client};

/// A platform that is known at a GitHub.
struct Keystone {
    up: InProcess,
    github: Github,
    /// A browser that goes nowhere by itself.
    browser: Client,
}

impl Keystone {
    async fn start(backend: &testkit::Backend) -> Self {
        let github = Github::start("http://localhost", common::time::Clock::system());
        github.add(Person::new(
            4711,
            "gaelph",
            "Les Licornes ont des yeux",
            "licornes@ont-des-yeux.com",
        ));
        let settings = github.settings();
        let settings: Vec<_> = settings
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let up = InProcess::on(backend, &settings).await;
        github.register(OauthApp::new(CLIENT_ID, CLIENT_SECRET, &up.url));
        let _tls = client();
        let browser = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none());
        Self {
            up,
            github,
            browser: browser.build().unwrap(),
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.browser
            .request(method, format!("{}{path}", self.up.url))
    }

    /// The person opens the page, clicks, consents at GitHub and comes back.
    async fn answer(&self, authorize_url: &str) -> Response {
        let page = self.browser.get(authorize_url).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let cookie = page.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let html = page.text().await.unwrap();
        let (_, proof) = html.split_once("name=\"proof\" value=\"").expect(&html);
        let form = [
            ("proof", proof.split('"').next().unwrap()),
            ("decision", "continue"),
        ];
        let click = self.browser.post(authorize_url).header(COOKIE, &cookie);
        let on = click.form(&form).send().await.unwrap();
        assert_eq!(on.status(), 303, "{}", on.text().await.unwrap());
        let back = self
            .github
            .consent(on.headers()["location"].to_str().unwrap(), "gaelph")
            .await;
        self.browser
            .get(back)
            .header(COOKIE, &cookie)
            .send()
            .await
            .unwrap()
    }
}

testkit::on_both_backends! {
    async fn a_program_signs_its_person_in_by_github(backend: Backend) {
        let keystone = Keystone::start(&backend).await;
        // No body is expected.
        let asked = expect(200, keystone.request(Method::POST, "/login-request")).await;
        for member in ["id", "temporary_code", "auth_code", "answered", "created_at", "updated_at"] {
            assert!(asked.get(member).is_some(), "{member}: {asked}");
        }
        assert!(asked["id"].is_i64() && asked["answered"] == false && asked["auth_code"].is_null());
        let path = format!("/login-request?code={}", text(&asked["temporary_code"]));
        assert_eq!(expect(200, keystone.request(Method::GET, &path)).await["answered"], false);

        let end = keystone.answer(&text(&asked["authorize_url"])).await;
        let header = |name: &str| end.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((end.status().as_u16(), header("content-type")), (200, "text/html; charset=utf-8".into()));
        assert!(header("content-security-policy").contains("default-src 'none'"));
        assert!(end.text().await.unwrap().contains("You are signed in"));

        // At the request's pace.
        let polled: Value = eventually_async("the request is answered", || async {
            let response = keystone.request(Method::GET, &path).send().await.unwrap();
            match response.status().as_u16() {
                200 => Some(response.json().await.unwrap()),
                429 => None,
                other => panic!("{other}: {}", response.text().await.unwrap()),
            }
        }).await;
        assert_eq!((&polled["id"], &polled["answered"]), (&asked["id"], &json!(true)));

        // The document's own body names no key at all.
        let mut body = json!({
            "account_type": "github", "token": "eoiruer432dcb wdfkle w94d8", "public_key": "the user public key",
        });
        let complete = |body: &Value| keystone.request(Method::POST, "/complete").json(body);
        expect(422, complete(&body)).await;
        let receiver = Receiver::new(false);
        body["public_key"] = receiver.jwk();
        expect(401, complete(&body)).await;
        body["token"] = polled["auth_code"].clone();
        let done = expect(200, complete(&body)).await;
        assert_eq!(
            (&done["account_type"], &done["username"], &done["ext_id"]),
            (&json!("github"), &json!("gaelph"), &json!("4711")),
        );
        assert_eq!((&done["fullnamd"], &done["fullname"]), (&json!("Les Licornes ont des yeux"), &json!("Les Licornes ont des yeux")));
        assert_eq!(done["email"], "licornes@ont-des-yeux.com");
        assert!(done["id"].is_i64());
        assert_eq!(text(&done["user_id"]).split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        for key in ["sign", "ciper", "cipher"] {
            assert_eq!(done["keys"][key]["crv"], "P-256", "{key}");
        }
        expect(401, complete(&body)).await;

        // What the program reads with its key is a token of the platform's.
        let token = receiver.read(&text(&done["token"]));
        let user = json!({ "email": "licornes@ont-des-yeux.com" });
        let user = keystone.request(Method::POST, "/v1/users").bearer_auth(&token).json(&user);
        expect(201, user).await;
        keystone.up.platform.stop().await;
    }

    async fn a_frontend_signs_its_person_in_by_github(backend: Backend) {
        let keystone = Keystone::start(&backend).await;
        let start = keystone.request(Method::POST, "/auth/euser/github").json(&json!({}));
        let location = text(&expect(200, start).await["location"]);
        let back = keystone.github.consent(&location, "gaelph").await;
        // GitHub sends her to the gateway itself unless the frontend has asked for a page of its own.
        assert!(back.as_str().starts_with(&keystone.up.url), "{back}");
        let token = text(&expect(200, keystone.browser.get(back)).await["token"]);
        let refreshed = keystone.request(Method::POST, "/auth/token/refresh").bearer_auth(token);
        expect(200, refreshed).await;
        keystone.up.platform.stop().await;
    }
}
