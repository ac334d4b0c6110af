//! Deliveries: one event on its way to one webhook, and what is to become of it after each attempt.

use std::time::Duration;

use common::event::WebhookEnd;
use common::id::{AccountId, EventId, WebhookDeliveryId, WebhookId};
use common::time::{Span, Time};
use diesel::prelude::*;

use super::kinds::EventType;
use crate::schema::webhook_deliveries;

/// The most that wait for one webhook. What comes beyond that isn't kept for it.
pub(crate) const BACKLOG: i64 = 1_000;
/// How much of an answer is kept.
pub(crate) const KEPT_OF_ANSWER: usize = 1_024;
/// The longest that an answer may have us wait.
const LONGEST_WAIT: Span = Span::days(1);
/// For how long a webhook that is asked too much is left alone, unless it says.
const REST: Span = Span::seconds(60);

common::text_enum! {
    /// Where a delivery stands.
    pub(crate) enum DeliveryStatus {
        /// It is to be sent, again or for the first time.
        Pending = "pending",
        /// It was taken.
        Delivered = "delivered",
        /// It wasn't, and isn't sent again unless somebody asks for it.
        Failed = "failed",
    }
}

/// A delivery.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = webhook_deliveries)]
pub(crate) struct Delivery {
    pub(crate) id: WebhookDeliveryId,
    pub(crate) webhook_id: WebhookId,
    pub(crate) account_id: AccountId,
    pub(crate) message_id: EventId,
    pub(crate) event_type: EventType,
    pub(crate) payload: String,
    pub(crate) status: DeliveryStatus,
    /// How often it was sent.
    pub(crate) attempts: i32,
    /// How often it was since it was last put into the queue.
    pub(crate) tries: i32,
    /// When it is sent next; while it is in hand, when another may take it.
    pub(crate) next_attempt_at: Option<Time>,
    pub(crate) lease_owner: Option<String>,
    pub(crate) response_status: Option<i32>,
    pub(crate) response_body: Option<String>,
    /// Why there was no answer.
    pub(crate) problem: Option<String>,
    pub(crate) duration_ms: Option<i64>,
    pub(crate) last_attempt_at: Option<Time>,
    pub(crate) created_at: Time,
    pub(crate) finished_at: Option<Time>,
}

impl Delivery {
    /// A message for a webhook, to be sent at once.
    pub(crate) fn new(
        webhook: &WebhookId,
        account: &AccountId,
        (message, event_type): (&EventId, EventType),
        payload: &str,
        now: Time,
    ) -> Self {
        Self {
            id: WebhookDeliveryId::new(now),
            webhook_id: webhook.clone(),
            account_id: account.clone(),
            message_id: message.clone(),
            event_type,
            payload: payload.to_owned(),
            status: DeliveryStatus::Pending,
            attempts: 0,
            tries: 0,
            next_attempt_at: Some(now),
            lease_owner: None,
            response_status: None,
            response_body: None,
            problem: None,
            duration_ms: None,
            last_attempt_at: None,
            created_at: now,
            finished_at: None,
        }
    }
}

/// What came of sending.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    /// There was an answer.
    Answered {
        /// Its status.
        status: u16,
        /// How long it asks us to wait.
        retry_after: Option<Span>,
        /// Its first bytes, as text.
        body: String,
    },
    /// There was none, for this reason.
    Unanswered(String),
}

/// The pauses after failed attempts: the first after the first, and none after the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule(pub(crate) Vec<Duration>);

impl Schedule {
    /// How long to wait after so many attempts, a tenth of it more at random, so that what failed
    /// together doesn't come again together. `jitter` is 0 to 99.
    fn pause(&self, tries: i32, jitter: u64) -> Option<Span> {
        let place = usize::try_from(tries).ok()?.checked_sub(1)?;
        let pause = self.0.get(place)?;
        let more = pause.as_millis().saturating_mul(u128::from(jitter)) / 1_000;
        let more = Duration::from_millis(u64::try_from(more).unwrap_or(0));
        Span::from_std(pause.saturating_add(more)).ok()
    }
}

/// What is to become of a delivery after an attempt, and of its webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: DeliveryStatus,
    pub(crate) next_attempt_at: Option<Time>,
    /// Until when nothing else is sent to the webhook either.
    pub(crate) pause_until: Option<Time>,
    pub(crate) end: Option<WebhookEnd>,
}

