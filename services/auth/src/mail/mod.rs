//! Mail: letters are written down in the transaction of what they tell, and go out from there.
//!
//! What is promised:
//!
//! - A letter whose transaction committed goes out, whatever dies meanwhile, unless the mail server
//!   refuses it for an hour or can't be reached for three days; then it is given up, which the log
//!   and the row say.
//! - It goes out *at least* once. Between the server's "taken" and our note of it lies a moment; who
//!   dies there sends again. That is then the same mail to the byte, with the same `Message-ID`, by
//!   which mail systems know the second one, unless templates or settings were changed in between.
//!   Only a reset link that has ended meanwhile is made anew, in a mail of its own.
//! - Codes and tokens are sealed while they wait, and forgotten once their letter has gone out.
//!
//! Without a mail server letters are kept under the data directory, for `slipway mail` to list.

pub mod failpoints;
mod folder;
mod letter;
mod message;
mod pace;
mod settings;
mod smtp;
mod store;
mod templates;
mod worker;

pub use folder::{Kept, folder, kept};
pub use letter::{Kind, Letter};
pub use message::Writer;
pub use pace::{Subject, count};
pub use settings::{Links, MailSettings};
pub use templates::{TemplateError, Templates};
pub use worker::{Ways, Worker};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chassis::db::Db;
use chassis::seal::Sealer;
use common::id::LetterId;
use common::time::{Span, Time};
use diesel::QueryResult;
use diesel::result::Error;

/// How long letters that have ended, and mails that are kept, are there to be looked at.
const KEPT_FOR: Span = Span::days(30);

common::text_enum! {
    /// Where a letter stands.
    pub enum State {
        /// It is to go out.
        Waiting = "waiting",
        /// A mail server has taken it.
        Sent = "sent",
        /// It is kept in the folder.
        Kept = "kept",
        /// It won't go out.
        GivenUp = "given_up",
    }
}

/// Takes letters; cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailer {
    sealer: Sealer,
    /// Whether something was enqueued since the worker looked last, so that it needn't look after
    /// every commit.
    pending: Arc<AtomicBool>,
}

impl Mailer {
    /// One whose letters are sealed by this.
    #[must_use]
    pub fn new(sealer: Sealer) -> Self {
        Self {
            sealer,
            pending: Arc::default(),
        }
    }

    /// Has a letter go out once the transaction commits, and only then.
    pub fn enqueue(
        &self,
        db: &mut Db,
        to: &str,
        letter: &Letter,
        now: Time,
    ) -> QueryResult<LetterId> {
        let id = LetterId::new(now);
        let text =
            serde_json::to_vec(letter).map_err(|why| Error::SerializationError(why.into()))?;
        let sealed = self
            .sealer
            .seal(&text, &place(&id))
            .map_err(|why| Error::SerializationError(why.into()))?;
        let row = store::New {
            id: &id,
            kind: letter.kind(),
            recipient: to,
            sealed,
            state: State::Waiting,
            attempts: 0,
            due_at: now,
            created_at: now,
        };
        store::insert(db, &row)?;
        self.wake();
        Ok(id)
    }

    /// Has the worker look after the next commit.
    pub fn wake(&self) {
        self.pending.store(true, Ordering::Release);
    }

    fn open(&self, row: &store::Claimed) -> Result<Letter, &'static str> {
        let sealed = row.sealed.as_deref().ok_or("nothing stands in it")?;
        let text = self
            .sealer
            .open(sealed, &place(&row.id))
            .map_err(|_| "what stands in it can't be opened")?;
        serde_json::from_slice(&text).map_err(|_| "what stands in it can't be read")
    }
}

/// What ties a sealed letter to its row.
fn place(id: &LetterId) -> String {
    format!("letters/{id}")
}

/// Removes what need not be looked at any more.
pub fn clean_up(db: &mut Db, now: Time) -> QueryResult<usize> {
    pace::clean_up(db, now)?;
    store::remove_finished(db, now - KEPT_FOR)
}
