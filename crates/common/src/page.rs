//! Cursor pagination: newest first, `limit` and `after` in, `next` out.

use serde::{Deserialize, Serialize};

/// The most that one page holds.
pub const MAX_LIMIT: u32 = 100;

/// What part of a list a caller asks for.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many entries, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// The `next` of the page before.
    pub after: Option<String>,
}

impl PageQuery {
    /// A page of so many entries, 20 unless told, after this cursor.
    #[must_use]
    pub fn new(limit: Option<u32>, after: Option<String>) -> Self {
        Self { limit, after }
    }

    /// How many entries to answer, held within 1 and [`MAX_LIMIT`].
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(20).clamp(1, MAX_LIMIT) as usize
    }

    /// How many rows to read: one more than wanted tells whether there is a next page.
    #[must_use]
    pub fn fetch(&self) -> i64 {
        i64::try_from(self.limit()).unwrap_or(i64::from(MAX_LIMIT)) + 1
    }

    /// Cuts the rows that [`fetch`](Self::fetch) asked for to a page; `cursor` names a row.
    pub fn cut<T>(&self, mut rows: Vec<T>, cursor: impl Fn(&T) -> String) -> Page<T> {
        let more = rows.len() > self.limit();
        rows.truncate(self.limit());
        let next = if more { rows.last().map(cursor) } else { None };
        Page { items: rows, next }
    }
}

/// One page of a list, before it is given its plural name in an answer.
#[derive(Debug, Clone, Serialize)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The same page with each entry made into another.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(make).collect(),
            next: self.next,
        }
    }
}
