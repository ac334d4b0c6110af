use common::event::{Envelope, ProjectEvent};
use common::role::Role;
use serde_json::{Value, json};
use testkit::{Backend, on_both_backends};

use crate::fakes::unique;
use crate::harness::{Answer, Api, Member, Project, run, run_with};
use crate::names::Names;

/// Starts the service with name and web servers of the test's own.
async fn with_names(backend: Backend, more: &[(&str, &str)], test: impl AsyncFnOnce(&Api, &Names)) {
    let names = Names::start().await;
    let (server, port) = (names.server.to_string(), names.web.port().to_string());
    let mut settings = vec![
        ("domains.resolvers", server.as_str()),
        ("domains.file_port", port.as_str()),
        ("domains.allowed_addresses", "127.0.0.1"),
        ("domains.pause", "0s"),
    ];
    settings.extend(more);
    run_with(backend, &settings, async |api| test(api, &names).await).await;
}

fn path(project: &Project) -> String {
    format!("{}/domains", project.environment_path)
}

fn domain() -> String {
    format!("{}.example", unique("shop"))
}

async fn claim(api: &Api, by: &Member, project: &Project, domain: &str) -> Value {
    let body = json!({ "domain": domain });
    let body = api.post(&path(project), by, body).await.expect(201);
    body["domain"].clone()
}

async fn verify(api: &Api, by: &Member, project: &Project, domain: &str) -> Answer {
    api.post(&format!("{}/{domain}/verify", path(project)), by, json!({}))
        .await
}

/// Puts up the record that a claim asks for.
fn put_up(names: &Names, claim: &Value) {
    let record = &claim["challenge"]["dns"];
    names.text(
        record["name"].as_str().unwrap(),
        &[record["value"].as_str().unwrap()],
    );
}

/// What was told of a domain: for which environments it was verified, and for which dropped.
fn story(told: &[Envelope<ProjectEvent>]) -> Vec<(i64, &'static str, String)> {
    let part = |envelope: &Envelope<ProjectEvent>| {
        let (what, state) = match &envelope.event {
            ProjectEvent::DomainVerified(state) => ("verified", state),
            ProjectEvent::DomainDropped(state) => ("dropped", state),
            other => panic!("{other:?}"),
        };
        assert_eq!(state.dropped, what == "dropped");
        (
            envelope.aggregateversion,
            what,
            state.environment_id.to_string(),
        )
    };
    told.iter().map(part).collect()
}

