//! An order as a durable job: what came of it, and when the next one is due.

use chassis::jobs::{Job, JobContext, JobError, JobResult, still_held};
use common::random;
use common::time::{Span, Time};

use super::order::{Made, OrderError};
use super::{Acme, Wanted, place, store};

/// The longest wait after orders that failed: whoever leads her domain here later than she has shown it to be
/// hers shouldn't wait much longer.
pub(super) const LONGEST_WAIT: Span = Span::hours(6);
/// How long no order is made once the maker has had enough of them.
const RATE_PAUSE: Span = Span::hours(1);

impl Acme {
    /// Orders a certificate, if it is still wanted.
    pub(crate) async fn order(&self, job: Job, cx: JobContext) -> JobResult {
        let Wanted { host } = job.payload()?;
        let of = host.clone();
        let failures = cx.db.read(move |db| store::failures(db, &of)).await;
        let Some(failures) = failures.map_err(JobError::retry)? else {
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
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => self
                .put_off(&host, &error, failures, now)
                .await
                .map_err(JobError::retry),
        }
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

    /// Notes why an order failed. The next one is twice as far off as this one was.
    async fn put_off(
        &self,
        host: &str,
        error: &OrderError,
        failures: i64,
        now: Time,
    ) -> Result<(), diesel::result::Error> {
        let paused = error.is_rate_limit().then(|| now + RATE_PAUSE);
        let due_at = (now + wait(self.retry, failures)).max(paused.unwrap_or(now));
        tracing::warn!(certificate.host = host, certificate.next_try = %due_at, error = %error, "a certificate can't be got");
        let (host, why) = (host.to_owned(), error.to_string());
        self.context
            .db
            .write(move |db| {
                store::put_failure(db, &host, &why, due_at)?;
                match paused {
                    Some(until) => store::pause(db, until),
                    None => Ok(()),
                }
            })
            .await
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
