//! Carries letters out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chassis::db::{Database, Db};
use chassis::events::Backoff;
use common::time::{Clock, Span, Time};
use diesel::QueryResult;
use diesel::result::Error;
use tokio_util::sync::CancellationToken;

use super::letter::Letter;
use super::message::{Mail, Writer};
use super::smtp::{Failure, Server, Smtp};
use super::store::{self, Claimed};
use super::{KEPT_FOR, MailSettings, Mailer, State, failpoints, folder};
use crate::recovery;

/// How many letters are taken in hand at once.
const BATCH: i64 = 10;

/// How long a worker has letters in hand: longer than it takes to hand them over or give up on the
/// server. One that dies leaves them to the others after that.
const LEASE: Span = Span::minutes(3);

/// How often is looked for letters when nothing tells of a new one.
const POLL: Duration = Duration::from_secs(2);

/// How often the folder is looked through for what has been kept for long enough.
const SWEEP: Span = Span::hours(1);

/// How long stopping may be held up by a server that is taking a mail.
const LINGER: Duration = Duration::from_secs(3);

/// Between attempts.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(5),
    factor: 2,
    max: Duration::from_mins(30),
};

/// After how long a letter is given up that no server takes; and one that a server refuses.
const GIVE_UP: Span = Span::days(3);
const GIVE_UP_REFUSED: Span = Span::hours(1);

/// Where letters go.
#[derive(Clone, Debug)]
pub enum Ways {
    /// To a mail server.
    #[doc(hidden)]
    Smtp(SmtpWay),
    /// Into a folder.
    Folder(PathBuf),
}

/// The way to a mail server.
#[derive(Clone, Debug)]
pub struct SmtpWay(Smtp);

impl Ways {
    /// The mail server that is set, else the folder under the data directory.
    ///
    /// # Errors
    /// When what TLS needs isn't there.
    pub fn new(settings: &MailSettings, name: &str, data_dir: &Path) -> anyhow::Result<Self> {
        let Some(url) = &settings.smtp_url else {
            return Ok(Self::Folder(folder::folder(data_dir)));
        };
        let server = Server::parse(url.expose())
            .map_err(|why| anyhow::anyhow!("in section [mail]: `smtp_url` {why}"))?;
        Ok(Self::Smtp(SmtpWay(Smtp::new(server, name)?)))
    }

    async fn deliver(&self, mails: Vec<Mail>) -> Vec<Result<State, Failure>> {
        match self {
            Self::Smtp(SmtpWay(smtp)) => {
                let results = smtp.deliver(&mails).await;
                results
                    .into_iter()
                    .map(|result| result.map(|()| State::Sent))
                    .collect()
            }
            Self::Folder(folder) => {
                let (folder, count) = (folder.clone(), mails.len());
                let keep = move || mails.iter().map(|mail| kept(&folder, mail)).collect();
                let kept = tokio::task::spawn_blocking(keep).await;
                kept.unwrap_or_else(|_ended| vec![Err(stopping()); count])
            }
        }
    }
}

fn kept(folder: &Path, mail: &Mail) -> Result<State, Failure> {
    folder::keep(folder, mail)
        .map(|()| State::Kept)
        .map_err(|error| Failure {
            why: format!("the mail can't be kept: {error}"),
            refused: false,
        })
}

fn stopping() -> Failure {
    Failure {
        why: "the process was stopped".into(),
        refused: false,
    }
}

/// Carries letters out. Replicas each run one and share the letters.
#[derive(Debug)]
pub struct Worker {
    db: Database,
    clock: Clock,
    mailer: Mailer,
    recovery: recovery::Desk,
    writer: Writer,
    ways: Ways,
}

/// What becomes of a letter.
enum Outcome {
    Out(State),
    Later(Failure),
    GiveUp(String),
    /// Its link has ended: it is asked for anew.
    Renew(recovery::Wish),
}

impl Worker {
    /// A worker of this state's letters.
    #[must_use]
    pub fn new(state: &crate::state::State, writer: Writer, ways: Ways) -> Self {
        Self {
            db: state.db.clone(),
            clock: state.clock.clone(),
            mailer: state.mail.clone(),
            recovery: recovery::Desk::new(state),
            writer,
            ways,
        }
    }

