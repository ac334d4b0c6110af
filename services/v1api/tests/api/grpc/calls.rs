use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use testkit::{eventually, eventually_async, on_both_backends};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Code;
use tonic::metadata::MetadataMap;

use super::instances::ByHand;
use super::{Client, Speaker, by_http2, call, framed, serving};
use crate::support::App;
use crate::upstream::Upstream;

/// Unless somebody sends more, a stream of these.
fn messages(all: &[&str]) -> impl futures_util::Stream<Item = Vec<u8>> + Send + 'static {
    let all: Vec<_> = all.iter().map(|text| text.as_bytes().to_vec()).collect();
    stream::iter(all)
}

fn said<'a>(metadata: &'a MetadataMap, name: &str) -> &'a str {
    metadata.get(name).unwrap().to_str().unwrap()
}

on_both_backends! {
    async fn every_kind_of_call_passes_with_what_is_before_and_behind_its_messages(backend: Backend) {
        let speaker = Speaker::start();
        let (world, app) = serving(&backend, &[speaker.address], &[]).await;
        let mut client = world.caller(&app).with("x-own", "1").with("x-forwarded-for", "10.0.0.1").with("slipway-identity", "x");
        // One and one.
        let answer = client.ask("Echo", "hello").await.unwrap();
        assert_eq!((answer.get_ref().as_str(), said(answer.metadata(), "x-first")), ("hello", "word"));
        assert_eq!(said(answer.metadata(), "x-last"), "word");
        let (path, seen) = speaker.noticed.last();
        assert_eq!(path, "/test.Speaker/Echo");
        let of = |name: &str| seen.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!((of("te"), of("x-own"), of("x-forwarded-for")), (vec!["trailers".into()], vec!["1".into()], vec!["127.0.0.1".into()]));
        assert!(of("slipway-identity").is_empty() && of("content-type") == ["application/grpc"], "{seen:?}");
        assert_eq!(of("x-forwarded-host"), [app.host()]);
        // Many and one; one and many.
        let mut sum = client.stream("Sum", messages(&["a", "b", "c"])).await.unwrap().into_inner();
        assert_eq!(sum.message().await.unwrap().unwrap(), b"abc");
        assert_eq!(sum.message().await.unwrap(), None);
        let mut count = client.stream("Count", messages(&["x"])).await.unwrap().into_inner();
        for number in *b"012" {
            assert_eq!(count.message().await.unwrap().unwrap(), [number]);
        }
        assert_eq!(count.message().await.unwrap(), None);
        // Many and many: each answer comes while the next message hasn't been thought of.
        let (say, spoken) = tokio::sync::mpsc::unbounded_channel();
        say.send(b"one".to_vec()).unwrap();
        let mut both = client.stream("Echo", UnboundedReceiverStream::new(spoken)).await.unwrap().into_inner();
        assert_eq!(both.message().await.unwrap().unwrap(), b"one");
        say.send(b"two".to_vec()).unwrap();
        assert_eq!(both.message().await.unwrap().unwrap(), b"two");
        drop(say);
        assert_eq!(both.message().await.unwrap(), None);
        let end = both.trailers().await.unwrap().unwrap();
        assert_eq!((said(&end, "x-last"), said(&end, "set-cookie")), ("word", "a=b"));
        // What fails fails as it did there, at the beginning or in the midst.
        let failed = client.ask("Fail", "x").await.unwrap_err();
        assert_eq!((failed.code(), failed.message()), (Code::NotFound, "no é here"));
        let mut halfway = client.stream("Halfway", messages(&["x"])).await.unwrap().into_inner();
        assert_eq!(halfway.message().await.unwrap().unwrap(), b"first");
        assert_eq!(halfway.message().await.unwrap_err().code(), Code::DataLoss);
        world.stop().await;
    }

    async fn a_long_message_arrives_whole_both_ways(backend: Backend) {
        let speaker = Speaker::start();
        let (world, app) = serving(&backend, &[speaker.address], &[]).await;
        let long = "0123456789abcdef".repeat(100_000);
        let answer = world.caller(&app).ask("Echo", &long).await.unwrap();
        assert!(*answer.get_ref() == long, "{} bytes", answer.get_ref().len());
        world.stop().await;
    }

    async fn calls_at_once_share_a_connection_to_their_instance(backend: Backend) {
        let speaker = Speaker::start();
        let (world, app) = serving(&backend, &[speaker.address], &[]).await;
        world.caller(&app).ask("Echo", "first").await.unwrap();
        let before = speaker.noticed.connections.load(Ordering::SeqCst);
        let mut clients: Vec<_> = (0..20).map(|_| world.caller(&app)).collect();
        let mut open = Vec::new();
        for client in &mut clients {
            // Each stays open: nobody has said that nothing more is asked.
            let asked = stream::once(async { b"x".to_vec() });
            let endless = futures_util::StreamExt::chain(asked, stream::pending());
            let mut answers = client.stream("Echo", endless).await.unwrap().into_inner();
            assert_eq!(answers.message().await.unwrap().unwrap(), b"x");
            open.push(answers);
        }
        assert_eq!(speaker.noticed.connections.load(Ordering::SeqCst), before);
        drop((open, clients));
        world.stop().await;
    }

    async fn who_gives_a_call_up_gives_it_up_at_the_instance(backend: Backend) {
        let speaker = Speaker::start();
        let (world, app) = serving(&backend, &[speaker.address], &[]).await;
        let mut client = world.caller(&app);
        let calling = tokio::spawn(async move { client.ask("Wait", "x").await });
        eventually("the call is there", || {
            speaker.noticed.last().0.ends_with("Wait").then_some(())
        }).await;
        calling.abort();
        eventually("it is given up", || {
            (speaker.noticed.given_up.load(Ordering::SeqCst) == 1).then_some(())
        }).await;
        world.stop().await;
    }

    async fn a_calls_own_deadline_ends_it_and_is_held_against_no_instance(backend: Backend) {
        let by_hand = ByHand::new().await;
        let (world, _) = serving(&backend, &[], &[("gateway.upstream_timeout", "10m")]).await;
        let app = App::new("silent");
        world.tell(app.live(&[by_hand.address]), 1).await;
        // Takes connections, says nothing.
        let silent = tokio::spawn(async move {
            let mut open = Vec::new();
            loop {
                open.push(by_hand.tcp().await);
            }
        });
        // More than it takes for an instance to be left alone. The client has no clock of its own here.
        let given_little = async || {
            let mut send = by_http2(world.address).await;
            let mut asked = call(&app.host(), "/test.Speaker/Wait");
            asked.headers_mut().insert("grpc-timeout", "50m".parse().unwrap());
            let (answer, mut body) = send.send_request(asked, false).unwrap();
            body.send_data(framed(b"x"), false).unwrap();
            let answer = answer.await.unwrap();
            let told = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(answer.status(), 200);
            (told("grpc-status"), told("grpc-message"))
        };
        eventually_async("it is known", || async {
            (given_little().await.0 != "12").then_some(())
        }).await;
        for _ in 0..7 {
            let (status, message) = given_little().await;
            assert_eq!(status, "4");
            assert!(message.starts_with("deadline_exceeded: "), "{message}");
        }
        silent.abort();
        let speaker = Speaker::start();
        let other = App::new("other");
        world.tell(other.live(&[speaker.address]), 1).await;
        eventually_async("it is known", || async {
            let mut client = world.caller(&other).within(Duration::from_mins(5));
            client.ask("Echo", "x").await.ok()
        }).await;
        assert_eq!(speaker.noticed.last().1.get("grpc-timeout").unwrap(), "300000m");
        // It holds for an answer that has begun, too.
        let mut client = world.caller(&other).within(Duration::from_millis(300));
        let asked = futures_util::StreamExt::chain(stream::once(async { b"x".to_vec() }), stream::pending());
        let mut answers = client.stream("Echo", asked).await.unwrap().into_inner();
        assert_eq!(answers.message().await.unwrap().unwrap(), b"x");
        let ended = answers.message().await.unwrap_err();
        assert!(matches!(ended.code(), Code::DeadlineExceeded | Code::Cancelled), "{ended:?}");
        world.stop().await;
    }

    async fn who_reads_slowly_holds_little_and_nobody_else_up(backend: Backend) {
        let speaker = Speaker::start();
        let (world, app) = serving(&backend, &[speaker.address], &[]).await;
        let mut send = by_http2(world.address).await;
        let (answer, mut body) = send.send_request(call(&app.host(), "/test.Speaker/Endless"), false).unwrap();
        body.send_data(framed(b"x"), true).unwrap();
        // Its head is taken, and nothing of what comes after it.
        let held = answer.await.unwrap();
        let mut other = world.caller(&app);
        for _ in 0..50 {
            assert_eq!(*other.ask("Echo", "x").await.unwrap().get_ref(), "x");
        }
        let sent = speaker.noticed.sent.load(Ordering::SeqCst);
        assert!(sent < 2 * 1024 * 1024, "{sent} bytes for somebody who reads nothing");
        drop((held, body));
        world.stop().await;
    }

    async fn http2_in_plain_text_reaches_what_speaks_http1(backend: Backend) {
        let upstream = Upstream::saying("hello").await;
        let (world, app) = serving(&backend, &[upstream.address], &[]).await;
        let mut send = by_http2(world.address).await;
        let asked = http::Request::get(format!("http://{}/x", app.host())).body(()).unwrap();
        let (answer, _) = send.send_request(asked, true).unwrap();
        let mut answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.body_mut().data().await.unwrap().unwrap(), Bytes::from("hello"));
        let seen = upstream.last();
        assert_eq!((seen.first_line(), seen.one("x-forwarded-proto").as_str()), ("GET /x HTTP/1.1", "http"));
        // What isn't gRPC goes by HTTP/1.1, and so does gRPC-Web.
        let asked = http::Request::post(format!("http://{}/web", app.host())).header("content-type", "application/grpc-web+proto").body(()).unwrap();
        let (answer, _) = send.send_request(asked, true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        assert_eq!(upstream.last().first_line(), "POST /web HTTP/1.1");
        // On the same port, as before.
        assert_eq!(world.until(&app.host(), 200).await, "hello");
        // To an instance that doesn't speak it a call is a failure of the instance's.
        let failed = world.caller(&app).ask("Echo", "x").await.unwrap_err();
        assert_eq!(failed.code(), Code::Unavailable, "{failed:?}");
        assert!(failed.message().starts_with("upstream_failed: "), "{failed:?}");
        world.stop().await;
    }

    async fn a_refusal_is_told_in_the_words_of_grpc(backend: Backend) {
        let speaker = Speaker::start();
        let settings = [("gateway.max_body", "1000"), ("gateway.upstream_timeout", "200ms")];
        let (world, app) = serving(&backend, &[speaker.address], &settings).await;
        let failed = Client::new(world.address, "nobody.localhost").ask("Echo", "x").await.unwrap_err();
        assert_eq!((failed.code(), failed.message()), (Code::Unimplemented, "unknown_app: There is no app under this name"));
        let failed = Client::new(world.address, "elsewhere.example").ask("Echo", "x").await.unwrap_err();
        assert_eq!(failed.code(), Code::Internal, "{failed:?}");
        let failed = world.caller(&app).ask("Echo", &"x".repeat(1001)).await.unwrap_err();
        assert_eq!(failed.code(), Code::ResourceExhausted, "{failed:?}");
        let failed = world.caller(&app).ask("Wait", "x").await.unwrap_err();
        assert_eq!(failed.code(), Code::DeadlineExceeded, "{failed:?}");
        drop(speaker);
        let failed = eventually_async("it is gone", || async {
            let failed = world.caller(&app).ask("Echo", "x").await.err()?;
            failed.message().starts_with("upstream_unreachable").then_some(failed)
        }).await;
        assert_eq!(failed.code(), Code::Unavailable);
        world.stop().await;
    }
}
