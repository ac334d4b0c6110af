//! Keeps the table in memory equal to the database's. Whichever process of the service handled an
//! event, every one of them sees the change at its next look.

use std::sync::Arc;
use std::time::Duration;

use chassis::db::Database;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::{Table, store};

/// For how long a change by another process may go unseen. A look is one indexed read of one row.
const PERIOD: Duration = Duration::from_millis(25);

/// Where the table comes from, and who is told of it.
pub(crate) struct Loader {
    db: Database,
    sender: watch::Sender<Arc<Table>>,
    // Of two that read at once, the one that read less must not write last.
    refreshing: Mutex<()>,
}

impl Loader {
    /// Reads the whole table, so that it is there before the first request.
    pub(crate) async fn start(db: Database) -> Result<Arc<Self>, diesel::result::Error> {
        let loader = Self {
            db,
            sender: watch::Sender::new(Arc::default()),
            refreshing: Mutex::default(),
        };
        loader.refresh().await?;
        Ok(Arc::new(loader))
    }

    /// A view of the table as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Table>> {
        self.sender.subscribe()
    }

    /// Takes over what has changed.
    pub(crate) async fn refresh(&self) -> Result<(), diesel::result::Error> {
        let _alone = self.refreshing.lock().await;
        let known = Arc::clone(&self.sender.borrow());
        let (at, members) = (known.seq, known.members);
        let news = self
            .db
            .read(move |db| {
                let (seq, members_now) = store::last_change(db)?;
                if (seq, members_now) == (at, members) {
                    return Ok::<_, diesel::result::Error>(None);
                }
                // What commits between these two reads is read now and again next time.
                Ok(Some((store::changes_after(db, at)?, seq, members_now)))
            })
            .await?;
        if let Some((changes, seq, members)) = news {
            self.sender
                .send_replace(Arc::new(known.with(changes, seq, members)));
        }
        Ok(())
    }

    /// Looks again and again until the service stops.
    pub(crate) async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut failing = false;
        let mut looks = self.db.looks(PERIOD);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = looks.next() => {}
            }
            match self.refresh().await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = %error, "the routes can't be read; those known go on");
                }
                Err(_still) => {}
            }
        }
    }
}
