//! Instances that come and go, and what that costs calls.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use testkit::{Backend, eventually_async, on_both_backends};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;

use super::{Speaker, by_http2, call, framed, serving};
use crate::support::{App, World};

type Asked = (http::Request<RecvStream>, SendResponse<Bytes>);

/// An instance of which the test is the server.
pub struct ByHand {
    listener: TcpListener,
    pub address: SocketAddr,
}

impl ByHand {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub async fn tcp(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }

    /// A gateway with an app of this instance, which is known.
    async fn serving(&self, backend: &Backend, settings: &[(&str, &str)]) -> (World, App) {
        let (world, _) = serving(backend, &[], settings).await;
        let app = App::new("by-hand");
        world.tell(app.live(&[self.address]), 1).await;
        loop {
            let asked = world.on(&app.host(), reqwest::Method::GET, "/").send();
            tokio::select! {
                _asked = self.tcp() => return (world, app),
                answer = asked => if answer.unwrap().status() != 404 {
                    return (world, app);
                }
            }
        }
    }

    /// The next connection that anything is asked by.
    async fn asked(&self) -> (Connection<TcpStream, Bytes>, Asked) {
        loop {
            let Ok(mut connection) = h2::server::handshake(self.tcp().await).await else {
                // What asked whether the app is known.
                continue;
            };
            if let Some(asked) = connection.accept().await {
                return (connection, asked.unwrap());
            }
        }
    }
}

/// All of a request's body.
async fn whole(body: &mut RecvStream) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        whole.extend_from_slice(&piece);
    }
    whole
}

/// Answers with what was asked.
async fn echo((request, mut respond): Asked) {
    let mut asked = request.into_body();
    let body = whole(&mut asked).await;
    let head = http::Response::builder().header("content-type", "application/grpc");
    let mut answer = respond
        .send_response(head.body(()).unwrap(), false)
        .unwrap();
    answer.send_data(body.into(), false).unwrap();
    let mut end = http::HeaderMap::new();
    end.insert("grpc-status", "0".parse().unwrap());
    answer.send_trailers(end).unwrap();
}

/// Goes on with a connection while something else is done.
async fn driving<T>(
    connection: &mut Connection<TcpStream, Bytes>,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            more = connection.accept() => assert!(more.is_none(), "nothing more is asked here"),
        }
    }
}

