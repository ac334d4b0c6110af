//! Apps that sleep: who asks is told, and waits until they are woken.

use common::event::ProvisionerEvent;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, Double, Issuer, eventually, eventually_async, on_both_backends};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use crate::support::{App, World};
use crate::upstream::Upstream;

/// A provisioner that says this of each app that it is to wake.
fn provisioner(standing: &'static str) -> Double {
    Double::new("provisioner", move |asked| {
        if asked.path.ends_with("/wake") {
            return (200, json!({ "standing": standing }));
        }
        (200, json!({}))
    })
}

/// A gateway beside it, with an app that sleeps, or is about to.
async fn asleep(
    backend: &Backend,
    provisioner: &Double,
    settings: &[(&str, &str)],
) -> (World, App) {
    let world = World::beside(backend, Issuer::new(), settings, provisioner).await;
    let app = App::new("shop");
    world.tell(app.created(), 1).await;
    world.until(&app.host(), 503).await;
    world.tell(app.asleep(), 1).await;
    (world, app)
}

/// A request that waits for the app: one that comes before the gateway knows that it sleeps is asked again.
async fn waiter(
    world: &World,
    app: &App,
    provisioner: &Double,
    body: &'static str,
) -> JoinHandle<String> {
    loop {
        let request = world.on(&app.host(), Method::POST, "/").body(body);
        let asked =
            tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() });
        eventually("an answer, or the wish to wake it", || {
            (asked.is_finished() || wishes(provisioner) > 0).then_some(())
        })
        .await;
        if wishes(provisioner) > 0 {
            return asked;
        }
    }
}

/// Waits until the app's host is answered with this.
async fn until_told(world: &World, app: &App, text: &str) {
    eventually_async(text, || async {
        let asked = world
            .on(&app.host(), Method::GET, "/")
            .send()
            .await
            .unwrap();
        let status = asked.status().as_u16();
        (asked.text().await.unwrap().contains(text) && status == 503).then_some(())
    })
    .await;
}

/// How often the provisioner was asked to wake an app.
fn wishes(provisioner: &Double) -> usize {
    provisioner
        .asked()
        .iter()
        .filter(|asked| asked.path.ends_with("/wake"))
        .count()
}

/// What was told of an app's requests.
fn reports(provisioner: &Double, app: &App) -> Vec<Value> {
    let asked = provisioner
        .asked()
        .into_iter()
        .filter(|asked| asked.path == "/internal/activity");
    let apps = asked.flat_map(|asked| asked.body["apps"].as_array().cloned().unwrap_or_default());
    apps.filter(|told| told["environment_id"] == app.environment.as_str())
        .collect()
}

on_both_backends! {
    async fn requests_for_an_app_that_sleeps_wait_until_it_is_live(backend: Backend) {
        let provisioner = provisioner("waking");
        let (world, app) = asleep(&backend, &provisioner, &[]).await;
        let mut asked = Vec::new();
        for body in ["body 0", "body 1", "body 2", "body 3", "body 4"] {
            asked.push(waiter(&world, &app, &provisioner, body).await);
        }
        let woken = Upstream::saying("awake").await;
        world.tell(app.live(&[woken.address]), 2).await;
        for answer in asked {
            assert_eq!(answer.await.unwrap(), "awake");
        }
        let mut bodies: Vec<_> = woken.seen().into_iter().map(|seen| String::from_utf8(seen.body).unwrap()).collect();
        bodies.sort();
        assert_eq!(bodies, ["body 0", "body 1", "body 2", "body 3", "body 4"], "each was sent once");
        world.stop().await;
    }

    async fn an_app_that_can_not_be_woken_is_said_so_to_all_who_wait(backend: Backend) {
        let provisioner = provisioner("failed");
        let (world, app) = asleep(&backend, &provisioner, &[]).await;
        until_told(&world, &app, "app_not_woken").await;
        let page = world.on(&app.host(), Method::GET, "/").header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.status(), 503);
        assert!(page.headers().contains_key("retry-after"));
        assert!(page.text().await.unwrap().contains("could not be started"));
        world.stop().await;
    }

    async fn no_more_wait_for_an_app_than_may(backend: Backend) {
        let provisioner = provisioner("waking");
        let (world, app) = asleep(&backend, &provisioner, &[("gateway.wake_waiting", "1")]).await;
        let first = waiter(&world, &app, &provisioner, "").await;
        until_told(&world, &app, "too many").await;
        let woken = Upstream::saying("awake").await;
        world.tell(app.live(&[woken.address]), 2).await;
        assert_eq!(first.await.unwrap(), "awake");
        world.stop().await;
    }

    async fn a_request_does_not_wait_for_ever(backend: Backend) {
        let provisioner = provisioner("waking");
        let (world, app) = asleep(&backend, &provisioner, &[("gateway.wake_timeout", "300ms")]).await;
        until_told(&world, &app, "app_waking").await;
        // Who comes later may be luckier.
        let woken = Upstream::saying("awake").await;
        world.tell(app.live(&[woken.address]), 2).await;
        world.until_saying(&app.host(), "awake").await;
        world.stop().await;
    }

    async fn the_provisioner_is_told_who_is_asked_for_and_of_open_sockets_all_the_while(backend: Backend) {
        let provisioner = provisioner("awake");
        let world = World::beside(&backend, Issuer::new(), &[], &provisioner).await;
        let (sleeper, other) = (App::new("sleeper"), App::new("other"));
        let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = Upstream::saying("x").await;
        world.tell(sleeper.sleeper(), 1).await;
        world.tell(other.created(), 1).await;
        world.tell(other.live(&[plain.address]), 1).await;
        world.until(&other.host(), 200).await;
        world.tell(sleeper.live(&[upstream.local_addr().unwrap()]), 1).await;

        let head = format!(
            "GET /ws HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\n\r\n",
            sleeper.host()
        );
        let mut client = loop {
            let mut client = tokio::net::TcpStream::connect(world.address).await.unwrap();
            client.write_all(head.as_bytes()).await.unwrap();
            let mut some = [0; 12];
            tokio::select! {
                // Until the gateway has heard of the app, it says that there is none.
                _told = client.read_exact(&mut some) => {}
                accepted = upstream.accept() => {
                    let (mut app, _) = accepted.unwrap();
                    app.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n").await.unwrap();
                    client.read_exact(&mut some).await.unwrap();
                    assert_eq!(&some, b"HTTP/1.1 101");
                    break (client, app);
                }
            }
        };
        // Each look tells it anew, though nothing passes.
        eventually("the socket to be told of again and again", || {
            (reports(&provisioner, &sleeper).len() >= 3).then_some(())
        })
        .await;
        assert!(reports(&provisioner, &sleeper).iter().skip(1).all(|told| told["idle_ms"] == 0));
        client.0.shutdown().await.unwrap();
        drop(client);
        eventually("the end of the socket to be told", || {
            let last = reports(&provisioner, &sleeper).pop()?;
            (last["idle_ms"].as_u64()? > 0).then_some(())
        })
        .await;
        assert!(reports(&provisioner, &other).is_empty(), "it never sleeps");
        world.stop().await;
    }

    async fn an_app_that_was_stopped_is_not_woken(backend: Backend) {
        let provisioner = provisioner("failed");
        let (world, app) = asleep(&backend, &provisioner, &[]).await;
        until_told(&world, &app, "app_not_woken").await;
        world.tell(ProvisionerEvent::DeploymentStopped(app.deployment(&[], None)), 2).await;
        until_told(&world, &app, "not_deployed").await;
        world.stop().await;
    }
}
