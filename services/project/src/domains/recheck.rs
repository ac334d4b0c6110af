//! Looks again at the domains that are served.

use std::time::Duration;

use chassis::db::Database;
use common::time::{Clock, Span};
use diesel::QueryResult;
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::check::Checker;
use super::{Domain, DomainError, DomainStatus, Pace, settle, store};
use crate::settings::DomainsSection;

/// How often is looked for what is due, unless domains are looked at more often than that.
const PERIOD: Duration = Duration::from_secs(30);
/// How many are looked at together: a server that keeps us waiting must not hold up all others.
const TOGETHER: usize = 8;
/// How many are taken at once.
const BATCH: i64 = 64;

/// What it takes.
#[derive(Clone, Debug)]
pub(crate) struct Rechecker {
    db: Database,
    clock: Clock,
    checker: Checker,
    pace: Pace,
    period: Duration,
}

impl Rechecker {
    /// One that goes by these settings.
    pub(crate) fn new(
        db: Database,
        clock: Clock,
        checker: Checker,
        settings: &DomainsSection,
    ) -> Self {
        let period = PERIOD.min(settings.check_every.0 / 2);
        Self {
            db,
            clock,
            checker,
            pace: settings.pace(),
            period: period.max(Duration::from_millis(20)),
        }
    }

    /// Looks until the service stops.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let working = async {
            loop {
                if let Err(error) = self.look().await {
                    tracing::warn!(error = %error, "domains can't be looked at again; later they are");
                }
                tokio::time::sleep(self.period).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = working => {}
        }
    }

    async fn look(&self) -> QueryResult<()> {
        let claims = self.take().await?;
        futures_util::stream::iter(claims)
            .for_each_concurrent(TOGETHER, |claim| self.check(claim))
            .await;
        Ok(())
    }

    /// Takes what is due. Each is put off first, so that of several processes one looks at it, and
    /// that whichever ends meanwhile takes nothing with it for good.
    async fn take(&self) -> QueryResult<Vec<Domain>> {
        let now = self.clock.now();
        let due = self.db.read(move |db| store::due(db, now, BATCH)).await?;
        if due.is_empty() {
            return Ok(due);
        }
        let until = now + self.pace.every;
        self.db
            .write(move |db| {
                let mut taken = Vec::new();
                for claim in due {
                    if store::put_off(db, &claim, until)? {
                        taken.push(claim);
                    }
                }
                Ok::<_, diesel::result::Error>(taken)
            })
            .await
    }

    async fn check(&self, claim: Domain) {
        let found = self.checker.find(&claim).await;
        let (pace, now, domain) = (self.pace, self.clock.now(), claim.domain.clone());
        let settled = self
            .db
            .write(move |db| settle(db, &claim, found, pace, now))
            .await;
        match settled {
            Ok(claim) if claim.status == DomainStatus::Lapsed => {
                tracing::info!(%domain, "a domain isn't served any more: its proof has been gone for too long");
            }
            // It was removed while it was looked at.
            Ok(_) | Err(DomainError::NotFound) => {}
            Err(error) => {
                tracing::warn!(%domain, error = %error, "what was found of a domain can't be kept");
            }
        }
    }
}

impl DomainsSection {
    /// How often what is served is looked at, and for how long it may be without a proof.
    pub(crate) fn pace(&self) -> Pace {
        let span = |duration: Duration| Span::from_std(duration).unwrap_or(Span::MAX);
        Pace {
            every: span(self.check_every.0),
            grace: span(self.grace.0),
        }
    }
}
