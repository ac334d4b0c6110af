//! The queue, without anybody who works it off.

use chassis::db::{Database, Db};
use chassis::seal::Sealer;
use common::id::{AccountId, EventId, UserId, WebhookId};
use common::time::{Span, Time};
use diesel::QueryResult;
use testkit::on_both_backends;

use super::deliveries::{BACKLOG, DeliveryStatus, Schedule, Sent, judge};
use super::kinds::EventTypes;
use super::message::Message;
use super::secret::Sealed;
use super::take::{Bounds, Room, Taken, take};
use super::{NewWebhook, Webhook, create, delivery_store, events, store};

const ROOM: Room = Room {
    all: 100,
    doubtful: 100,
};

fn webhook(db: &mut Db, account: &AccountId, now: Time) -> Webhook {
    let directory = tempfile::tempdir().unwrap();
    let settings = chassis::settings::SecretsSettings::default();
    let sealer = Sealer::open_or_create(&settings, directory.path()).unwrap();
    let id = WebhookId::new(now);
    let (sealed, _) = Sealed::fresh(&sealer, &id).unwrap();
    let new = NewWebhook {
        id,
        account_id: account.clone(),
        url: "https://example.com/".parse().unwrap(),
        description: None,
        event_types: EventTypes::all(),
        sealed,
        created_by: UserId::new(now),
    };
    create(db, new, now).unwrap()
}

/// Tells an account's webhooks of something, once for each id.
fn tell(db: &mut Db, account: &AccountId, ids: &[EventId], now: Time) {
    let message = Message::test(account, &WebhookId::new(now));
    for id in ids {
        events::queue(db, &message, (id, now), now).unwrap();
    }
}

fn ids(count: usize, now: Time) -> Vec<EventId> {
    (0..count).map(|_| EventId::new(now)).collect()
}

fn in_hand(taken: &[Taken]) -> Vec<&str> {
    taken
        .iter()
        .map(|taken| taken.delivery.message_id.as_str())
        .collect()
}

async fn with_db<T: Send + 'static>(
    db: &Database,
    work: impl FnOnce(&mut Db) -> T + Send + 'static,
) -> T {
    db.write(move |db| QueryResult::Ok(work(db))).await.unwrap()
}

fn at(seconds: i64) -> Time {
    Time::EPOCH + Span::seconds(seconds)
}

