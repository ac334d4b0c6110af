use testkit::on_both_backends;

use crate::support::{App, PLATFORM, World, raw, status_of};
use crate::upstream::Upstream;

on_both_backends! {
    async fn a_host_that_can_be_read_in_two_ways_is_refused(backend: Backend) {
        let world = World::start(&backend).await;
        let line = "connection: close\r\n\r\n";
        for (request, why) in [
            (format!("GET /healthz HTTP/1.1\r\nhost: {PLATFORM}\r\nhost: {PLATFORM}\r\n{line}"), "two"),
            (format!("GET /healthz HTTP/1.1\r\nhost: {PLATFORM}\r\nHost : x\r\n{line}"), "a space before the colon"),
            (format!("GET http://shop.localhost/ HTTP/1.1\r\nhost: {PLATFORM}\r\n{line}"), "another in the target"),
            (format!("GET /healthz HTTP/1.1\r\n{line}"), "none"),
            (format!("GET /healthz HTTP/1.0\r\n{line}"), "none, by HTTP/1.0"),
            (format!("GET /healthz HTTP/1.1\r\nhost:\r\n{line}"), "an empty one"),
            (format!("GET /healthz HTTP/1.1\r\nhost: a@{PLATFORM}\r\n{line}"), "one with a user"),
            (format!("GET /healthz HTTP/1.1\r\nhost: {PLATFORM}, shop.localhost\r\n{line}"), "a list"),
            (format!("GET /healthz HTTP/1.1\r\nhost: {PLATFORM}:x\r\n{line}"), "a port that is none"),
            (format!("CONNECT {PLATFORM}:80 HTTP/1.1\r\nhost: {PLATFORM}:80\r\n{line}"), "a tunnel"),
        ] {
            let answer = raw(world.address, &request).await;
            assert_eq!(status_of(&answer), "400", "{why}: {answer}");
        }
        world.stop().await;
    }

    async fn the_platform_answers_on_its_own_hosts_and_on_no_other(backend: Backend) {
        let world = World::start(&backend).await;
        let get = |host: &str| format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        for host in [PLATFORM, "SLIPWAY.example.:80", "localhost", "127.0.0.1:8080", "[::1]"] {
            assert_eq!(status_of(&raw(world.address, &get(host)).await), "200", "{host}");
        }
        for host in ["evil.example", "slipway.example.evil", "x.slipway.example", "a.b.localhost"] {
            let answer = raw(world.address, &get(host)).await;
            assert_eq!(status_of(&answer), "421", "{host}");
            assert!(answer.contains("misdirected_request"), "{answer}");
        }
        world.stop().await;
    }

    async fn an_app_is_reached_by_its_host_from_its_first_release_to_its_end(backend: Backend) {
        let world = World::start(&backend).await;
        let (app, upstream) = (App::new("shop-production"), Upstream::saying("hello").await);
        world.until(&app.host(), 404).await;
        world.tell(app.created(), 1).await;
        let waiting = world.until(&app.host(), 503).await;
        assert!(waiting.contains("not_deployed"), "{waiting}");
        world.tell(app.live(&[upstream.address]), 1).await;
        assert_eq!(world.until("SHOP-production.localhost.:80", 200).await, "hello");
        world.tell(app.deleted(), 2).await;
        world.until(&app.host(), 404).await;
        world.stop().await;
    }

    async fn routes_are_there_after_a_restart(backend: Backend) {
        let world = World::start(&backend).await;
        let (app, upstream) = (App::new("kept"), Upstream::saying("hello").await);
        world.tell(app.created(), 1).await;
        world.tell(app.live(&[upstream.address]), 1).await;
        world.until(&app.host(), 200).await;
        world.stop().await;
        let world = World::start(&backend).await;
        let answer = world.on(&app.host(), reqwest::Method::GET, "/").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        world.stop().await;
    }

    async fn another_replica_learns_routes_and_keys_from_the_database(backend: Backend) {
        let (one, two) = (World::start(&backend).await, World::start(&backend).await);
        let (app, upstream) = (App::new("shared"), Upstream::saying("hello").await);
        one.tell(app.live(&[upstream.address]), 1).await;
        assert_eq!(one.until(&app.host(), 200).await, "hello");
        assert_eq!(two.until(&app.host(), 200).await, "hello");
        let path = "/.well-known/forward-jwks.json";
        let keys = testkit::expect(200, one.platform(reqwest::Method::GET, path)).await;
        assert_eq!(keys, testkit::expect(200, two.platform(reqwest::Method::GET, path)).await);
        one.stop().await;
        two.stop().await;
    }
}