/// Decides after the attempt number `tries`. 2xx alone is success; 410 ends the webhook; what says that
/// it is asked too much, or how long to wait, is left alone for so long.
pub(crate) fn judge(
    sent: &Sent,
    tries: i32,
    schedule: &Schedule,
    jitter: u64,
    now: Time,
) -> Verdict {
    let (status, retry_after) = match sent {
        Sent::Answered {
            status,
            retry_after,
            ..
        } => (
            Some(*status),
            retry_after.map(|wait| wait.min(LONGEST_WAIT)),
        ),
        Sent::Unanswered(_) => (None, None),
    };
    let over = |status, end| Verdict {
        status,
        next_attempt_at: None,
        pause_until: None,
        end,
    };
    match status {
        Some(200..=299) => return over(DeliveryStatus::Delivered, None),
        Some(410) => return over(DeliveryStatus::Failed, Some(WebhookEnd::Gone)),
        _ => {}
    }
    let is_busy = matches!(status, Some(429 | 502 | 503 | 504));
    let pause_until = match retry_after {
        Some(wait) if is_busy => Some(now + wait),
        None if matches!(status, Some(429 | 502 | 504)) => {
            let pause = schedule.pause(tries, jitter).unwrap_or(REST);
            Some(now + pause.min(REST))
        }
        _ => None,
    };
    let Some(pause) = schedule.pause(tries, jitter) else {
        return Verdict {
            pause_until,
            ..over(DeliveryStatus::Failed, None)
        };
    };
    Verdict {
        status: DeliveryStatus::Pending,
        next_attempt_at: Some(now + pause.max(retry_after.unwrap_or(pause))),
        pause_until,
        end: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn schedule() -> Schedule {
        Schedule(vec![Duration::from_secs(5), MINUTE])
    }

    fn answered(status: u16, retry_after: Option<i64>) -> Sent {
        Sent::Answered {
            status,
            retry_after: retry_after.map(Span::seconds),
            body: String::new(),
        }
    }

    fn after(sent: &Sent, tries: i32) -> Verdict {
        judge(sent, tries, &schedule(), 0, Time::EPOCH)
    }

    fn at(seconds: i64) -> Time {
        Time::EPOCH + Span::seconds(seconds)
    }

    #[test]
    fn only_2xx_is_success_and_a_redirect_is_none() {
        for status in [200, 204, 299] {
            let verdict = after(&answered(status, None), 1);
            assert_eq!(verdict.status, DeliveryStatus::Delivered, "{status}");
        }
        for status in [199, 300, 302, 307, 404, 500] {
            let verdict = after(&answered(status, None), 1);
            assert_eq!(verdict.status, DeliveryStatus::Pending, "{status}");
            assert_eq!((verdict.pause_until, verdict.end), (None, None), "{status}");
        }
    }

    #[test]
    fn attempts_go_by_the_schedule_and_end_with_it() {
        let lost = Sent::Unanswered("nobody there".into());
        assert_eq!(after(&lost, 1).next_attempt_at, Some(at(5)));
        assert_eq!(after(&lost, 2).next_attempt_at, Some(at(60)));
        let last = after(&lost, 3);
        assert_eq!(
            (last.status, last.next_attempt_at),
            (DeliveryStatus::Failed, None)
        );
        let late = judge(&lost, 2, &schedule(), 99, Time::EPOCH);
        assert!(late.next_attempt_at > Some(at(65)) && late.next_attempt_at < Some(at(67)));
    }

    #[test]
    fn what_is_asked_too_much_is_left_alone_for_as_long_as_it_says() {
        let verdict = after(&answered(429, Some(90)), 1);
        assert_eq!(verdict.pause_until, Some(at(90)));
        assert_eq!(verdict.next_attempt_at, Some(at(90)));
        // Sooner than the schedule says it isn't asked again.
        let verdict = after(&answered(503, Some(1)), 2);
        assert_eq!(
            (verdict.pause_until, verdict.next_attempt_at),
            (Some(at(1)), Some(at(60)))
        );
        // Nor does anybody have us wait for ever.
        let verdict = after(&answered(429, Some(10_000_000)), 1);
        assert_eq!(verdict.pause_until, Some(at(86_400)));
        for status in [429, 502, 504] {
            assert_eq!(
                after(&answered(status, None), 1).pause_until,
                Some(at(5)),
                "{status}"
            );
        }
        assert_eq!(after(&answered(500, Some(90)), 1).pause_until, None);
    }

    #[test]
    fn who_is_gone_is_sent_nothing_more() {
        let verdict = after(&answered(410, None), 1);
        assert_eq!(verdict.end, Some(WebhookEnd::Gone));
        assert_eq!(
            (verdict.status, verdict.next_attempt_at),
            (DeliveryStatus::Failed, None)
        );
    }
}
