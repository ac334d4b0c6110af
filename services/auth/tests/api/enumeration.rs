//! No answer tells a stranger who exists, and no stranger's wrong tries end what somebody has.
//!
//! The time that answers take is measured by the benchmarks, where a noisy machine fails nothing.

use super::*;

/// What is asked about an address.
type Ask<'a> = &'a dyn Fn(&str) -> reqwest::RequestBuilder;

/// Status, headers and body, without what differs from answer to answer.
async fn told(request: reqwest::RequestBuilder) -> (u16, Vec<(String, String)>, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let varying = ["date", "x-request-id", "traceparent"];
    let mut headers: Vec<_> = answer
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .filter(|(name, _)| !varying.contains(&name.as_str()))
        .collect();
    headers.sort();
    let text = answer.text().await.unwrap();
    let text = match serde_json::from_str::<Value>(&text) {
        Ok(mut body) => {
            body["request_id"] = Value::Null;
            body.to_string()
        }
        Err(_) => text,
    };
    (status, headers, text)
}

testkit::on_both_backends! {
    async fn an_answer_is_the_same_whoever_exists(backend: Backend) {
        let harness = auth(&backend).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        expect(200, post(&harness, "/api/users/signup", &credentials("verte@x.dev", PASSWORD))).await;
        let asks: [(&str, Ask<'_>); 6] = [
            ("login", &|email| login(&harness, "euser", email, "another password")),
            ("login by GET", &|email| {
                let request = harness.request(Method::GET, "auth", "/auth/euser/emailpass");
                request.json(&credentials(email, "another password"))
            }),
            ("an operator's login", &|email| login(&harness, "admin", email, PASSWORD)),
            ("verte-auth's login", &|email| post(&harness, "/api/users/login", &credentials(email, "another password"))),
            ("reset", &|email| post(&harness, "/auth/euser/emailpass/reset-password", &json!({ "identifier": email }))),
            ("an operator's reset", &|email| post(&harness, "/auth/admin/emailpass/reset-password", &json!({ "identifier": email }))),
        ];
        for (name, ask) in asks {
            // Neither is tried often enough to be paced.
            let unknown = told(ask("nobody@x.dev")).await;
            assert_eq!(told(ask("seb@x.dev")).await, unknown, "{name}");
            assert_eq!(told(ask("verte@x.dev")).await, unknown, "{name}");
        }
        harness.stop().await;
    }

    async fn wrong_tries_of_others_end_nothing_that_somebody_has(backend: Backend) {
        let harness = auth(&backend).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        let token = token(login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        for _ in 0..5 {
            expect(401, login(&harness, "euser", "seb@x.dev", "another password")).await;
        }
        expect(429, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        // Whoever is signed in stays so, and can go on for as long as she could.
        let refreshed = expect(200, refresh(&harness, &token)).await["token"].as_str().unwrap().to_owned();
        expect(200, refresh(&harness, &refreshed)).await;
        harness.stop().await;
    }
}
