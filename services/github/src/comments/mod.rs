//! Comments on pull requests: one for each project and pull request, which says how the preview stands.
//!
//! Project's events become jobs, as reports do. What a comment says holds no text of anybody's but names
//! that are safe to show: whoever opens a pull request writes nothing into it.

pub(crate) mod events;
mod say;
pub(crate) mod store;
pub(crate) mod work;

use common::event::PreviewState;
use common::id::{AccountId, ProjectId};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::schema::comments;

/// The kind of the jobs that comment.
pub(crate) const JOB: &str = "github.comment";

/// A preview, and the comment that tells of it.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = comments, treat_none_as_null = true)]
pub(crate) struct Comment {
    pub(crate) project_id: ProjectId,
    pub(crate) number: i64,
    pub(crate) account_id: AccountId,
    /// How the preview stands, as JSON.
    pub(crate) preview: String,
    pub(crate) version: i64,
    /// GitHub's number of the comment, once there is one. It comes from the work, which holds no lock,
    /// so what events write leaves it alone.
    #[diesel(skip_update)]
    pub(crate) comment_id: Option<i64>,
    /// The digest of what it says; from the work, too.
    #[diesel(skip_update)]
    pub(crate) said: Option<String>,
}

impl Comment {
    /// How the preview stands.
    pub(crate) fn state(&self) -> QueryResult<PreviewState> {
        serde_json::from_str(&self.preview)
            .map_err(|error| diesel::result::Error::DeserializationError(Box::new(error)))
    }
}

/// What a job is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) project: ProjectId,
    pub(crate) number: i64,
}

/// By what a project's comment is known again. Nobody sees it.
pub(crate) fn marker(project: &ProjectId) -> String {
    format!("<!-- slipway:preview:{project} -->")
}
