use super::*;
use common::time::{Clock, Span};

testkit::on_both_backends! {
    async fn wrong_tries_slow_the_next_ones_down_for_known_and_unknown_alike(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        for email in ["seb@x.dev", "nobody@x.dev"] {
            for _ in 0..5 {
                expect(401, login(&harness, "euser", email, "another password")).await;
            }
            let response = login(&harness, "euser", email, PASSWORD).send().await.unwrap();
            assert_eq!(response.status(), 429, "{email}");
            let wait: i64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=31).contains(&wait), "{wait}");
        }
        clock.advance(Span::seconds(31));
        expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        // Success begins the count anew.
        expect(401, login(&harness, "euser", "seb@x.dev", "another password")).await;
        expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn registering_is_no_way_around_the_pacing(backend: Backend) {
        let harness = auth(&backend).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        for _ in 0..5 {
            expect(401, register(&harness, "seb@x.dev", "another password")).await;
        }
        expect(429, register(&harness, "seb@x.dev", PASSWORD)).await;
        expect(429, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        harness.stop().await;
    }
}
