use super::*;

/// The services that are not under test, which have done nothing.
fn idle() -> [Double; 4] {
    ["v1api", "project", "github", "provisioner"]
        .map(|name| Double::new(name, |_| (404, json!({}))))
}

impl World {
    async fn audited(backend: &Backend) -> Self {
        let doubles = idle();
        let doubles: Vec<_> = doubles.iter().collect();
        Self::beside(backend, &[], Clock::system(), &doubles).await
    }

    /// All entries, page by page.
    async fn entries(&self, token: &str, path: &str, filter: &str, size: usize) -> Vec<Value> {
        let (mut entries, mut after) = (Vec::new(), String::new());
        loop {
            let page = expect(
                200,
                self.get(token, &format!("{path}?limit={size}{filter}{after}")),
            )
            .await;
            let found = page["entries"].as_array().unwrap();
            assert!(found.len() <= size);
            entries.extend(found.clone());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return entries,
            }
        }
    }
}

fn told(entries: &[Value], name: &str) -> Vec<String> {
    entries.iter().map(|entry| text(&entry[name])).collect()
}

testkit::on_both_backends! {
    async fn what_the_services_wrote_down_is_one_list_newest_first(backend: Backend) {
        let world = World::audited(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let account = world.account(&seb).await;
        let all = world.entries(&world.admin, "/v1/audit", "", 100).await;
        let ids = told(&all, "id");
        assert!(ids.is_sorted_by(|one, other| one > other), "{ids:?}");
        let services: std::collections::BTreeSet<_> = told(&all, "service").into_iter().collect();
        assert_eq!(services, ["account".to_owned(), "auth".to_owned()].into());
        for size in [1, 2, 3, 7] {
            assert_eq!(world.entries(&world.admin, "/v1/audit", "", size).await, all, "pages of {size}");
        }

        let only = async |filter: String| {
            let found = world.entries(&world.admin, "/v1/audit", &filter, 2).await;
            assert!(!found.is_empty(), "{filter}");
            found
        };
        let found = only("&action=identity.created".into()).await;
        assert!(told(&found, "action").iter().all(|action| action == "identity.created"));
        // Her token is of the time before she had a user.
        let identity = world.identity(&seb).await;
        let found = only(format!("&actor={identity}")).await;
        assert!(told(&found, "actor").iter().all(|actor| *actor == identity));
        let found = only(format!("&subject={account}")).await;
        assert_eq!(told(&found, "action"), ["account.created"]);
        let found = only(format!("&account_id={account}")).await;
        assert_eq!(told(&found, "action"), ["invite.accepted", "invite.created", "account.created"]);
        // From the millisecond of one entry on, and before that.
        let border = all[all.len() / 2]["at"].as_str().unwrap();
        let since = world.entries(&world.admin, "/v1/audit", &format!("&from={border}"), 3).await;
        let before = world.entries(&world.admin, "/v1/audit", &format!("&to={border}"), 3).await;
        assert_eq!([since, before].concat(), all);
        for wrong in ["after=x", "from=yesterday", "account_id=x", "unknown=1"] {
            assert_eq!(expect(400, world.get(&world.admin, &format!("/v1/audit?{wrong}"))).await["code"], "invalid_query");
        }
        assert!(!json!(all).to_string().contains(PASSWORD));
        world.harness.stop().await;
    }

    async fn the_log_is_for_admins_and_an_accounts_part_for_its_owners(backend: Backend) {
        let world = World::audited(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let dev = world.person("dev@x.dev").await;
        let (own, other) = (world.account(&seb).await, world.account(&eve).await);
        world.join(&own, &seb.token, &dev, "developer").await;
        let path = format!("/v1/accounts/{own}/audit");
        assert_eq!(expect(403, world.get(&seb.token, "/v1/audit")).await["code"], "wrong_actor");
        expect(401, world.get("", "/v1/audit")).await;
        expect(404, world.get(&eve.token, &path)).await;
        assert_eq!(expect(403, world.get(&dev.token, &path)).await["code"], "insufficient_role");

        let entries = world.entries(&seb.token, &path, "", 2).await;
        assert!(entries.len() >= 5, "{entries:?}");
        assert!(entries.iter().all(|entry| entry["account_id"] == json!(own)), "{entries:?}");
        // From where an operator acted is no tenant's business; from where members did is.
        for entry in &entries {
            assert_eq!(entry["ip"].is_null(), entry["actor_type"] == "admin", "{entry}");
        }
        let by_admin = world.entries(&world.admin, &path, "", 100).await;
        assert_eq!(told(&by_admin, "id"), told(&entries, "id"));
        // Naming another account doesn't open it.
        expect(400, world.get(&seb.token, &format!("{path}?account_id={other}"))).await;
        expect(404, world.get(&seb.token, &format!("/v1/accounts/{other}/audit"))).await;
        let theirs = told(&world.entries(&world.admin, "/v1/audit", &format!("&account_id={other}"), 100).await, "id");
        let cursor = theirs.first().unwrap();
        let page = expect(200, world.get(&seb.token, &format!("{path}?after={cursor}"))).await;
        assert!(page["entries"].as_array().unwrap().iter().all(|entry| entry["account_id"] == json!(own)));
        world.harness.stop().await;
    }

    async fn a_list_that_a_part_is_missing_of_is_none(backend: Backend) {
        let away = [("services.github.private_url", "http://127.0.0.1:1")];
        let doubles = idle();
        let doubles: Vec<_> = doubles.iter().collect();
        let world = World::beside(&backend, &away, Clock::system(), &doubles).await;
        let refused = expect(503, world.get(&world.admin, "/v1/audit")).await;
        assert_eq!(refused["code"], "service_unavailable");
        world.harness.stop().await;
    }

    async fn each_act_of_an_operator_is_written_down(backend: Backend) {
        let world = World::audited(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let identity = world.identity(&seb).await;
        expect(200, world.administer(Method::PUT, &identity, "/actors/admin")).await;
        expect(200, world.administer(Method::DELETE, &identity, "/actors/admin")).await;
        for disabled in [true, false] {
            let body = json!({ "disabled": disabled });
            expect(200, world.administer(Method::PATCH, &identity, "").json(&body)).await;
        }
        expect(200, world.administer(Method::POST, &identity, "/force-reset")).await;
        expect(200, world.administer(Method::DELETE, &identity, "")).await;
        let entries = world.entries(&world.admin, "/v1/audit", &format!("&subject={identity}"), 2).await;
        let expected = [
            "identity.deleted", "identity.reset_forced", "identity.enabled", "identity.disabled",
            "identity.actor_withdrawn", "identity.actor_granted",
        ];
        assert_eq!(&told(&entries, "action")[..6], expected);
        let entries = world.entries(&world.admin, "/v1/audit", &format!("&subject={}", seb.id), 100).await;
        assert_eq!(told(&entries, "action"), ["user.deleted", "user.created"]);
        world.harness.stop().await;
    }
}
