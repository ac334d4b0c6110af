//! What a deployment tells while it goes on: with `--json` one of these a line.

use std::fmt;

use common::api::provisioner::LogLine;
use serde::Serialize;

/// A stretch of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Finding out who acts, and for which account.
    SignIn,
    /// Sending the source.
    Push,
    /// The build waits for its turn.
    Queued,
    /// The source is fetched and looked at.
    Preparing,
    /// The source's commands run.
    Building,
    /// The release is started and switched to.
    Releasing,
}

impl Phase {
    /// The phase that a build's state stands for; none for those in which it has ended.
    pub(crate) fn of_build(state: &str) -> Option<Self> {
        match state {
            "queued" => Some(Self::Queued),
            "preparing" => Some(Self::Preparing),
            "building" => Some(Self::Building),
            "releasing" => Some(Self::Releasing),
            _ => None,
        }
    }

    /// What it is called once it is over.
    pub(crate) fn done(self) -> &'static str {
        match self {
            Self::SignIn => "Signed in",
            Self::Push => "Pushed",
            Self::Queued => "Waited for its turn",
            Self::Preparing => "Prepared",
            Self::Building => "Built",
            Self::Releasing => "Released",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignIn => "Signing in",
            Self::Push => "Pushing",
            Self::Queued => "Waiting for its turn",
            Self::Preparing => "Preparing",
            Self::Building => "Building",
            Self::Releasing => "Releasing",
        })
    }
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// A phase begins; the one before is over.
    Phase {
        /// The phase.
        phase: Phase,
    },
    /// The account is this.
    Account {
        /// Its id.
        id: &'a str,
        /// Its name.
        name: &'a str,
        /// Whether it was made now.
        created: bool,
    },
    /// The source is in the account's repository.
    Pushed {
        /// The repository.
        repository: &'a str,
        /// The commit that is built.
        commit: &'a str,
    },
    /// The project and its environment are these.
    Target {
        /// The project.
        project_id: &'a str,
        /// Its name.
        app: &'a str,
        /// The environment.
        environment_id: &'a str,
        /// Its name.
        environment: &'a str,
        /// Where it is reached.
        url: &'a str,
        /// Whether the project was made now.
        created: bool,
    },
    /// A build was asked for.
    Build {
        /// The build.
        id: &'a str,
    },
    /// The build has written a line.
    Log(&'a LogLine),
    /// Something that is worth knowing but no failure.
    Warning {
        /// What it is.
        message: String,
    },
    /// The app is live.
    Live {
        /// Where.
        url: &'a str,
        /// By which build.
        build_id: &'a str,
        /// The commit that runs.
        commit: Option<&'a str>,
        /// How long everything took.
        duration_ms: u64,
    },
    /// The build ended without a release.
    Failed {
        /// The app.
        app: &'a str,
        /// The environment.
        environment: &'a str,
        /// The build.
        build_id: &'a str,
        /// How it ended.
        state: &'a str,
        /// Why.
        reason: Option<&'a str>,
        /// The lines of its log that matter.
        lines: Vec<&'a str>,
    },
    /// The deployment couldn't go on.
    Error {
        /// Why.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_itself_in_json() {
        let json = serde_json::to_string(&Event::Phase {
            phase: Phase::SignIn,
        })
        .unwrap();
        assert_eq!(json, r#"{"event":"phase","phase":"sign_in"}"#);
        let line = LogLine {
            number: 1,
            time: common::time::Time::EPOCH,
            phase: "build".into(),
            stream: "stdout".into(),
            text: "hello".into(),
        };
        let json: serde_json::Value = serde_json::to_value(Event::Log(&line)).unwrap();
        assert_eq!(
            (&json["event"], &json["text"]),
            (&"log".into(), &"hello".into())
        );
    }

    #[test]
    fn every_state_in_which_a_build_goes_on_is_a_phase() {
        for state in common::event::BuildState::ALL {
            assert_eq!(
                Phase::of_build(state.as_str()).is_none(),
                state.is_final(),
                "{state}"
            );
        }
    }
}
