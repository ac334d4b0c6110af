//! What GitHub is told of a build's state ("Commit statuses", "Deployments").

use common::event::BuildState;

/// A state in GitHub's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The commit status's state.
    pub(super) status: &'static str,
    /// The deployment status's state.
    pub(super) deployment: &'static str,
    /// What people read; GitHub takes 140 characters.
    pub(super) description: &'static str,
}

/// GitHub's words for a state.
pub(super) fn said(state: BuildState) -> Said {
    let (status, deployment, description) = match state {
        BuildState::Queued => ("pending", "queued", "The build waits for its turn"),
        BuildState::Preparing => ("pending", "in_progress", "The build has begun"),
        BuildState::Building => ("pending", "in_progress", "The build is running"),
        BuildState::Releasing => ("pending", "in_progress", "The release is being started"),
        BuildState::Live => ("success", "success", "The release is live"),
        BuildState::Failed => ("failure", "failure", "The build failed; its log says why"),
        BuildState::Cancelled => ("error", "error", "The build was cancelled"),
        BuildState::Superseded => ("error", "error", "A newer build took its place"),
    };
    Said {
        status,
        deployment,
        description,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_said_to_be_and_all_of_it_fits() {
        for state in BuildState::ALL {
            let said = said(*state);
            assert_eq!(state.is_final(), said.status != "pending", "{state}");
            assert!(said.description.len() <= 140);
        }
    }
}
