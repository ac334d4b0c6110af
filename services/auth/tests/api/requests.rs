//! The stages of login requests, whatever they are for.

use std::net::{IpAddr, Ipv4Addr};

use chassis::http::ClientAddress;
use common::time::{Clock, Span, Time};
use diesel::result::Error;
use slipway_auth::requests::{
    self, Answer, Ask, AskError, Code, Kind, OPEN_BY_ADDRESS, PollError, Request, UserCode, store,
};

use super::*;

const ADDRESS: ClientAddress = ClientAddress(Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))));

fn now() -> Time {
    Clock::system().now()
}

fn an_ask(poll: &Code) -> Ask {
    Ask {
        kind: Kind::Device,
        poll: Some(poll.clone()),
        user_code: Some(UserCode::random()),
        browser: None,
        actor: None,
        identity: None,
        address: ADDRESS,
        lifetime: requests::LIFETIME,
    }
}

async fn asked(db: &Database, poll: &Code, at: Time) -> Request {
    let ask = an_ask(poll);
    db.write(move |db| requests::ask(db, &ask, at))
        .await
        .unwrap()
}

async fn claimed(db: &Database, request: &Request, browser: &Code, at: Time) -> bool {
    let (request, browser) = (request.clone(), browser.clone());
    db.write(move |db| requests::claim(db, &request, &browser, at))
        .await
        .unwrap()
}

async fn answered(db: &Database, request: &Request, at: Time) -> bool {
    let request = request.clone();
    let answer = Answer {
        profile: Some("{}".into()),
        ..Answer::default()
    };
    db.write(move |db| requests::answer(db, &request, &answer, at))
        .await
        .unwrap()
}

async fn redeemed(db: &Database, request: &Request, at: Time) -> bool {
    let request = request.clone();
    db.write(move |db| requests::redeem(db, &request, at))
        .await
        .unwrap()
}

async fn polled(db: &Database, code: &Code, at: Time) -> Result<Request, PollError> {
    let code = code.clone();
    db.write(move |db| requests::poll(db, Kind::Device, &code, at))
        .await
}

