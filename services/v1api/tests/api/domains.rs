use reqwest::Method;
use testkit::{Backend, on_both_backends};

use crate::support::{App, PLATFORM, World, raw, status_of};
use crate::upstream::Upstream;

const DOMAIN: &str = "shop.customer.example";
const CHALLENGE: &str = "/.well-known/slipway-challenge/proof-name";

/// A gateway, and an app that is reached under a domain of its account's own.
async fn served(backend: &Backend, upstream: &Upstream) -> (World, App) {
    let (world, app) = (World::start(backend).await, App::new("shop"));
    world.tell(app.created(), 1).await;
    world.tell(app.live(&[upstream.address]), 1).await;
    world.tell(app.verified(DOMAIN), 1).await;
    world.until(DOMAIN, 200).await;
    (world, app)
}

on_both_backends! {
    async fn a_verified_domain_is_the_apps_own_host(backend: Backend) {
        let upstream = Upstream::saying("the shop").await;
        let (world, app) = served(&backend, &upstream).await;
        let answer = world.on("SHOP.Customer.example.:8080", Method::POST, "/v1/users/me?x=1")
            .header("authorization", "Basic abc").header("cookie", "connect.sid=theirs").body("x").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "the shop");
        let seen = upstream.last();
        assert_eq!(seen.first_line(), "POST /v1/users/me?x=1 HTTP/1.1");
        assert_eq!(seen.one("host"), "SHOP.Customer.example.:8080");
        assert_eq!(seen.one("x-forwarded-host"), "SHOP.Customer.example.:8080");
        assert_eq!((seen.one("authorization"), seen.one("cookie")), ("Basic abc".into(), "connect.sid=theirs".into()));
        // Its preflights are its own, and so is its other host still.
        let preflight = world.on(DOMAIN, Method::OPTIONS, "/").header("origin", "https://x.example")
            .header("access-control-request-method", "PUT").send().await.unwrap();
        assert_eq!(preflight.text().await.unwrap(), "the shop");
        world.until_saying(&app.host(), "the shop").await;
        for other in ["customer.example", "www.shop.customer.example", "shop.customer.example.evil"] {
            assert_eq!(world.on(other, Method::GET, "/").send().await.unwrap().status(), 421, "{other}");
        }
        world.tell(app.dropped(DOMAIN), 2).await;
        world.until(DOMAIN, 421).await;
        world.until_saying(&app.host(), "the shop").await;
        world.stop().await;
    }

    async fn a_domain_that_leads_here_goes_on_being_proved(backend: Backend) {
        let upstream = Upstream::saying("the shop").await;
        let (world, app) = served(&backend, &upstream).await;
        let get = async |host: &str, path: &str| {
            world.on(host, Method::GET, path).send().await.unwrap().text().await.unwrap()
        };
        assert_eq!(get(DOMAIN, CHALLENGE).await, "proof-content");
        // Nothing else of it is the gateway's, and the app's other host has nothing to prove.
        assert_eq!(get(DOMAIN, "/.well-known/slipway-challenge/other").await, "the shop");
        assert_eq!(get(DOMAIN, "/.well-known/slipway-challenge/").await, "the shop");
        assert_eq!(get(&app.host(), CHALLENGE).await, "the shop");
        world.stop().await;
    }

    async fn no_domain_takes_the_place_of_the_platform_or_of_an_app(backend: Backend) {
        let (own, other) = (Upstream::saying("own").await, Upstream::saying("other").await);
        let (world, app) = served(&backend, &own).await;
        let thief = App::new("thief");
        world.tell(thief.created(), 1).await;
        world.tell(thief.live(&[other.address]), 1).await;
        for domain in [PLATFORM, "shop.localhost", "last.customer.example"] {
            world.tell(thief.verified(domain), 1).await;
        }
        world.until_saying("last.customer.example", "other").await;
        assert_eq!(world.on(PLATFORM, Method::GET, "/").send().await.unwrap().status(), 404);
        world.until_saying(&app.host(), "own").await;
        // One that comes late isn't news.
        world.tell(thief.verified(DOMAIN), 1).await;
        world.tell(thief.verified("later.customer.example"), 1).await;
        world.until_saying("later.customer.example", "other").await;
        world.until_saying(DOMAIN, "own").await;
        // It moves with what is told of it.
        world.tell(thief.verified(DOMAIN), 2).await;
        world.until_saying(DOMAIN, "other").await;
        world.tell(thief.deleted(), 2).await;
        world.until(DOMAIN, 421).await;
        world.stop().await;
    }

    async fn domains_are_there_before_the_first_request_after_a_restart(backend: Backend) {
        let upstream = Upstream::saying("the shop").await;
        let (world, _) = served(&backend, &upstream).await;
        world.stop().await;
        let world = World::start(&backend).await;
        let answer = raw(world.address, &format!("GET / HTTP/1.1\r\nhost: {DOMAIN}\r\nconnection: close\r\n\r\n")).await;
        assert_eq!(status_of(&answer), "200", "{answer}");
        world.stop().await;
    }

    async fn no_request_to_a_domain_fails_while_routes_change(backend: Backend) {
        let mut before = Upstream::saying("0").await;
        let (world, app) = served(&backend, &before).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let (stopped, request) = (stopped.clone(), world.on(DOMAIN, Method::GET, "/"));
            callers.spawn(async move {
                let mut calls = 0_u32;
                while !*stopped.borrow() {
                    let answer = request.try_clone().unwrap().send().await.unwrap();
                    assert_eq!(answer.status(), 200, "after {calls} calls: {}", answer.text().await.unwrap());
                    calls += 1;
                }
                calls
            });
        }
        for (round, text) in ["1", "2", "3"].into_iter().enumerate() {
            let version = i64::try_from(round).unwrap() + 2;
            let after = Upstream::saying(text).await;
            world.tell(app.verified(&format!("more-{round}.customer.example")), 1).await;
            world.tell(app.verified(DOMAIN), version).await;
            world.tell(app.live(&[after.address]), version).await;
            world.until_saying(DOMAIN, text).await;
            drop(std::mem::replace(&mut before, after));
        }
        stop.send_replace(true);
        let calls: u32 = callers.join_all().await.into_iter().sum();
        assert!(calls > 3, "{calls}");
        world.stop().await;
    }
}