on_both_backends! {
    async fn an_event_that_comes_twice_is_one_delivery(backend: Backend) {
        let db = backend.database(crate::NAME, Some(crate::migrations())).await;
        with_db(&db, |db| {
            let account = AccountId::new(at(0));
            let webhook = webhook(db, &account, at(0));
            let event = ids(1, at(0));
            tell(db, &account, &event, at(0));
            tell(db, &account, &event, at(1));
            assert_eq!(delivery_store::waiting(db, &webhook.id).unwrap(), 1);
        })
        .await;
    }

    async fn what_waits_for_one_webhook_is_bounded_and_what_is_not_kept_is_counted(backend: Backend) {
        let db = backend.database(crate::NAME, Some(crate::migrations())).await;
        with_db(&db, |db| {
            let account = AccountId::new(at(0));
            let full = webhook(db, &account, at(0));
            let backlog = usize::try_from(BACKLOG).unwrap();
            tell(db, &account, &ids(backlog, at(0)), at(0));
            let empty = webhook(db, &account, at(0));
            tell(db, &account, &ids(3, at(0)), at(0));
            assert_eq!(delivery_store::waiting(db, &full.id).unwrap(), BACKLOG);
            assert_eq!(store::by_id(db, &full.id).unwrap().unwrap().dropped, 3);
            assert_eq!(delivery_store::waiting(db, &empty.id).unwrap(), 3);
            assert_eq!(store::by_id(db, &empty.id).unwrap().unwrap().dropped, 0);
        })
        .await;
    }

    async fn whose_process_died_is_sent_again_and_what_it_says_later_counts_no_more(backend: Backend) {
        let db = backend.database(crate::NAME, Some(crate::migrations())).await;
        with_db(&db, |db| {
            let account = AccountId::new(at(0));
            webhook(db, &account, at(0));
            tell(db, &account, &ids(1, at(0)), at(0));
            let bounds = Bounds::default();
            let dead = take(db, "dead", &bounds, ROOM, (at(0), at(30))).unwrap();
            assert_eq!(dead.len(), 1);
            assert!(take(db, "other", &bounds, ROOM, (at(29), at(59))).unwrap().is_empty());
            let again = take(db, "other", &bounds, ROOM, (at(30), at(60))).unwrap();
            assert_eq!(in_hand(&again), in_hand(&dead));
            let sent = Sent::Answered { status: 200, retry_after: None, body: String::new() };
            let verdict = judge(&sent, 1, &Schedule(Vec::new()), 0, at(31));
            let mut settle = |owner| {
                let held = (&dead[0].delivery, owner);
                delivery_store::settle(db, held, (&sent, 1), &verdict, at(31)).unwrap()
            };
            assert!(!settle("dead"));
            assert!(settle("other"));
            assert!(take(db, "other", &bounds, ROOM, (at(100), at(130))).unwrap().is_empty());
        })
        .await;
    }

    async fn two_who_take_at_once_never_take_the_same(backend: Backend) {
        let db = backend.database(crate::NAME, Some(crate::migrations())).await;
        let account = with_db(&db, |db| {
            let account = AccountId::new(at(0));
            for _ in 0..12 {
                webhook(db, &account, at(0));
            }
            tell(db, &account, &ids(2, at(0)), at(0));
            account
        })
        .await;
        let one_of = |owner: &'static str| {
            with_db(&db, move |db| {
                let room = Room { all: 6, doubtful: 6 };
                take(db, owner, &Bounds::default(), room, (at(0), at(30))).unwrap()
            })
        };
        let (one, two) = tokio::join!(one_of("one"), one_of("two"));
        let mut taken: Vec<_> = one.iter().chain(&two).map(|taken| taken.delivery.id.clone()).collect();
        taken.sort();
        taken.dedup();
        assert_eq!((one.len(), two.len(), taken.len()), (6, 6, 12));
        assert!(one.iter().chain(&two).all(|taken| taken.webhook.account_id == account));
    }

    async fn those_who_answer_come_before_a_storm_for_those_who_do_not(backend: Backend) {
        let db = backend.database(crate::NAME, Some(crate::migrations())).await;
        with_db(&db, |db| {
            let bounds = Bounds { process: 8, doubtful: 4, account: 5, webhook: 3 };
            let room = Room { all: 8, doubtful: 4 };
            let noisy = AccountId::new(at(0));
            for _ in 0..20 {
                webhook(db, &noisy, at(0));
            }
            tell(db, &noisy, &ids(10, at(0)), at(0));
            let quiet = AccountId::new(at(1));
            let good = webhook(db, &quiet, at(1));
            store::note_success(db, &good.id, at(1)).unwrap();
            tell(db, &quiet, &ids(10, at(1)), at(1));
            let taken = take(db, "one", &bounds, room, (at(2), at(32))).unwrap();
            let of = |account: &AccountId| taken.iter().filter(|taken| taken.webhook.account_id == *account).count();
            assert_eq!((of(&noisy), of(&quiet)), (4, 3), "the doubtful have their own room, and each its bound");
            // Another process sees what is under way here.
            let taken = take(db, "two", &bounds, room, (at(3), at(33))).unwrap();
            let of = |account: &AccountId| taken.iter().filter(|taken| taken.webhook.account_id == *account).count();
            assert_eq!((of(&noisy), of(&quiet)), (1, 0), "an account's bound is for all processes");
        })
        .await;
    }

    async fn whose_last_turn_is_longest_ago_is_next(backend: Backend) {
        let db = backend.database(crate::NAME, Some(crate::migrations())).await;
        with_db(&db, |db| {
            let account = AccountId::new(at(0));
            let bounds = Bounds::default();
            let one = Room { all: 1, doubtful: 1 };
            for _ in 0..3 {
                webhook(db, &account, at(0));
            }
            tell(db, &account, &ids(5, at(0)), at(0));
            let mut turns: Vec<WebhookId> = (1..=3)
                .map(|second| {
                    let taken = take(db, "x", &bounds, one, (at(second), at(second))).unwrap();
                    taken[0].webhook.id.clone()
                })
                .collect();
            turns.sort();
            turns.dedup();
            assert_eq!(turns.len(), 3);
        })
        .await;
    }

    async fn what_was_over_long_ago_is_removed_and_what_waits_is_not(backend: Backend) {
        let db = backend.database(crate::NAME, Some(crate::migrations())).await;
        with_db(&db, |db| {
            let account = AccountId::new(at(0));
            let webhook = webhook(db, &account, at(0));
            tell(db, &account, &ids(2, at(0)), at(0));
            delivery_store::give_up(db, &webhook.id, at(10)).unwrap();
            tell(db, &account, &ids(1, at(0)), at(0));
            assert_eq!(delivery_store::prune(db, at(10), 100).unwrap(), 0);
            assert_eq!(delivery_store::prune(db, at(11), 1).unwrap(), 1);
            assert_eq!(delivery_store::prune(db, at(11), 100).unwrap(), 1);
            let left = delivery_store::page(db, &webhook.id, None, None, 10).unwrap();
            assert_eq!((left.len(), left[0].status), (1, DeliveryStatus::Pending));
        })
        .await;
    }
}