testkit::on_both_backends! {
    async fn a_request_is_one_browsers_and_answered_and_redeemed_once(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (db, poll, at) = (db(&harness), Code::random(), now());
        let request = asked(&db, &poll, at).await;
        assert!(!answered(&db, &request, at).await, "nobody has taken it on");
        let (one, other) = (Code::random(), Code::random());
        assert!(claimed(&db, &request, &one, at).await);
        assert!(claimed(&db, &request, &one, at).await, "the same browser once more");
        assert!(!claimed(&db, &request, &other, at).await);
        assert!(!redeemed(&db, &request, at).await, "nobody has answered");

        let both = tokio::join!(answered(&db, &request, at), answered(&db, &request, at));
        assert!(both.0 != both.1, "{both:?}");
        assert!(!claimed(&db, &request, &one, at).await, "it has been answered");
        let both = tokio::join!(redeemed(&db, &request, at), redeemed(&db, &request, at));
        assert!(both.0 != both.1, "{both:?}");
        assert!(matches!(polled(&db, &poll, at).await, Err(PollError::Expired)));
        let reference = request.reference.clone();
        let kept = db.read(move |db| store::by_reference(db, &reference)).await.unwrap().unwrap();
        assert_eq!(kept.profile, None, "who it was is forgotten");
        harness.stop().await;
    }

    async fn a_poll_is_answered_at_the_requests_pace_until_it_ends(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (db, poll, at) = (db(&harness), Code::random(), now());
        assert!(matches!(polled(&db, &poll, at).await, Err(PollError::Unknown)));
        let request = asked(&db, &poll, at).await;
        assert_eq!(polled(&db, &poll, at).await.unwrap().id, request.id);
        let soon = at + Span::milliseconds(500);
        assert!(matches!(polled(&db, &poll, soon).await, Err(PollError::TooFast { retry_after: 2 })));
        let id = request.id;
        db.write(move |db| store::slow_down(db, id, 5)).await.unwrap();
        assert!(matches!(polled(&db, &poll, at + Span::seconds(6)).await, Err(PollError::TooFast { retry_after: 1 })));
        polled(&db, &poll, at + Span::seconds(7)).await.unwrap();

        // Of what belongs to another kind the code opens nothing.
        let code = poll.clone();
        let other = db.write(move |db| requests::poll(db, Kind::Login, &code, at)).await;
        assert!(matches!(other, Err(PollError::Unknown)));

        let ended = at + requests::LIFETIME;
        assert!(matches!(polled(&db, &poll, ended).await, Err(PollError::Expired)));
        assert!(!claimed(&db, &request, &Code::random(), ended).await);
        db.write(move |db| requests::clean_up(db, ended + Span::hours(2))).await.unwrap();
        assert!(matches!(polled(&db, &poll, ended).await, Err(PollError::Unknown)));
        harness.stop().await;
    }

    async fn an_answer_at_the_last_moment_can_still_be_fetched(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (db, poll, at) = (db(&harness), Code::random(), now());
        let request = asked(&db, &poll, at).await;
        assert!(claimed(&db, &request, &Code::random(), at).await);
        let last = at + requests::LIFETIME - Span::seconds(1);
        assert!(answered(&db, &request, last).await);
        let later = last + Span::seconds(30);
        let request = polled(&db, &poll, later).await.unwrap();
        let show = |at: Time| {
            let (request, poll) = (request.clone(), poll.clone());
            db.write(move |db| requests::one_time(db, &request, &poll, at))
        };
        let shown = show(later).await.unwrap().unwrap();
        let digest = shown.digest();
        let found = db.read(move |db| store::by_one_time(db, &digest)).await.unwrap().unwrap();
        assert_eq!(found.code_expires_at, Some(later + requests::CODE_LIFETIME));
        harness.stop().await;
    }

    async fn one_address_fills_its_own_room_only_and_answers_make_room(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (db, at) = (db(&harness), now());
        let first = asked(&db, &Code::random(), at).await;
        db.write(move |db| {
            for _ in 1..OPEN_BY_ADDRESS {
                requests::ask(db, &an_ask(&Code::random()), at)?;
            }
            Ok::<_, AskError>(())
        }).await.unwrap();
        let more = || db.write(move |db| requests::ask(db, &an_ask(&Code::random()), at + Span::seconds(1)));
        assert!(matches!(more().await, Err(AskError::TooMany { retry_after: 600 })));
        let elsewhere = Ask { address: ClientAddress(Some(Ipv4Addr::new(192, 0, 2, 2).into())), ..an_ask(&Code::random()) };
        db.write(move |db| requests::ask(db, &elsewhere, at)).await.unwrap();
        assert!(claimed(&db, &first, &Code::random(), at).await);
        assert!(answered(&db, &first, at).await);
        more().await.unwrap();
        assert!(matches!(more().await, Err(AskError::TooMany { .. })));
        harness.stop().await;
    }

    async fn a_state_ends_one_trip_and_a_new_trip_makes_the_old_state_worthless(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (db, at) = (db(&harness), now());
        let request = asked(&db, &Code::random(), at).await;
        let (old, new) = (Code::random(), Code::random());
        let begin = |state: &Code| {
            let trip = store::Trip { state_digest: state.digest(), redirect_uri: "x".into(), sealed_verifier: vec![1] };
            let request = request.clone();
            db.write(move |db| requests::begin_trip(db, &request, &trip, at))
        };
        let end = |state: &Code| {
            let state = state.clone();
            db.write(move |db| requests::take_back(db, &state, |_| true, at))
        };
        assert!(!begin(&old).await.unwrap(), "no browser has taken it on");
        assert!(claimed(&db, &request, &Code::random(), at).await);
        assert!(begin(&old).await.unwrap() && begin(&new).await.unwrap());
        assert!(end(&old).await.unwrap().is_none());
        let (first, second): (Result<_, Error>, Result<_, Error>) = tokio::join!(end(&new), end(&new));
        assert!(first.unwrap().is_some() != second.unwrap().is_some());
        harness.stop().await;
    }
}