on_both_backends! {
    async fn a_domain_is_shown_with_how_it_stands_with_its_certificate(backend: Backend) {
        with_names(backend, &[], async |api, _names| {
            let member = api.account();
            let project = api.project(&member, "shop").await;
            let domain = domain();
            claim(api, &member, &project, &domain).await;
            let one = format!("{}/{domain}", path(&project));
            let certificate = async || {
                let got = api.get(&one, &member).await.expect(200)["domain"]["certificate"].clone();
                let listed = api.get(&path(&project), &member).await.expect(200)["domains"][0]["certificate"].clone();
                assert_eq!(got, listed);
                got
            };
            assert_eq!(certificate().await, Value::Null, "none is got for it");
            let standing = json!({
                "state": "failing", "problem": "not_led_here", "not_after": null, "next_order_at": "2030-01-02T03:04:05Z",
            });
            let known = serde_json::from_value(json!({ &domain: standing })).unwrap();
            *api.world.certificates.lock().unwrap() = Some(known);
            let shown = certificate().await;
            assert_eq!((&shown["state"], &shown["problem"]), (&json!("failing"), &json!("not_led_here")));
            assert!(shown["next_order_at"].as_str().unwrap().starts_with("2030-01-02T03:04:05"), "{shown}");
            // A domain is shown all the same.
            *api.world.certificates.lock().unwrap() = None;
            assert_eq!(certificate().await["state"], "unknown");
        }).await;
    }

    async fn a_domain_is_claimed_shown_by_a_record_and_taken_away(backend: Backend) {
        with_names(backend, &[], async |api, names| {
            let owner = api.account();
            let project = api.project(&owner, "shop").await;
            let domain = domain();
            let claimed = claim(api, &owner, &project, &domain.to_uppercase()).await;
            assert_eq!(claimed["domain"], domain);
            assert_eq!(claimed["status"], "pending");
            assert_eq!(claimed["url"], format!("http://{domain}:8080/"));
            let record = &claimed["challenge"]["dns"];
            assert_eq!(record["name"], format!("_slipway-challenge.{domain}"));
            let again = api.post(&path(&project), &owner, json!({ "domain": domain })).await;
            again.refused(409, "domain_exists");

            let refused = verify(api, &owner, &project, &domain).await.refused(422, "domain_not_verified");
            let detail = refused["detail"].as_str().unwrap();
            assert!(detail.contains("no TXT record") && detail.contains("can't be reached"), "{detail}");
            let at = format!("{}/{domain}", path(&project));
            let body = api.get(&at, &owner).await.expect(200);
            assert!(body["domain"]["problem"].as_str().unwrap().contains("no TXT record"));
            names.text(record["name"].as_str().unwrap(), &["another"]);
            let refused = verify(api, &owner, &project, &domain).await.refused(422, "domain_not_verified");
            assert!(refused["detail"].as_str().unwrap().contains("something else"));

            put_up(names, &claimed);
            let body = verify(api, &owner, &project, &domain).await.expect(200);
            assert_eq!((&body["domain"]["status"], &body["domain"]["method"]), (&json!("verified"), &json!("dns")));
            assert_eq!(body["domain"]["problem"], Value::Null);
            assert!(body["domain"]["verified_at"].is_string());
            verify(api, &owner, &project, &domain).await.expect(200);
            assert_eq!(api.get(&at, &owner).await.expect(200)["domain"]["status"], "verified");
            let listed = api.get(&path(&project), &owner).await.expect(200);
            assert_eq!(listed["domains"][0]["domain"], domain);

            assert_eq!(api.delete(&at, &owner).await.expect(200)["id"], domain);
            api.get(&at, &owner).await.refused(404, "not_found");
            api.delete(&at, &owner).await.refused(404, "not_found");
            verify(api, &owner, &project, &domain).await.refused(404, "not_found");
            let told = api.told(&domain, 2).await;
            let environment = project.environment.clone();
            assert_eq!(story(&told), [(1, "verified", environment.clone()), (2, "dropped", environment)]);
        }).await;
    }

    async fn a_domain_is_shown_by_a_file_that_a_careless_server_does_not_have(backend: Backend) {
        with_names(backend, &[], async |api, names| {
            let owner = api.account();
            let project = api.project(&owner, "shop").await;
            let domain = domain();
            let claimed = claim(api, &owner, &project, &domain).await;
            let file = &claimed["challenge"]["file"];
            let url: url::Url = file["url"].as_str().unwrap().parse().unwrap();
            assert_eq!(url.host_str(), Some(domain.as_str()));
            assert!(url.path().starts_with("/.well-known/slipway-challenge/"));
            let why = async || {
                let refused = verify(api, &owner, &project, &domain).await.refused(422, "domain_not_verified");
                refused["detail"].as_str().unwrap().to_owned()
            };
            names.address(&domain, [127, 0, 0, 1]);
            assert!(why().await.contains("answers 404"));
            names.file(url.path(), "echo");
            assert!(why().await.contains("holds something else"));
            names.file(url.path(), &"x".repeat(100_000));
            assert!(why().await.contains("holds something else"));
            names.file(url.path(), &format!("{}\n", file["content"].as_str().unwrap()));
            // An address inside that nobody has allowed isn't asked, whatever is there.
            names.address(&domain, [127, 0, 0, 2]);
            assert!(why().await.contains("can't be reached"));
            names.address(&domain, [127, 0, 0, 1]);
            let body = verify(api, &owner, &project, &domain).await.expect(200);
            assert_eq!(body["domain"]["method"], "file");
        }).await;
    }

    async fn of_several_who_claim_a_domain_whoever_shows_it_has_it(backend: Backend) {
        with_names(backend, &[], async |api, names| {
            let (first, second) = (api.account(), api.account());
            let (one, two) = (api.project(&first, "one").await, api.project(&second, "two").await);
            let domain = domain();
            // The first one's claim holds up nobody.
            let squatted = claim(api, &first, &one, &domain).await;
            let claimed = claim(api, &second, &two, &domain).await;
            assert_ne!(squatted["challenge"], claimed["challenge"]);
            put_up(names, &claimed);
            verify(api, &first, &one, &domain).await.refused(422, "domain_not_verified");
            verify(api, &second, &two, &domain).await.expect(200);

            // Even with her own record there, the first one isn't told whose it is, and can't have it.
            put_up(names, &squatted);
            let refused = verify(api, &first, &one, &domain).await.refused(409, "domain_in_use");
            assert!(!refused.to_string().contains(second.account.as_str()), "{refused}");
            let third = api.account();
            let three = api.project(&third, "three").await;
            let refused = api.post(&path(&three), &third, json!({ "domain": domain })).await;
            let refused = refused.refused(409, "domain_in_use");
            assert!(!refused.to_string().contains(second.account.as_str()), "{refused}");

            // Given up, it is the next one's who shows it; what is told of it goes on counting.
            api.delete(&format!("{}/{domain}", path(&two)), &second).await.expect(200);
            verify(api, &first, &one, &domain).await.expect(200);
            let told = api.told(&domain, 3).await;
            let (one, two) = (one.environment.clone(), two.environment.clone());
            assert_eq!(story(&told), [(1, "verified", two.clone()), (2, "dropped", two), (3, "verified", one)]);
        }).await;
    }

    async fn a_domain_moves_within_its_account_by_one_event(backend: Backend) {
        with_names(backend, &[], async |api, names| {
            let owner = api.account();
            let (one, two) = (api.project(&owner, "one").await, api.project(&owner, "two").await);
            let domain = domain();
            put_up(names, &claim(api, &owner, &one, &domain).await);
            verify(api, &owner, &one, &domain).await.expect(200);
            let claimed = claim(api, &owner, &two, &domain).await;
            // To say so isn't enough: who may deploy there need not be who answers for the domain.
            verify(api, &owner, &two, &domain).await.refused(422, "domain_not_verified");
            put_up(names, &claimed);
            verify(api, &owner, &two, &domain).await.expect(200);
            let before = format!("{}/{domain}", path(&one));
            assert_eq!(api.get(&before, &owner).await.expect(200)["domain"]["status"], "pending");
            // What was moved away takes nothing with it.
            api.delete(&before, &owner).await.expect(200);
            api.delete(&format!("{}/{domain}", path(&two)), &owner).await.expect(200);
            let (one, two) = (one.environment.clone(), two.environment.clone());
            let story = story(&api.told(&domain, 3).await);
            assert_eq!(story, [(1, "verified", one), (2, "verified", two.clone()), (3, "dropped", two)]);
        }).await;
    }

    async fn two_who_show_a_domain_at_once_are_not_both_served(backend: Backend) {
        with_names(backend, &[], async |api, names| {
            let (first, second) = (api.account(), api.account());
            let (one, two) = (api.project(&first, "one").await, api.project(&second, "two").await);
            let domain = domain();
            let ours = claim(api, &first, &one, &domain).await;
            let theirs = claim(api, &second, &two, &domain).await;
            put_up(names, &ours);
            names.address(&domain, [127, 0, 0, 1]);
            let file: url::Url = theirs["challenge"]["file"]["url"].as_str().unwrap().parse().unwrap();
            names.file(file.path(), theirs["challenge"]["file"]["content"].as_str().unwrap());
            let (one, two) = tokio::join!(verify(api, &first, &one, &domain), verify(api, &second, &two, &domain));
            let mut statuses = [one.status.as_u16(), two.status.as_u16()];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 409]);
        }).await;
    }

    async fn a_domain_goes_with_its_environment(backend: Backend) {
        with_names(backend, &[], async |api, names| {
            let owner = api.account();
            let project = api.project(&owner, "shop").await;
            let domain = domain();
            put_up(names, &claim(api, &owner, &project, &domain).await);
            claim(api, &owner, &project, &format!("www.{domain}")).await;
            verify(api, &owner, &project, &domain).await.expect(200);
            api.delete(&project.path, &owner).await.expect(200);
            assert_eq!(story(&api.told(&domain, 2).await)[1].1, "dropped");
            let other = api.account();
            let next = api.project(&other, "next").await;
            put_up(names, &claim(api, &other, &next, &domain).await);
            verify(api, &other, &next, &domain).await.expect(200);
        }).await;
    }

    async fn a_domain_whose_proof_is_gone_lapses_and_can_be_shown_again(backend: Backend) {
        let quick = [("domains.check_every", "50ms"), ("domains.grace", "100ms")];
        with_names(backend, &quick, async |api, names| {
            let owner = api.account();
            let project = api.project(&owner, "shop").await;
            let domain = domain();
            let claimed = claim(api, &owner, &project, &domain).await;
            put_up(names, &claimed);
            verify(api, &owner, &project, &domain).await.expect(200);
            names.no_text(claimed["challenge"]["dns"]["name"].as_str().unwrap());
            let at = format!("{}/{domain}", path(&project));
            let lapsed = api.until(&at, &owner, |body| body["domain"]["status"] == "lapsed").await;
            assert!(lapsed["domain"]["problem"].as_str().unwrap().contains("no TXT record"));
            assert!(lapsed["domain"]["failing_since"].is_string());
            assert_eq!(story(&api.told(&domain, 2).await)[1].1, "dropped");
            // It keeps nobody else from claiming it, and its owner from showing it again.
            let other = api.account();
            claim(api, &other, &api.project(&other, "other").await, &domain).await;
            put_up(names, &claimed);
            let body = verify(api, &owner, &project, &domain).await.expect(200);
            assert_eq!(body["domain"]["failing_since"], Value::Null);
            assert_eq!(story(&api.told(&domain, 3).await)[2].0, 3);
        }).await;
    }

    async fn a_domain_whose_proof_is_away_for_a_while_goes_on_being_served(backend: Backend) {
        let quick = [("domains.check_every", "50ms"), ("domains.grace", "1d")];
        with_names(backend, &quick, async |api, names| {
            let owner = api.account();
            let project = api.project(&owner, "shop").await;
            let domain = domain();
            let claimed = claim(api, &owner, &project, &domain).await;
            put_up(names, &claimed);
            verify(api, &owner, &project, &domain).await.expect(200);
            names.no_text(claimed["challenge"]["dns"]["name"].as_str().unwrap());
            let at = format!("{}/{domain}", path(&project));
            let failing = api.until(&at, &owner, |body| body["domain"]["failing_since"].is_string()).await;
            assert_eq!(failing["domain"]["status"], "verified");
            put_up(names, &claimed);
            let back = api.until(&at, &owner, |body| body["domain"]["failing_since"].is_null()).await;
            assert_eq!(back["domain"]["status"], "verified");
            assert_eq!(api.told(&domain, 1).await.len(), 1);
        }).await;
    }

    async fn what_can_be_nobodys_domain_is_refused(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let viewer = api.member(&owner.account, Role::Viewer);
            let project = api.project(&owner, "wrong").await;
            for domain in ["localhost", "x.localhost", "127.0.0.1", "co.uk", "a b.example", "*.shop.example", ""] {
                let refused = api.post(&path(&project), &owner, json!({ "domain": domain })).await;
                let refused = refused.refused(422, "invalid_data");
                assert_eq!(refused["errors"][0]["field"], "domain", "{refused:#}");
            }
            let idn = format!("b\u{fc}cher-{}.example", unique("x"));
            let claimed = claim(api, &owner, &project, &idn).await;
            assert!(claimed["domain"].as_str().unwrap().starts_with("xn--bcher-"), "{claimed}");
            // It is found in either spelling.
            api.get(&format!("{}/{idn}", path(&project)), &viewer).await.expect(200);
            let domain = json!({ "domain": domain() });
            api.post(&path(&project), &viewer, domain.clone()).await.refused(403, "insufficient_role");
            let stranger = api.account();
            api.post(&path(&project), &stranger, domain).await.refused(404, "not_found");
        }).await;
    }

    async fn nobody_has_a_domain_checked_all_the_time(backend: Backend) {
        with_names(backend, &[("domains.pause", "1h")], async |api, _names| {
            let owner = api.account();
            let project = api.project(&owner, "eager").await;
            let domain = domain();
            claim(api, &owner, &project, &domain).await;
            verify(api, &owner, &project, &domain).await.refused(422, "domain_not_verified");
            let answer = verify(api, &owner, &project, &domain).await;
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 3_000);
            answer.refused(429, "checked_just_now");
        }).await;
    }
}