on_both_backends! {
    async fn a_call_that_an_instance_refuses_unseen_goes_out_again(backend: Backend) {
        let by_hand = ByHand::new().await;
        let (world, app) = by_hand.serving(&backend, &[]).await;
        let mut client = world.caller(&app);
        let serving = async {
            let (mut connection, (request, mut respond)) = by_hand.asked().await;
            let mut body = request.into_body();
            // All of it has come, and all of it comes again.
            assert_eq!(driving(&mut connection, whole(&mut body)).await, framed(b"once"));
            respond.send_reset(Reason::REFUSED_STREAM);
            let asked = connection.accept().await.unwrap().unwrap();
            driving(&mut connection, echo(asked)).await;
            tokio::spawn(async move { while connection.accept().await.is_some() {} });
        };
        let (answer, ()) = tokio::join!(client.ask("X", "once"), serving);
        assert_eq!(*answer.unwrap().get_ref(), "once");
        world.stop().await;
    }

    async fn what_comes_after_a_request_reaches_the_instance(backend: Backend) {
        let by_hand = ByHand::new().await;
        let (world, app) = by_hand.serving(&backend, &[]).await;
        let mut send = by_http2(world.address).await;
        let (answer, mut stream) = send.send_request(call(&app.host(), "/x"), false).unwrap();
        stream.send_data(framed(b"x"), false).unwrap();
        let mut end = http::HeaderMap::new();
        end.insert("x-last", "word".parse().unwrap());
        end.insert("slipway-identity", "somebody".parse().unwrap());
        stream.send_trailers(end).unwrap();
        let (mut connection, (request, mut respond)) = by_hand.asked().await;
        let mut body = request.into_body();
        let after = async {
            assert_eq!(whole(&mut body).await, framed(b"x"));
            body.trailers().await.unwrap().unwrap()
        };
        let after = driving(&mut connection, after).await;
        assert_eq!((after.len(), &after["x-last"]), (1, &"word".parse().unwrap()));
        // An answer may be a head alone.
        let head = http::Response::builder().header("content-type", "application/grpc").header("grpc-status", "5");
        respond.send_response(head.body(()).unwrap(), true).unwrap();
        let answer = driving(&mut connection, answer).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "5");
        assert!(answer.body().is_end_stream() && !answer.headers().contains_key("content-length"), "{answer:?}");
        world.stop().await;
    }

    async fn a_call_that_an_instance_may_have_seen_goes_out_once(backend: Backend) {
        let by_hand = ByHand::new().await;
        let (world, app) = by_hand.serving(&backend, &[]).await;
        let mut client = world.caller(&app);
        let serving = async {
            let (mut connection, (request, mut respond)) = by_hand.asked().await;
            let mut body = request.into_body();
            driving(&mut connection, whole(&mut body)).await;
            respond.send_reset(Reason::INTERNAL_ERROR);
            // The connection ends with it.
            connection.graceful_shutdown();
            while connection.accept().await.is_some() {}
        };
        let (answer, ()) = tokio::join!(client.ask("X", "once"), serving);
        assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
        let none = tokio::time::timeout(std::time::Duration::from_millis(200), by_hand.asked()).await;
        assert!(none.is_err(), "it was asked again");
        world.stop().await;
    }

    async fn an_instance_that_says_farewell_finishes_and_costs_no_call(backend: Backend) {
        let by_hand = ByHand::new().await;
        let (world, app) = by_hand.serving(&backend, &[]).await;
        let (mut first, mut second) = (world.caller(&app), world.caller(&app));
        let serving = async {
            let (mut connection, one) = by_hand.asked().await;
            // It takes no more; what is under way is finished.
            connection.graceful_shutdown();
            let farewell = tokio::spawn(async move {
                driving(&mut connection, echo(one)).await;
                while connection.accept().await.is_some() {}
            });
            farewell.await.unwrap();
            let (mut connection, two) = by_hand.asked().await;
            driving(&mut connection, echo(two)).await;
            tokio::spawn(async move { while connection.accept().await.is_some() {} });
        };
        let calling = async {
            let one = first.ask("X", "one").await.unwrap();
            let two = second.ask("X", "two").await.unwrap();
            (one.into_inner(), two.into_inner())
        };
        let (said, ()) = tokio::join!(calling, serving);
        assert_eq!(said, ("one".to_owned(), "two".to_owned()));
        world.stop().await;
    }

    async fn a_connection_that_has_ended_unseen_costs_no_call(backend: Backend) {
        let by_hand = ByHand::new().await;
        let (world, app) = by_hand.serving(&backend, &[]).await;
        let mut client = world.caller(&app);
        for number in 0..5 {
            let text = number.to_string();
            let serving = async {
                let (mut connection, asked) = by_hand.asked().await;
                driving(&mut connection, echo(asked)).await;
                connection
            };
            let calling = async { client.ask("X", &text).await };
            let (answer, mut connection) = tokio::select! {
                both = async { tokio::join!(calling, async {
                    let mut connection = serving.await;
                    // Until the answer has gone.
                    let _sent = tokio::time::timeout(std::time::Duration::from_millis(100), connection.accept()).await;
                    connection
                }) } => both,
            };
            assert_eq!(*answer.unwrap().get_ref(), text);
            // Without a farewell, as of a process that is killed.
            connection.abrupt_shutdown(Reason::NO_ERROR);
            drop(connection);
        }
        world.stop().await;
    }

    async fn an_instance_that_is_gone_costs_no_call_while_there_is_another(backend: Backend) {
        let (gone, here) = (Speaker::start(), Speaker::start());
        let (world, app) = serving(&backend, &[gone.address, here.address], &[]).await;
        let mut client = world.caller(&app);
        // Both are asked.
        eventually_async("both are asked", || async {
            let mut client = world.caller(&app);
            client.ask("Echo", "x").await.unwrap();
            let begun = |speaker: &Speaker| speaker.noticed.begun.load(Ordering::SeqCst) > 0;
            (begun(&gone) && begun(&here)).then_some(())
        }).await;
        let address = gone.address;
        drop(gone);
        eventually_async("it is gone", || async {
            TcpStream::connect(address).await.is_err().then_some(())
        }).await;
        for _ in 0..10 {
            assert_eq!(*client.ask("Echo", "x").await.unwrap().get_ref(), "x");
        }
        world.stop().await;
    }

    async fn an_instance_that_keeps_calls_waiting_is_left_alone(backend: Backend) {
        let by_hand = ByHand::new().await;
        let settings = [("gateway.upstream_timeout", "200ms")];
        let (world, app) = by_hand.serving(&backend, &settings).await;
        // Takes connections, says nothing.
        let silent = tokio::spawn(async move {
            let mut open = Vec::new();
            loop {
                open.push(by_hand.tcp().await);
            }
        });
        let mut client = world.caller(&app);
        let left_alone = eventually_async("it is left alone", || {
            let mut client = world.caller(&app);
            async move {
                let failed = client.ask("X", "x").await.unwrap_err();
                failed.message().starts_with("upstream_unavailable").then_some(failed)
            }
        }).await;
        assert_eq!(left_alone.code(), Code::Unavailable);
        assert!(client.ask("X", "x").await.is_err());
        silent.abort();
        world.stop().await;
    }
}
