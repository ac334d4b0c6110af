use super::*;
use common::time::{Clock, Span};
use testkit::{MailServer, Mood, Received, eventually_async};

fn sending<'a>(backend: &'a Backend, server: &MailServer) -> Builder<'a> {
    auth(backend)
        .setting("mail.smtp_url", &server.url())
        .setting("mail.from", "Slipway <no-reply@slipway.example>")
}

/// All that the server has, once it has so many.
async fn received(server: &MailServer, count: usize) -> Vec<Received> {
    let what = format!("{count} mails");
    eventually(&what, || {
        let mails = server.received();
        (mails.len() >= count).then_some(mails)
    })
    .await
}

const STATES: &str =
    "SELECT state || CASE WHEN sealed IS NULL THEN '' ELSE ' sealed' END AS text FROM letters";
const FAILURES: &str = "SELECT failure AS text FROM letters WHERE failure IS NOT NULL";

async fn all_are(harness: &Harness, state: &str) {
    eventually_async(state, || async {
        let states = texts(harness, STATES).await;
        states.iter().all(|one| one == state).then_some(())
    })
    .await;
}

async fn failure(harness: &Harness) -> String {
    eventually_async("a failure", || async {
        texts(harness, FAILURES).await.pop()
    })
    .await
}

testkit::on_both_backends! {
    async fn a_letter_goes_to_the_mail_server_and_what_stood_in_it_is_forgotten(backend: Backend) {
        let server = MailServer::start().await;
        server.require_login("seb@relay", "p:w/1");
        let url = server.url().replace("smtp://", "smtp://seb%40relay:p%3Aw%2F1@");
        let harness = sending(&backend, &server).setting("mail.smtp_url", &url).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        let mails = received(&server, 1).await;
        let mail = &mails[0];
        assert_eq!((mail.from.as_str(), mail.to.as_slice()), ("no-reply@slipway.example", &["seb@x.dev".to_owned()][..]));
        assert_eq!(mail.header("subject"), Some("Confirm your email address"));
        assert_eq!(mail.header("to"), Some("seb@x.dev"));
        assert!(mail.header("from").unwrap().contains("<no-reply@slipway.example>"));
        let id = mail.header("message-id").unwrap();
        assert!(id.starts_with("<mail_") && id.ends_with("@slipway.example>"), "{id}");
        assert!(mail.text().contains("http://localhost:8080/auth/verify#"), "{}", mail.text());
        all_are(&harness, "sent").await;
        assert!(!backend.directory().join("mail").exists());
        harness.stop().await;
    }

    async fn what_waits_is_sealed(backend: Backend) {
        let server = MailServer::start().await;
        server.set_mood(Mood::PutsOff);
        let harness = sending(&backend, &server).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        assert_eq!(failure(&harness).await, "the mail server answered 451");
        assert_eq!(texts(&harness, STATES).await, ["waiting sealed"]);
        harness.stop().await;
    }

    async fn a_server_that_puts_off_or_is_down_gets_it_later(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let server = MailServer::start().await;
        server.set_mood(Mood::PutsOff);
        let harness = sending(&backend, &server).clock(clock.clone()).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        assert_eq!(failure(&harness).await, "the mail server answered 451");
        // Now it isn't there at all.
        let address = server.address();
        drop(server);
        clock.advance(Span::minutes(1));
        eventually_async("another failure", || async { (failure(&harness).await != "the mail server answered 451").then_some(()) }).await;
        let server = MailServer::start_at(address).await;
        assert_eq!(server.received(), []);
        clock.advance(Span::hours(1));
        received(&server, 1).await;
        all_are(&harness, "sent").await;
        assert_eq!(server.received().len(), 1);
        harness.stop().await;
    }

    async fn a_server_that_takes_it_and_dies_has_it_once(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let server = MailServer::start().await;
        server.set_mood(Mood::DiesAfterTaking);
        let harness = sending(&backend, &server).clock(clock.clone()).start().await;
        for email in ["seb@x.dev", "ben@x.dev"] {
            expect(200, register(&harness, email, PASSWORD)).await;
        }
        received(&server, 2).await;
        all_are(&harness, "sent").await;
        clock.advance(Span::days(1));
        server.set_mood(Mood::Takes);
        expect(200, register(&harness, "last@x.dev", PASSWORD)).await;
        let mut to: Vec<_> = received(&server, 3).await.into_iter().flat_map(|mail| mail.to).collect();
        to.sort();
        assert_eq!(to, ["ben@x.dev", "last@x.dev", "seb@x.dev"]);
        harness.stop().await;
    }

    async fn a_server_that_dies_before_it_says_so_gets_the_same_mail_again(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let server = MailServer::start().await;
        server.set_mood(Mood::DiesBeforeAnswering);
        let harness = sending(&backend, &server).clock(clock.clone()).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        received(&server, 1).await;
        failure(&harness).await;
        server.set_mood(Mood::Takes);
        clock.advance(Span::minutes(10));
        let mails = received(&server, 2).await;
        assert_eq!(mails[0], mails[1], "the same to the byte, and so the same Message-ID");
        all_are(&harness, "sent").await;
        harness.stop().await;
    }

    async fn a_letter_that_is_refused_for_long_is_given_up_and_says_why(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let server = MailServer::start().await;
        server.set_mood(Mood::Refuses);
        let harness = sending(&backend, &server).clock(clock.clone()).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        assert_eq!(failure(&harness).await, "the mail server answered 550");
        assert_eq!(texts(&harness, STATES).await, ["waiting sealed"]);
        clock.advance(Span::minutes(61));
        all_are(&harness, "given_up").await;
        assert_eq!(texts(&harness, FAILURES).await, ["the mail server answered 550"]);
        harness.stop().await;
    }

    async fn an_address_that_names_two_reaches_neither(backend: Backend) {
        let server = MailServer::start().await;
        let harness = sending(&backend, &server).start().await;
        for email in ["seb@x.dev,all@y.dev", "<seb@x.dev>,all@y.dev", "\"seb>\"@x.dev,all@y.dev"] {
            expect(200, register(&harness, email, PASSWORD)).await;
        }
        for email in ["seb\r\nBcc:all@y.dev", "seb@x.dev\r\nRCPT TO:<all@y.dev>", "seb@x.dev all@y.dev"] {
            expect(400, register(&harness, email, PASSWORD)).await;
        }
        all_are(&harness, "given_up").await;
        assert_eq!(server.received(), []);
        harness.stop().await;
    }

    async fn what_is_over_is_kept_for_a_month(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        letter(&backend, "seb@x.dev", "Confirm", 1).await;
        all_are(&harness, "kept").await;
        for (days, expected) in [(29, 0), (31, 1)] {
            let now = clock.now() + Span::days(days);
            let cleaning = move |db: &mut chassis::db::Db| slipway_auth::mail::clean_up(db, now);
            let removed: Result<_, diesel::result::Error> = db(&harness).write(cleaning).await;
            assert_eq!(removed.unwrap(), expected, "after {days} days");
        }
        assert_eq!(letters(&backend, "seb@x.dev", "").len(), 1);
        clock.advance(Span::days(31));
        eventually("the mail is removed", || kept(backend.directory()).unwrap().is_empty().then_some(())).await;
        harness.stop().await;
    }

    async fn who_has_letters_in_hand_and_dies_leaves_them_to_others(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let server = MailServer::start().await;
        server.set_mood(Mood::PutsOff);
        let harness = sending(&backend, &server).clock(clock.clone()).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        failure(&harness).await;
        harness.stop().await;
        server.set_mood(Mood::Takes);
        clock.advance(Span::minutes(11));
        let harness = sending(&backend, &server).clock(clock).start().await;
        received(&server, 1).await;
        all_are(&harness, "sent").await;
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_the_letters() {
    let backend = Backend::distributed().await;
    let server = MailServer::start().await;
    let one = sending(&backend, &server).start().await;
    let other = sending(&backend, &server).start().await;
    let emails: Vec<_> = (0..12).map(|n| format!("seb{n:02}@x.dev")).collect();
    for (n, email) in emails.iter().enumerate() {
        let harness = if n % 2 == 0 { &one } else { &other };
        expect(200, register(harness, email, PASSWORD)).await;
    }
    all_are(&one, "sent").await;
    let mut to: Vec<_> = server
        .received()
        .into_iter()
        .flat_map(|mail| mail.to)
        .collect();
    to.sort();
    assert_eq!(to, emails, "each once");
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_worth_is_said_where_others_may_listen() {
    let backend = Backend::sqlite();
    let server = MailServer::start().await;
    let url = server.url().replace("smtp://", "smtp://seb:hunter2@") + "?tls=required";
    let harness = sending(&backend, &server)
        .setting("mail.smtp_url", &url)
        .start()
        .await;
    expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
    let why = failure(&harness).await;
    assert!(why.contains("STARTTLS"), "{why}");
    let commands = server.commands();
    assert!(
        !commands.contains(&"AUTH".to_owned()) && !commands.contains(&"MAIL".to_owned()),
        "{commands:?}"
    );
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_for_the_server_loses_no_letter() {
    let backend = Backend::sqlite();
    let clock = Clock::manual(Clock::system().now());
    let server = MailServer::start().await;
    server.require_login("seb", "hunter2");
    let url = server.url().replace("smtp://", "smtp://seb:hunter1@");
    let harness = sending(&backend, &server)
        .setting("mail.smtp_url", &url)
        .clock(clock.clone())
        .start()
        .await;
    expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
    assert_eq!(failure(&harness).await, "the mail server answered 535");
    clock.advance(Span::hours(12));
    server.require_login("seb", "hunter1");
    received(&server, 1).await;
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_mails_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let backend = Backend::sqlite();
    let harness = auth(&backend).start().await;
    expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
    let mail = letter(&backend, "seb@x.dev", "Confirm", 1).await;
    let folder = backend.directory().join("mail");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    let text = std::fs::read_to_string(&mail.file).unwrap();
    assert!(
        text.contains("Subject: Confirm your email address"),
        "{text}"
    );
    all_are(&harness, "kept").await;
    harness.stop().await;
}
