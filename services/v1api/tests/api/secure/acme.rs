//! Certificates by ACME, from the server that Let's Encrypt tests clients with.

use common::time::Time;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Timestamp};
use reqwest::Method;
use rustls::pki_types::CertificateDer;
use testkit::{Backend, Issuer, Maker, RunningMaker, eventually_async, on_both_backends};

use super::Secured;
use crate::support::{App, PLATFORM, World};
use crate::upstream::Upstream;

const DOMAIN: &str = "shop.customer.example";

/// Gateways that get certificates from one maker, and the maker, which asks the first of them.
async fn gateways<const N: usize>(
    backend: &Backend,
    variables: &[(&str, &str)],
    settings: &[(&str, &str)],
) -> ([World; N], RunningMaker) {
    let maker = Maker::new();
    let (directory, authority) = (maker.directory(), maker.authority());
    let own = [
        ("gateway.tls.listen", "127.0.0.1:0"),
        ("gateway.acme.directory", directory.as_str()),
        ("gateway.acme.authority", authority.to_str().unwrap()),
        ("gateway.acme.agree_to_terms", "true"),
        ("gateway.acme.contact", "operator@slipway.example"),
        ("gateway.acme.retry", "100ms"),
        ("gateway.acme.look", "50ms"),
    ];
    let settings = [&own, settings].concat();
    let issuer = Issuer::new();
    let mut worlds = Vec::new();
    for _ in 0..N {
        worlds.push(World::replica(backend, issuer.clone(), &settings).await);
    }
    let maker = maker.start(worlds[0].address.port(), variables).await;
    let worlds = worlds
        .try_into()
        .unwrap_or_else(|_| unreachable!("as many as were started"));
    (worlds, maker)
}

/// The certificate for a host that a gateway shows, whoever made it; none while it has none but others'.
async fn shown(world: &World, host: &str) -> Option<CertificateDer<'static>> {
    let address = world.harness.platform().tls_address("v1api").unwrap();
    let shown = super::shown_by(address, host).await?;
    names(&shown)
        .contains(&format!("DNSName({host})"))
        .then_some(shown)
}

/// Waits until there is one.
async fn made(world: &World, host: &str) -> CertificateDer<'static> {
    eventually_async(&format!("a certificate for {host}"), || shown(world, host)).await
}

fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    names
        .value
        .general_names
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// What is known of a host's certificate.
#[derive(QueryableByName)]
struct Kept {
    #[diesel(sql_type = Nullable<Text>)]
    chain: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    sealed_key: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Timestamp>)]
    not_after: Option<Time>,
    #[diesel(sql_type = Timestamp)]
    due_at: Time,
    #[diesel(sql_type = BigInt)]
    failures: i64,
    #[diesel(sql_type = Nullable<Text>)]
    last_error: Option<String>,
}

async fn kept(world: &World, host: &str) -> Option<Kept> {
    let query = format!(
        "SELECT chain, sealed_key, not_after, due_at, failures, last_error FROM acme_certificates WHERE host = '{host}'"
    );
    let context = world.harness.platform().context("v1api").unwrap();
    let rows = context
        .db
        .read(move |db| diesel::sql_query(query).load::<Kept>(db));
    rows.await.unwrap().pop()
}

/// The hosts that show something to the maker.
async fn challenges(world: &World) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Shown {
        #[diesel(sql_type = Text)]
        host: String,
    }
    let context = world.harness.platform().context("v1api").unwrap();
    let rows = context
        .db
        .read(|db| diesel::sql_query("SELECT host FROM acme_challenges").load::<Shown>(db));
    let rows = rows.await.unwrap();
    rows.into_iter().map(|row| row.host).collect()
}

/// The sealed credentials of the one account.
async fn account(world: &World) -> Vec<u8> {
    #[derive(QueryableByName)]
    struct Sealed {
        #[diesel(sql_type = Binary)]
        sealed: Vec<u8>,
    }
    let context = world.harness.platform().context("v1api").unwrap();
    let rows = context
        .db
        .read(|db| diesel::sql_query("SELECT sealed FROM acme_accounts").load::<Sealed>(db));
    let mut rows = rows.await.unwrap();
    assert_eq!(rows.len(), 1);
    rows.remove(0).sealed
}

