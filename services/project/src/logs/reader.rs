//! A reader's way through a log.

use std::time::Duration;

use bytes::Bytes;
use common::api::provisioner::LogPage;
use common::id::{AccountId, UserId};
use common::role::Role;
use common::time::Time;
use futures_util::{Stream, stream};

use super::format::Format;
use super::source::{PAGE, Standing, Subject};
use crate::State;

/// How long to wait before asking again for a log that isn't there, or a provisioner that doesn't answer.
const PAUSE: Duration = Duration::from_millis(500);

/// How often in a row the provisioner may fail before the reader is sent away: half a minute.
const MAX_FAILURES: u32 = 60;

/// How often to look for the state that a build has ended in, once its log has: the event
/// comes a moment after the last line.
const STATE_LOOKS: u32 = 20;

/// Who reads; looked at again before each page.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) account_id: AccountId,
    pub(super) user_id: UserId,
    /// When the reader's token ends.
    pub(super) until: Time,
}

/// Why a log breaks off. Readers of a text see the connection end in its middle; those of
/// events come back by themselves, with the number of the last line.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The token has ended, the membership has, or the process is about to.
    #[error("the log may not be read on")]
    Dismissed,
    /// The provisioner was away for too long.
    #[error("the log can't be reached")]
    Unreachable,
    /// What is known of it can't be read.
    #[error("the log's subject can't be read")]
    Database(#[from] diesel::result::Error),
}

/// Where a reader is.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    subject: Subject,
    access: Access,
    format: Format,
    after: i64,
    follow: bool,
    /// The newest line when one began who doesn't follow: no page begins after it, or the reading of a
    /// log that grows as fast as it is read would never end.
    until: Option<i64>,
    /// The first page, fetched before the answer began.
    first: Option<LogPage>,
    opened: bool,
    ended: bool,
}

impl Reader {
    /// One who begins after line `after`, whose next page is `first`.
    pub(super) fn new(
        state: State,
        subject: Subject,
        access: Access,
        format: Format,
        (after, follow): (i64, bool),
        first: LogPage,
    ) -> Self {
        let until = (!follow).then_some(first.last);
        Self {
            state,
            subject,
            access,
            format,
            after,
            follow,
            until,
            first: Some(first),
            opened: false,
            ended: false,
        }
    }

    /// All that is to be sent, one page at a time, each when the one before was taken.
    pub(super) fn stream(self) -> impl Stream<Item = Result<Bytes, Broken>> {
        stream::try_unfold(self, |mut reader| async move {
            let chunk = reader.next().await?;
            Ok(chunk.map(|chunk| (chunk, reader)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let page = self.page().await?;
            let mut out = String::new();
            if !std::mem::replace(&mut self.opened, true) {
                out.push_str(self.format.opening());
            }
            self.format.lines(&mut out, &page.lines);
            if let Some(last) = page.lines.last() {
                self.after = last.number;
            }
            self.move_on(&page, &mut out).await?;
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
            if !self.ended
                && let Some(sign) = self.format.keep_alive()
            {
                return Ok(Some(sign));
            }
        }
    }

    /// Decides what comes after a page: more, or the end.
    async fn move_on(&mut self, page: &LogPage, out: &mut String) -> Result<(), Broken> {
        let more = self.until.is_none_or(|until| self.after < until);
        if page.lines.len() >= PAGE && more {
            return Ok(());
        }
        if page.ended || !self.follow {
            self.ended = true;
            let standing = self.last_standing(page.ended).await?;
            self.format.end(out, standing.state());
        } else if page.lines.is_empty()
            && let Standing::Over(_) = self.subject.standing(&self.state.db).await?
        {
            // What was written between the empty page and this look is still to be read.
            self.follow = false;
        }
        Ok(())
    }

    /// The standing to be told at the end; that of an ended log is waited for a little.
    async fn last_standing(&self, log_ended: bool) -> Result<Standing, Broken> {
        let mut standing = self.subject.standing(&self.state.db).await?;
        for _ in 0..STATE_LOOKS {
            if !log_ended || matches!(standing, Standing::Over(_) | Standing::Going(None)) {
                break;
            }
            tokio::time::sleep(PAUSE / 5).await;
            standing = self.subject.standing(&self.state.db).await?;
        }
        Ok(standing)
    }

    /// The next page, waited for if the reader follows.
    async fn page(&mut self) -> Result<LogPage, Broken> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        for _ in 0..MAX_FAILURES {
            self.check_access().await?;
            let asked = self.state.clock.now();
            let page = self
                .subject
                .page(&self.state.calls, self.after, self.follow);
            let page = tokio::select! {
                page = page => page,
                () = self.state.shutdown.cancelled() => return Err(Broken::Dismissed),
            };
            match page {
                // An empty page at once: the log isn't there yet, and asking on would be a busy loop.
                Ok(page) if page.lines.is_empty() && !page.ended && self.follow => {
                    if (self.state.clock.now() - asked).num_milliseconds() < 500 {
                        self.pause().await?;
                    }
                    return Ok(page);
                }
                Ok(page) => return Ok(page),
                Err(error) => {
                    tracing::debug!(error = %error, "a page of a log could not be had");
                    self.pause().await?;
                }
            }
        }
        Err(Broken::Unreachable)
    }

    async fn pause(&self) -> Result<(), Broken> {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => Ok(()),
            () = self.state.shutdown.cancelled() => Err(Broken::Dismissed),
        }
    }

    /// Ends the reading of someone whose token or membership ended since.
    async fn check_access(&self) -> Result<(), Broken> {
        if self.state.shutdown.is_cancelled() || self.state.clock.now() >= self.access.until {
            return Err(Broken::Dismissed);
        }
        let Access {
            account_id,
            user_id,
            ..
        } = &self.access;
        match self
            .state
            .members
            .role(account_id, user_id, Role::Viewer)
            .await
        {
            Ok(Some(_)) => Ok(()),
            Ok(None) | Err(_) => Err(Broken::Dismissed),
        }
    }
}
