//! The end of the demo: nothing that it started or made stays.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context as _;
use secrecy::SecretString;
use slipway_provisioner::appdb::DatabaseServer;
use slipway_provisioner::process::{Host, apps_directory, end_orphans};
use tempfile::TempDir;

use super::child::{Child, data_dir};
use super::story::Story;
use crate::environment;

/// Deletes the project, stops the platform, ends what still runs, and removes all files. Goes on
/// after a failure, and tells the first.
pub(super) async fn all(
    child: Option<Child>,
    story: &Story<'_>,
    directory: TempDir,
) -> anyhow::Result<()> {
    let mut results = Vec::new();
    if let Some((developer, project)) = story.deployed() {
        results.push(
            developer
                .delete_project(project)
                .await
                .context("deleting the demo's project"),
        );
    }
    if let Some(child) = child {
        results.push(child.stop().await);
    }
    results.push(end_apps(&data_dir(directory.path())).await);
    results.push(remove_databases(story).await);
    results.push(remove_app_files(&data_dir(directory.path())));
    results.push(directory.close().context("removing the demo's files"));
    results.into_iter().collect()
}

/// Apps outlive the platform, and one whose project was just deleted may still be about to end.
async fn end_apps(data_dir: &Path) -> anyhow::Result<()> {
    let Ok(node) = std::fs::read_to_string(data_dir.join("provisioner/node")) else {
        return Ok(());
    };
    let host = Host::new(node.trim());
    end_orphans(&host, &HashSet::<String>::new())
        .await
        .context("ending the demo's apps")?;
    Ok(())
}

/// The platform would keep a deleted environment's database for some days.
async fn remove_databases(story: &Story<'_>) -> anyhow::Result<()> {
    let Some(url) = environment::text("SLIPWAY_APPS__POSTGRES_URL") else {
        return Ok(());
    };
    let Some((_, project)) = story.deployed() else {
        return Ok(());
    };
    let server = DatabaseServer::new(SecretString::from(url))?;
    for environment in &project.environments {
        server
            .remove(&environment.id)
            .await
            .context("removing the demo's database")?;
    }
    Ok(())
}

/// As root, apps have their files outside of the data directory.
fn remove_app_files(data_dir: &Path) -> anyhow::Result<()> {
    if !data_dir.exists() {
        return Ok(());
    }
    let apps = apps_directory(data_dir, rustix::process::geteuid().is_root())?;
    match std::fs::remove_dir_all(&apps) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", apps.display()))
        }
        _ => Ok(()),
    }
}
