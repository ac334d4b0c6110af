//! What a comment says.

use chassis::settings::PublicUrls;
use common::event::{BuildState, PreviewState, PreviewStatus};

use super::marker;
use crate::reports::work::log_url;

/// The whole comment, in GitHub's Markdown.
pub(super) fn text(preview: &PreviewState, urls: &PublicUrls) -> String {
    let mut lines = vec![
        marker(&preview.project_id),
        "### Preview".to_owned(),
        String::new(),
        state(preview).to_owned(),
        String::new(),
    ];
    if let Some(environment) = &preview.environment {
        lines.push(format!("- Address: {}", urls.of_app(&environment.label)));
    }
    if let Some(build) = &preview.build {
        let log = log_url(
            urls,
            &preview.account_id,
            &preview.project_id,
            &build.build_id,
        );
        lines.push(format!("- Commit: {}", build.commit));
        lines.push(format!("- Log, for members: {log}"));
    }
    if preview.status == PreviewStatus::AwaitingApproval {
        lines.extend(approval(preview, urls));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// How it stands, in one sentence.
fn state(preview: &PreviewState) -> &'static str {
    match (preview.status, &preview.build) {
        (PreviewStatus::Closed, _) => "The preview is over, and its environment is gone.",
        (PreviewStatus::Removed, _) => "A member has removed the preview.",
        (PreviewStatus::Waiting, _) => {
            "The preview waits. Members of the project's account see what for."
        }
        (PreviewStatus::AwaitingApproval, _) => {
            "**Waits for approval.** The pull request comes from a fork: a member looks at its newest commit first."
        }
        (PreviewStatus::Active, None) => "The preview begins.",
        (PreviewStatus::Active, Some(build)) => match build.state {
            BuildState::Queued => "The build waits for its turn.",
            BuildState::Preparing | BuildState::Building => "The build is running.",
            BuildState::Releasing => "The release is being started.",
            BuildState::Live => "**Live.**",
            BuildState::Failed => "**The build failed.** Its log says why.",
            BuildState::Cancelled => "The build was cancelled.",
            BuildState::Superseded => "A newer build took its place.",
        },
    }
}

/// How a member approves the newest commit.
fn approval(preview: &PreviewState, urls: &PublicUrls) -> [String; 4] {
    let (number, commit) = (preview.number, &preview.commit);
    let (account, project) = (&preview.account_id, &preview.project_id);
    let path = format!("/v1/accounts/{account}/projects/{project}/previews/{number}/approve");
    let url = urls.of_platform(&path);
    [
        format!("- To be approved: {commit}"),
        format!(
            "- A developer or owner approves that very commit by `slipway previews approve {number} --project {} --commit {commit}`, or by posting `{{\"commit\": \"{commit}\"}}` to {url}",
            preview.project_id
        ),
        "- It runs without secrets, by the settings of the branch that the pull request is to."
            .to_owned(),
        "- A newer commit has to be approved anew.".to_owned(),
    ]
}
