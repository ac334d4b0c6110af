//! The end of a project whose app runs.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{eventually, eventually_async};

use super::site::Site;
use super::watch::get;

testkit::on_both_backends! {
    async fn a_deleted_project_stops_at_once_and_leaves_nothing_in_the_end(backend: Backend) {
        let site = Site::new(backend, &[("SLIPWAY_APPS__KEEP_DELETED", "3s")]).await;
        let build = site.deploy("v1").await;
        let (pid, address) = (site.answers("v1").await, site.address().await);
        let directories = site.tables.directories().await;
        assert!(Path::new(&directories[0]).is_dir());
        let (_, page) = site.call("/database").await;
        assert!(page.contains("postgres://app_projenv_") && site.has_database(), "{page}");

        let (status, answer) = site.owner.ask(&site.up, Method::DELETE, &site.path(""), None).await;
        assert_eq!(status, 200, "{answer}");
        eventually_async("its host name to lead nowhere", || async {
            let (status, text) = site.call("/").await;
            let problem: Value = serde_json::from_str(&text).ok()?;
            (status == 404 && problem["status"] == 404 && problem["code"].is_string()).then_some(())
        })
        .await;
        eventually("its processes to end", || {
            let gone = get(address).is_none() && !Path::new(&format!("/proc/{pid}")).exists();
            gone.then_some(())
        })
        .await;
        for gone in [site.path(""), site.path(&format!("/builds/{build}")), site.path(&format!("/builds/{build}/logs"))] {
            let (status, answer) = site.owner.ask(&site.up, Method::GET, &gone, None).await;
            assert_eq!(status, 404, "{gone}: {answer}");
        }

        eventually("its database to go", || (!site.has_database()).then_some(())).await;
        eventually("its files to go", || {
            directories.iter().all(|directory| !Path::new(directory).exists()).then_some(())
        })
        .await;
        site.tables.nothing_is_dead().await;

        // Nobody who has its address in mind comes to another app.
        let projects = format!("/v1/accounts/{}/projects", site.account);
        let body = json!({ "name": "Shop", "github_data": { "owner": "acme", "repo": "app" } });
        let again = site.owner.post(&site.up, &projects, &body).await;
        assert_ne!(again["project"]["environments"][0]["label"], site.project["environments"][0]["label"]);
    }

    async fn what_a_deleted_project_had_is_kept_for_a_while(backend: Backend) {
        let site = Site::new(backend, &[]).await;
        site.deploy("v1").await;
        let address = site.address().await;
        let directories = site.tables.directories().await;
        let (status, answer) = site.owner.ask(&site.up, Method::DELETE, &site.path(""), None).await;
        assert_eq!(status, 200, "{answer}");
        eventually("the app to stop", || get(address).is_none().then_some(())).await;
        assert!(site.has_database());
        assert!(!directories.is_empty());
        for directory in directories {
            assert!(Path::new(&directory).is_dir(), "{directory}");
        }
    }
}