on_both_backends! {
    async fn a_verified_domain_gets_a_certificate_and_a_dropped_one_loses_it(backend: Backend) {
        let ([world], maker) = gateways(&backend, &[], &[]).await;
        let (app, upstream) = (App::new("shop"), Upstream::saying("the shop").await);
        world.tell(app.created(), 1).await;
        world.tell(app.live(&[upstream.address]), 1).await;
        assert_eq!(shown(&world, DOMAIN).await, None, "nobody has asked for one");
        world.tell(app.verified(DOMAIN), 1).await;
        let certificate = made(&world, DOMAIN).await;
        assert_eq!(names(&certificate), [format!("DNSName({DOMAIN})")]);
        assert_eq!(shown(&world, PLATFORM).await, None, "not for the platform's host unless it is set");
        // Of what the maker looks at nothing stays, and the app has its paths to itself again.
        assert_eq!(challenges(&world).await, [""; 0]);
        let path = "/.well-known/acme-challenge/some-token";
        let answer = world.on(DOMAIN, Method::GET, path).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "the shop");
        world.tell(app.dropped(DOMAIN), 2).await;
        eventually_async("no certificate", || async { shown(&world, DOMAIN).await.is_none().then_some(()) }).await;
        // It comes back as one that is new.
        world.tell(app.verified(DOMAIN), 3).await;
        assert_ne!(made(&world, DOMAIN).await, certificate);
        assert!(!maker.log().contains("panic"), "{}", maker.log());
        world.stop().await;
    }

    async fn only_hosts_that_certificates_are_got_for_show_anything_to_the_maker(backend: Backend) {
        let ([world], _maker) = gateways(&backend, &[], &[]).await;
        let (app, upstream) = (App::new("shop"), Upstream::saying("the shop").await);
        world.tell(app.created(), 1).await;
        world.tell(app.live(&[upstream.address]), 1).await;
        world.tell(app.verified(DOMAIN), 1).await;
        made(&world, DOMAIN).await;
        let (app_host, stranger) = (app.host(), "stranger.example");
        let hosts = [DOMAIN, PLATFORM, &app_host, stranger];
        let rows: Vec<_> = hosts.iter().map(|host| format!("('{host}', 'token', 'proof', '2026-01-01 00:00:00')")).collect();
        let rows = rows.join(", ");
        let context = world.harness.platform().context("v1api").unwrap();
        context.db.write(move |db| {
            let insert = format!("INSERT INTO acme_challenges (host, token, content, created_at) VALUES {rows}");
            diesel::sql_query(insert).execute(db).map(drop)
        }).await.unwrap();
        let ask = async |host: &str| {
            let answer = world.on(host, Method::GET, "/.well-known/acme-challenge/token").send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        assert_eq!(ask(DOMAIN).await, (200, "proof".into()));
        assert_eq!(ask(&app_host).await, (200, "the shop".into()), "its host has no certificate of its own");
        assert_eq!(ask(stranger).await.0, 421);
        assert_ne!(ask(PLATFORM).await.1, "proof", "none is got for it unless it is set");
        world.stop().await;
    }

    async fn gateways_share_what_one_of_them_got(backend: Backend) {
        let settings = [("gateway.acme.platform", "true")];
        // Without the nonces that it refuses by chance.
        let ([one, two], maker) = gateways(&backend, &[("PEBBLE_WFE_NONCEREJECT", "0")], &settings).await;
        let app = App::new("shop");
        one.tell(app.created(), 1).await;
        one.tell(app.verified(DOMAIN), 1).await;
        for host in [PLATFORM, DOMAIN] {
            let certificate = made(&one, host).await;
            eventually_async("the same at the other", || async {
                (shown(&two, host).await? == certificate).then_some(())
            }).await;
        }
        // One account, and one order for each host, whoever made it.
        let asked = |what: &str| maker.log().matches(what).count();
        assert_eq!((asked("There are now 1 accounts"), asked("There are now 2 accounts")), (1, 0), "{}", maker.log());
        assert_eq!((asked("Added order"), asked("Issued certificate")), (2, 2), "{}", maker.log());
        one.stop().await;
        two.stop().await;
        // After a restart it is there without another order.
        let again = World::replica(&backend, Issuer::new(), &[
            ("gateway.tls.listen", "127.0.0.1:0"), ("gateway.acme.directory", "https://localhost:1/none"),
            ("gateway.acme.agree_to_terms", "true"), ("gateway.acme.platform", "true"),
        ]).await;
        made(&again, DOMAIN).await;
        made(&again, PLATFORM).await;
        again.stop().await;
    }

    async fn an_order_that_fails_is_made_again_and_holds_up_no_other(backend: Backend) {
        // Servers refuse a nonce now and then; this one often.
        let ([world], maker) = gateways(&backend, &[("PEBBLE_WFE_NONCEREJECT", "30")], &[]).await;
        let app = App::new("shop");
        world.tell(app.created(), 1).await;
        world.tell(app.verified(Maker::REFUSED), 1).await;
        let refused = || async {
            let row = kept(&world, Maker::REFUSED).await?;
            (row.last_error? == "refused").then_some(row.failures)
        };
        let failures = eventually_async("a refusal", refused).await;
        eventually_async("another one", || async { refused().await.filter(|now| *now > failures) }).await;
        world.tell(app.verified(DOMAIN), 1).await;
        made(&world, DOMAIN).await;
        assert_eq!(shown(&world, Maker::REFUSED).await, None);
        drop(maker);
        world.stop().await;
    }

    async fn a_certificate_is_renewed_in_time_and_its_key_is_sealed(backend: Backend) {
        let ([world], _maker) = gateways(&backend, &[], &[]).await;
        let app = App::new("shop");
        world.tell(app.created(), 1).await;
        world.tell(app.verified(DOMAIN), 1).await;
        let first = made(&world, DOMAIN).await;
        let row = kept(&world, DOMAIN).await.unwrap();
        let (now, not_after) = (world.harness.clock.now(), row.not_after.unwrap());
        let (left, until_due) = (not_after - now, row.due_at - now);
        assert!(until_due <= left * 2 / 3 && until_due >= left / 2, "{until_due} of {left}");
        let (key, account) = (row.sealed_key.unwrap(), account(&world).await);
        for secret in [&key, &account] {
            let text = String::from_utf8_lossy(secret);
            assert!(!text.contains("PRIVATE") && !text.contains("key_pkcs8"), "{text}");
        }
        assert!(row.chain.unwrap().contains("BEGIN CERTIFICATE"));
        // Its time has come.
        let context = world.harness.platform().context("v1api").unwrap();
        context.db.write(move |db| {
            diesel::sql_query("UPDATE acme_certificates SET due_at = '2020-01-01 00:00:00'").execute(db).map(drop)
        }).await.unwrap();
        let second = eventually_async("the next certificate", || async {
            shown(&world, DOMAIN).await.filter(|shown| *shown != first)
        }).await;
        assert_eq!(names(&second), names(&first));
        world.stop().await;
    }

    async fn the_operators_own_certificate_comes_first(backend: Backend) {
        let maker = Maker::new();
        let (directory, authority) = (maker.directory(), maker.authority());
        let secured = Secured::with(&backend, &[
            ("gateway.acme.directory", directory.as_str()), ("gateway.acme.authority", authority.to_str().unwrap()),
            ("gateway.acme.agree_to_terms", "true"), ("gateway.acme.platform", "true"), ("gateway.acme.look", "50ms"),
            ("gateway.acme.retry", "100ms"),
        ]).await;
        let maker = maker.start(secured.world.address.port(), &[]).await;
        let app = App::new("shop");
        secured.world.tell(app.created(), 1).await;
        secured.world.tell(app.verified("a.apps.example"), 1).await;
        secured.world.tell(app.verified(DOMAIN), 1).await;
        made(&secured.world, DOMAIN).await;
        assert_eq!(shown(&secured.world, PLATFORM).await, Some(secured.platform.clone()));
        for host in [PLATFORM, "a.apps.example"] {
            assert!(!maker.log().contains(host), "nothing was ordered for {host}: {}", maker.log());
        }
        secured.world.stop().await;
    }
}
