//! Following tables that somebody else writes.

use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt as _;
use testkit::on_both_backends;

use crate::support::{TELLER, database};

/// Longer than any of these tests may take.
const NEVER: Duration = Duration::from_hours(1);

async fn soon(look: impl Future<Output = ()>) {
    let looked = tokio::time::timeout(Duration::from_mins(1), look).await;
    looked.expect("it is time to look");
}

on_both_backends! {
    async fn a_commit_of_this_process_is_a_reason_to_look_at_once(backend: Backend) {
        let db = database(&backend, TELLER).await;
        let mut looks = db.looks(NEVER);
        soon(looks.next()).await;
        db.write(|_| Ok::<_, diesel::result::Error>(())).await.unwrap();
        assert_eq!(looks.next().now_or_never(), Some(()), "it has been told");
        db.write(|_| Err::<(), _>(diesel::result::Error::RollbackTransaction)).await.unwrap_err();
        db.read(|_| Ok::<_, diesel::result::Error>(())).await.unwrap();
        assert_eq!(looks.next().now_or_never(), None, "nothing has been committed");
    }

    async fn without_a_reason_a_look_comes_all_the_same(backend: Backend) {
        let db = database(&backend, TELLER).await;
        let mut looks = db.looks(Duration::from_millis(10));
        for _ in 0..3 {
            soon(looks.next()).await;
        }
    }
}
