//! An order as a durable job: what came of it, and when the next one is due.

use chassis::jobs::{Job, JobContext, JobError, JobResult, still_held};
use common::random;
use common::time::{Span, Time};

use super::order::{Made, OrderError};
use super::{Acme, UNHEARD, Wanted, place, store};

/// The longest wait after orders that failed: whoever leads her domain here later than she has shown it to be
/// hers shouldn't wait much longer.
pub(super) const LONGEST_WAIT: Span = Span::hours(6);
/// The shortest wait after an order that was one too many for the maker.
const RATE_WAIT: Span = Span::hours(1);

impl Acme {
    /// Orders a certificate, if it is still wanted and no other order has taken this one's place.
    pub(crate) async fn order(&self, job: Job, cx: JobContext) -> JobResult {
        let Wanted { host, round } = job.payload()?;
        let (of, again) = (host.clone(), cx.clock.now() + UNHEARD);
        let begun = cx.db.write(move |db| store::begin(db, &of, round, again));
        let Some(failures) = begun.await.map_err(JobError::retry)? else {
            return Ok(());
        };
        let made = tokio::select! {
            made = self.orderer.order(&host) => made,
            () = cx.shutdown.cancelled() => return Err(JobError::Interrupted),
            () = cx.cancel.cancelled() => return Err(JobError::Cancelled),
        };
        let now = cx.clock.now();
        let outcome = match made {
            Ok(made) => self.keep(&host, made, job, now).await,
            Err(error) => Err(error),
        };
        let Err(error) = outcome else {
            return Ok(());
        };
        let due_at = now + wait_after(&error, self.retry, failures);
        tracing::warn!(certificate.host = host, certificate.next_try = %due_at, error = %error, "a certificate can't be got");
        let why = error.problem();
        let noted = cx
            .db
            .write(move |db| store::put_failure(db, &host, round, why, due_at));
        noted.await.map_err(JobError::retry)
    }

    async fn keep(&self, host: &str, made: Made, job: Job, now: Time) -> Result<(), OrderError> {
        let sealed = self
            .context
            .sealer
            .seal(made.key.as_bytes(), &place(host))?;
        // Many that were made in one hour aren't renewed in one: up to a tenth of the time earlier.
        let life = made.certificate.renew_at() - now;
        let earlier = u64::try_from((life / 10).num_seconds()).unwrap_or(0);
        let earlier = i64::try_from(random::below(earlier.max(1))).unwrap_or(0);
        let due_at = (made.certificate.renew_at() - Span::seconds(earlier)).max(now + self.retry);
        let (acme, host) = (self.clone(), host.to_owned());
        let not_after = made.certificate.not_after;
        let kept = {
            let host = host.clone();
            self.context
                .db
                .write(move |db| {
                    let wanted =
                        acme.platform.as_ref() == Some(&host) || store::is_verified(db, &host)?;
                    if !wanted || !still_held(db, &job, now)? {
                        return Ok::<_, diesel::result::Error>(false);
                    }
                    let kept = store::Kept {
                        chain: &made.chain,
                        sealed_key: &sealed,
                        not_after,
                        due_at,
                    };
                    store::put_certificate(db, &host, &kept)
                })
                .await?
        };
        if kept {
            tracing::info!(certificate.host = host, certificate.not_after = %not_after, certificate.renew_at = %due_at, "a certificate has been got");
        }
        Ok(())
    }
}

/// How long to wait after an order that failed like this. Most limits of makers are of one host or one registered
/// domain, and none says which it is: other hosts go on, or whoever brings one over its limit would hold them up.
fn wait_after(error: &OrderError, first: Span, failures: i64) -> Span {
    let wait = wait(first, failures);
    if error.is_rate_limit() {
        wait.max(RATE_WAIT)
    } else {
        wait
    }
}

/// How long to wait after so many failures before this one, with a tenth more or less of it.
fn wait(first: Span, failures: i64) -> Span {
    let doublings = u32::try_from(failures.clamp(0, 20)).unwrap_or(0);
    let wait = first
        .checked_mul(2_i32.saturating_pow(doublings))
        .map_or(LONGEST_WAIT, |wait| wait.min(LONGEST_WAIT));
    let tenth = u64::try_from(wait.num_milliseconds() / 10).unwrap_or(0);
    let jitter = i64::try_from(random::below(tenth.max(1))).unwrap_or(0);
    wait + Span::milliseconds(jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maker_that_has_had_enough_is_given_an_hour() {
        let problem = serde_json::json!({
            "type": "urn:ietf:params:acme:error:rateLimited", "detail": "no more", "status": 429,
        });
        let problem = serde_json::from_value(problem).unwrap();
        let enough = OrderError::Acme(instant_acme::Error::Api(problem));
        let first = Span::minutes(5);
        assert_eq!(wait_after(&enough, first, 0), Span::hours(1));
        assert!(wait_after(&enough, first, 20) >= LONGEST_WAIT);
        assert!(wait_after(&OrderError::Invalid, first, 0) < Span::minutes(6));
    }

    #[test]
    fn failures_are_followed_by_longer_waits_up_to_hours() {
        let first = Span::minutes(5);
        for (failures, least) in [(0, 5), (1, 10), (3, 40), (20, 6 * 60)] {
            let waited = wait(first, failures);
            let least = Span::minutes(least);
            assert!(
                waited >= least && waited <= least + least / 10,
                "{failures}: {waited}"
            );
        }
    }
}
