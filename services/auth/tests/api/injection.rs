//! Texts that mean harm to whatever reads them, in each field of each body and query.

use super::*;

pub(crate) const HARMFUL: [&str; 12] = [
    "'; DROP TABLE identities; --",
    "' OR '1'='1",
    "\" OR \"\"=\"",
    "a@x.dev\r\nX-Injected: yes",
    "a@x.dev\r\n\r\nHTTP/1.1 200 OK",
    "\u{0}",
    "a\u{0}b@x.dev",
    "../../../etc/passwd",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "<script>alert(1)</script>@x.dev",
    "\u{202e}moc.x@a\u{feff}",
    "%00%0d%0aX-Injected:%20yes",
];

/// A request with a good body, of which one member after the other is replaced.
struct Target {
    method: Method,
    path: &'static str,
    /// Whose token goes along.
    bearer: Bearer,
    body: Value,
}

#[derive(Clone, Copy)]
enum Bearer {
    Nobody,
    Person,
    Server,
}

fn targets() -> Vec<Target> {
    let person = credentials("one@x.dev", PASSWORD);
    let target = |method: Method, path, bearer, body: &Value| Target {
        method,
        path,
        bearer,
        body: body.clone(),
    };
    let client = json!({ "cid": "c", "pid": "one", "email": "one@x.dev", "password": PASSWORD, "client_ip": "192.0.2.1" });
    vec![
        target(
            Method::POST,
            "/auth/euser/emailpass",
            Bearer::Nobody,
            &person,
        ),
        target(
            Method::POST,
            "/auth/euser/emailpass/register",
            Bearer::Nobody,
            &person,
        ),
        target(Method::POST, "/api/users/signup", Bearer::Nobody, &person),
        target(Method::POST, "/api/users/login", Bearer::Nobody, &person),
        target(
            Method::POST,
            "/v1/realms",
            Bearer::Person,
            &json!({ "name": "x", "account_id": "acc_x", "password_policy": "seed" }),
        ),
        target(Method::POST, "/auth", Bearer::Server, &client),
        target(Method::PUT, "/auth", Bearer::Server, &client),
        target(Method::POST, "/signup", Bearer::Server, &client),
        target(Method::POST, "/login", Bearer::Server, &client),
        target(Method::POST, "/logout", Bearer::Server, &client),
        target(Method::POST, "/reset", Bearer::Server, &client),
        target(Method::PUT, "/password", Bearer::Server, &client),
    ]
}

/// Paths with a place for a text.
const PATHS: [(&str, Bearer); 7] = [
    ("/auth/{}/emailpass", Bearer::Nobody),
    ("/auth/euser/{}", Bearer::Nobody),
    ("/api/users/{}/accounts/login", Bearer::Nobody),
    ("/v1/realms/{}", Bearer::Person),
    ("/v1/realms?after={}", Bearer::Person),
    ("/v1/realms?limit={}", Bearer::Person),
    ("/api/users/1/accounts?after={}", Bearer::Person),
];

testkit::on_both_backends! {
    async fn no_text_in_any_field_does_more_than_be_one(backend: Backend) {
        let harness = auth(&backend).start().await;
        let person = token(register(&harness, "owner@x.dev", PASSWORD)).await;
        let made = post(&harness, "/v1/realms", &json!({ "name": "People" })).bearer_auth(&person);
        let realm = expect(201, made).await["realm"]["id"].clone();
        let gateway = service_token(&harness, "v1api", "auth").await;
        let key = json!({
            "kind": "key+jwt", "sub": "key_1", "audience": "slipway", "lifetime": 3600, "scope": "clients:write",
            "identity_id": claims(&person)["sub"], "actor_type": "euser", "extra": { "realm_id": realm },
        });
        let request = harness.private(Method::POST, "auth", "/internal/tokens").bearer_auth(&gateway);
        let key = token(request.json(&key)).await;
        let send = async |method: Method, path: &str, bearer: Bearer, body: &Value| {
            let mut request = harness.request(method, "auth", path).json(body);
            match bearer {
                Bearer::Nobody => {}
                Bearer::Person => request = request.bearer_auth(&person),
                Bearer::Server => request = request.bearer_auth(&key),
            }
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            assert!(!answer.headers().contains_key("x-injected"), "{path}: {body}");
            let text = answer.text().await.unwrap();
            assert!(status < 500, "{path} answers {status} to {body}: {text}");
            assert!(!text.contains("syntax error") && !text.contains("SELECT"), "{path}: {text}");
        };
        for target in targets() {
            for field in target.body.as_object().unwrap().keys() {
                for text in HARMFUL {
                    let mut body = target.body.clone();
                    body[field] = text.into();
                    send(target.method.clone(), target.path, target.bearer, &body).await;
                }
            }
        }
        for (path, bearer) in PATHS {
            for text in HARMFUL {
                let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
                let path = path.replace("{}", &encoded);
                let method = if matches!(bearer, Bearer::Nobody) { Method::POST } else { Method::GET };
                send(method, &path, bearer, &json!({ "email": "one@x.dev", "password": PASSWORD })).await;
            }
        }
        // All is still there.
        expect(200, login(&harness, "euser", "owner@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn an_address_that_looks_like_another_is_another(backend: Backend) {
        let harness = auth(&backend).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        // Case is none of it.
        expect(200, login(&harness, "euser", "SEB@X.dev", PASSWORD)).await;
        expect(401, register(&harness, "Seb@x.Dev", "another password")).await;
        // A Cyrillic letter, a fullwidth one, another Cyrillic one, a space of no width, a fullwidth domain.
        for other in ["ѕeb@x.dev", "ｓeb@x.dev", "seb@x.d\u{435}v", "se\u{200b}b@x.dev", "seb@ｘ.dev"] {
            expect(401, login(&harness, "euser", other, PASSWORD)).await;
            let registered = register(&harness, other, "another password").send().await.unwrap();
            let status = registered.status().as_u16();
            assert!([200, 400].contains(&status), "{other}: {status}");
        }
        // The dotted capital is no capital of the plain letter; the Kelvin sign is a K, by its definition.
        expect(200, register(&harness, "i@x.dev", PASSWORD)).await;
        expect(401, login(&harness, "euser", "\u{130}@x.dev", PASSWORD)).await;
        expect(200, register(&harness, "kelvin@x.dev", PASSWORD)).await;
        expect(200, login(&harness, "euser", "\u{212a}elvin@x.dev", PASSWORD)).await;
        expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        harness.stop().await;
    }
}