    /// Works until it is told to stop. What is left then, the next start carries out.
    pub async fn run(self, shutdown: CancellationToken) {
        self.take_back().await;
        let mut commits = self.db.commits();
        let mut swept = Time::EPOCH;
        while !shutdown.is_cancelled() {
            commits.mark_unchanged();
            let flagged = self.mailer.take_flag();
            match self.pass(&shutdown).await {
                Ok(true) => continue,
                // What was written down is perhaps not committed yet.
                Ok(false) if flagged => self.mailer.wake(),
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %error, "letters can't be read or written"),
            }
            self.sweep(&mut swept).await;
            let woken =
                async { while commits.changed().await.is_ok() && !self.mailer.is_flagged() {} };
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = woken => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// A `SQLite` database is one process's: whoever had letters in hand is dead.
    async fn take_back(&self) {
        if self.db.is_postgres() {
            return;
        }
        let now = self.clock.now();
        if let Err(error) = self.db.write(move |db| store::release_all(db, now)).await {
            tracing::warn!(error = %error, "letters can't be taken back; those in hand wait");
        }
    }

    async fn sweep(&self, swept: &mut Time) {
        let now = self.clock.now();
        let Ways::Folder(folder) = &self.ways else {
            return;
        };
        if now - *swept < SWEEP {
            return;
        }
        *swept = now;
        let folder = folder.clone();
        let sweeping =
            tokio::task::spawn_blocking(move || folder::clean_up(&folder, KEPT_FOR, now));
        if let Ok(Err(error)) = sweeping.await {
            tracing::warn!(error = %error, "old mails can't be removed");
        }
    }

    /// Carries one batch out. Answers whether there was any.
    async fn pass(&self, shutdown: &CancellationToken) -> Result<bool, Error> {
        let answered = self.recovery.answer().await?;
        let now = self.clock.now();
        if !self.db.read(move |db| store::any_due(db, now)).await? {
            return Ok(answered);
        }
        let claimed = self
            .db
            .write(move |db| store::claim(db, now, now + LEASE, BATCH))
            .await?;
        if claimed.is_empty() {
            return Ok(answered);
        }
        failpoints::pass(failpoints::CLAIMED);
        let outcomes = self.carry(claimed, shutdown).await;
        failpoints::pass(failpoints::HANDED_OVER);
        self.settle(outcomes).await?;
        failpoints::pass(failpoints::NOTED);
        Ok(true)
    }

    async fn carry(
        &self,
        claimed: Vec<Claimed>,
        shutdown: &CancellationToken,
    ) -> Vec<(Claimed, Outcome)> {
        let now = self.clock.now();
        let mut outcomes = Vec::new();
        let (mut rows, mut mails) = (Vec::new(), Vec::new());
        for row in claimed {
            match self.write(&row, now) {
                Ok(mail) => {
                    rows.push(row);
                    mails.push(mail);
                }
                Err(outcome) => outcomes.push((row, outcome)),
            }
        }
        let cut = async {
            shutdown.cancelled().await;
            tokio::time::sleep(LINGER).await;
        };
        let results = tokio::select! {
            results = self.ways.deliver(mails) => results,
            () = cut => vec![Err(stopping()); rows.len()],
        };
        for (row, result) in rows.into_iter().zip(results) {
            let outcome = match result {
                Ok(state) => Outcome::Out(state),
                Err(failure) => later(&row, failure, now),
            };
            outcomes.push((row, outcome));
        }
        outcomes
    }

    /// The mail of a letter, or what becomes of it instead.
    fn write(&self, row: &Claimed, now: Time) -> Result<Mail, Outcome> {
        let letter = self
            .mailer
            .open(row)
            .map_err(|why| Outcome::GiveUp(why.to_owned()))?;
        if letter.ends_at().is_some_and(|end| end <= now) {
            return Err(ended(letter, &row.recipient, now));
        }
        self.writer
            .write(&row.id, &row.recipient, &letter, row.created_at)
            .map_err(|why| Outcome::GiveUp(why.to_string()))
    }

    async fn settle(&self, outcomes: Vec<(Claimed, Outcome)>) -> Result<(), Error> {
        let now = self.clock.now();
        self.db
            .write(move |db| {
                for (row, outcome) in &outcomes {
                    settle(db, row, outcome, now)?;
                }
                Ok(())
            })
            .await
    }
}

impl Mailer {
    fn take_flag(&self) -> bool {
        self.pending
            .swap(false, std::sync::atomic::Ordering::AcqRel)
    }

