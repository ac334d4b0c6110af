//! Feeds: lists that every process keeps a copy of in memory.

use serde::{Deserialize, Serialize};

/// What a follower asks for: `GET /internal/feeds/<name>?since=<position>`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FeedQuery {
    /// The last position that the follower knows; 0 asks for a snapshot.
    pub since: i64,
}

/// The entries after a position.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FeedPage<T> {
    /// The entries, oldest first.
    pub entries: Vec<T>,
    /// The position of the last entry, to ask from next time.
    pub position: i64,
    /// Whether more can be had at once.
    pub more: bool,
}
