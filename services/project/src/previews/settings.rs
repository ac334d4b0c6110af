//! How a project's pull requests are previewed.

use common::id::ProjectId;
use common::names::EnvironmentName;
use common::time::Time;
use diesel::prelude::*;

use crate::environments::PRODUCTION;
use crate::schema::preview_settings;

/// How many previews a project has at most, unless told.
const MOST: i32 = 10;
/// After how many seconds without a request a preview sleeps, unless told: half an hour.
const SLEEP_AFTER: i64 = 1800;

/// A project's settings. Previews are off until somebody turns them on: each costs memory and a database,
/// and whoever may push to the repository may then run code beside the project's own.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = preview_settings, treat_none_as_null = true)]
pub(crate) struct PreviewSettings {
    pub(crate) project_id: ProjectId,
    pub(crate) enabled: bool,
    /// Whether secret variables are copied, too; never to a fork's.
    pub(crate) secrets: bool,
    /// The environment whose variables are copied.
    pub(crate) source_environment: EnvironmentName,
    /// The branches to which pull requests get previews, as JSON; none stands for all.
    base_branches: String,
    /// How many there are at most at a time.
    pub(crate) most: i32,
    /// After how many seconds without a request a new preview sleeps; none is never.
    pub(crate) sleep_after: Option<i64>,
    pub(crate) updated_at: Time,
}

impl PreviewSettings {
    /// What holds where nobody has decided.
    pub(crate) fn unset(project: &ProjectId) -> QueryResult<Self> {
        let source_environment = EnvironmentName::parse(PRODUCTION)
            .map_err(|invalid| diesel::result::Error::SerializationError(Box::new(invalid)))?;
        Ok(Self {
            project_id: project.clone(),
            enabled: false,
            secrets: false,
            source_environment,
            base_branches: "[]".to_owned(),
            most: MOST,
            sleep_after: Some(SLEEP_AFTER),
            updated_at: Time::EPOCH,
        })
    }

    /// The branches to which pull requests get previews; none stands for all.
    pub(crate) fn base_branches(&self) -> QueryResult<Vec<String>> {
        serde_json::from_str(&self.base_branches)
            .map_err(|error| diesel::result::Error::DeserializationError(Box::new(error)))
    }

    /// Sets them.
    pub(crate) fn set_base_branches(&mut self, branches: &[String]) -> QueryResult<()> {
        self.base_branches = serde_json::to_string(branches)
            .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
        Ok(())
    }

    /// Why a pull request to this branch gets no preview, if it gets none.
    pub(crate) fn refusal(&self, base: &str) -> QueryResult<Option<String>> {
        if !self.enabled {
            return Ok(Some("Previews are off for the project".to_owned()));
        }
        let branches = self.base_branches()?;
        let fits = branches.is_empty() || branches.iter().any(|branch| branch == base);
        Ok((!fits).then(|| format!("Pull requests to `{base}` get no previews")))
    }
}