    fn is_flagged(&self) -> bool {
        self.pending.load(std::sync::atomic::Ordering::Acquire)
    }
}

/// What becomes of a letter whose code or link has ended while it waited.
fn ended(letter: Letter, recipient: &str, now: Time) -> Outcome {
    match letter {
        Letter::ResetPassword {
            actor,
            provider,
            requested_at,
            ..
        } if now - requested_at < GIVE_UP => Outcome::Renew(recovery::Wish {
            email: recipient.to_owned(),
            actor,
            provider,
            at: requested_at,
        }),
        _ => Outcome::GiveUp("what stands in it has ended".into()),
    }
}

/// What becomes of a letter that wasn't taken.
fn later(row: &Claimed, failure: Failure, now: Time) -> Outcome {
    let patience = if failure.refused {
        GIVE_UP_REFUSED
    } else {
        GIVE_UP
    };
    if now - row.created_at >= patience {
        Outcome::GiveUp(failure.why)
    } else {
        Outcome::Later(failure)
    }
}

fn settle(db: &mut Db, row: &Claimed, outcome: &Outcome, now: Time) -> QueryResult<()> {
    let changed = match outcome {
        Outcome::Out(state) => {
            tracing::debug!(letter.id = %row.id, "a letter is out");
            store::finish(db, row, *state, None, now)?
        }
        Outcome::Later(Failure { why, .. }) => {
            tracing::warn!(letter.id = %row.id, attempts = row.attempts, why, "a letter could not be sent yet");
            let attempts = u32::try_from(row.attempts).unwrap_or(u32::MAX);
            store::postpone(db, row, now + BACKOFF.span(attempts), why)?
        }
        Outcome::GiveUp(why) => {
            tracing::error!(letter.id = %row.id, attempts = row.attempts, why, "a letter is given up");
            store::finish(db, row, State::GivenUp, Some(why), now)?
        }
        Outcome::Renew(wish) => {
            let removed = store::remove(db, row)?;
            if removed > 0 {
                recovery::ask(db, wish, now)?;
            }
            removed
        }
    };
    if changed == 0 {
        // It took longer than the lease, and another has it in hand.
        tracing::warn!(letter.id = %row.id, "a letter is another worker's by now");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Kind;
    use crate::mail::message::example;

    fn row(created_at: Time) -> Claimed {
        Claimed {
            id: common::id::LetterId::new(created_at),
            recipient: "seb@x.dev".into(),
            sealed: None,
            attempts: 1,
            created_at,
        }
    }

    fn given_up_after(refused: bool) -> Span {
        let failure = Failure {
            why: "451".into(),
            refused,
        };
        let hours = (0..200).find(|hours| {
            let now = Time::EPOCH + Span::hours(*hours);
            matches!(
                later(&row(Time::EPOCH), failure.clone(), now),
                Outcome::GiveUp(_)
            )
        });
        Span::hours(hours.unwrap())
    }

    #[test]
    fn a_letter_is_given_up_after_days_and_a_refused_one_sooner() {
        assert_eq!(given_up_after(false), Span::days(3));
        assert_eq!(given_up_after(true), Span::hours(1));
    }

    #[test]
    fn a_reset_whose_link_has_ended_is_asked_for_anew_and_an_old_code_is_given_up() {
        let at = Time::from_unix(1_800_000_000);
        let renewed = ended(
            example(Kind::ResetPassword),
            "seb@x.dev",
            at + Span::hours(1),
        );
        assert!(
            matches!(renewed, Outcome::Renew(wish) if wish.at == at && wish.email == "seb@x.dev")
        );
        for (kind, after) in [
            (Kind::ResetPassword, Span::days(4)),
            (Kind::Verification, Span::days(2)),
        ] {
            assert!(matches!(
                ended(example(kind), "seb@x.dev", at + after),
                Outcome::GiveUp(_)
            ));
        }
    }
}
