use common::event::{AccountEvent, BuildState, MemberState, ProvisionerEvent};
use common::role::Role;
use futures_util::StreamExt as _;
use reqwest::{Method, Response};
use testkit::on_both_backends;

use crate::builds::progress;
use crate::harness::{Api, Member, Project, run};

/// Begins to read a log, as events if an id to go on from is given.
async fn open(api: &Api, by: &Member, path: &str, last_id: Option<&str>) -> Response {
    let mut request = api.request(Method::GET, path, &by.token);
    if let Some(id) = last_id {
        request = request
            .header("accept", "text/event-stream")
            .header("last-event-id", id);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    response
}

/// Reads on until the text holds `wanted`.
async fn read_until(response: &mut Response, text: &mut String, wanted: &str) {
    let reading = async {
        while !text.contains(wanted) {
            let chunk = response.chunk().await.unwrap().expect("more to come");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), reading)
        .await
        .expect(wanted);
}

fn logs(project: &Project, build: &str) -> String {
    format!("{}/builds/{build}/logs", project.path)
}

on_both_backends! {
    async fn a_log_is_text_and_of_many_pages_if_it_must(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "logged").await;
            let build = api.build(&owner, &project).await;
            let path = logs(&project, &build);
            let empty = open(api, &owner, &path, None).await;
            assert_eq!(empty.text().await.unwrap(), "", "nothing has been written yet");

            let lines: Vec<_> = (1..=1_200).map(|number| format!("line {number}")).collect();
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            api.world.write_log(&build, &lines, false);
            let whole = open(api, &owner, &path, None).await;
            assert_eq!(whole.headers()["content-type"], "text/plain; charset=utf-8");
            let whole = whole.text().await.unwrap();
            assert_eq!(whole.lines().collect::<Vec<_>>(), lines);
            let rest = open(api, &owner, &format!("{path}?after=1198"), None).await;
            assert_eq!(rest.text().await.unwrap(), "line 1199\nline 1200\n");
        }).await;
    }

    async fn a_log_that_grows_as_fast_as_it_is_read_ends_where_it_was(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "flooded").await;
            let build = api.build(&owner, &project).await;
            api.world.write_log(&build, &["line"; 700], false);
            api.world.flooded.lock().unwrap().insert(build.clone());
            let text = open(api, &owner, &logs(&project, &build), None).await.text();
            let text = tokio::time::timeout(std::time::Duration::from_secs(30), text).await.expect("an end").unwrap();
            let lines: Vec<_> = text.lines().collect();
            assert!(lines.len() >= 700 && lines[..700].iter().all(|line| *line == "line"), "{}", lines.len());
        }).await;
    }

    async fn a_followed_log_ends_with_the_build(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "followed").await;
            let build = api.build(&owner, &project).await;
            api.world.write_log(&build, &["one"], false);
            let mut response = open(api, &owner, &format!("{}?follow=true", logs(&project, &build)), None).await;
            let mut text = String::new();
            read_until(&mut response, &mut text, "one\n").await;
            api.world.write_log(&build, &["two"], false);
            read_until(&mut response, &mut text, "two\n").await;
            api.world.write_log(&build, &["three"], true);
            let event = ProvisionerEvent::BuildSucceeded(progress(&owner, &project, &build, BuildState::Live));
            api.tell(event, 2).await;
            while let Some(chunk) = response.chunk().await.unwrap() {
                text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
            assert_eq!(text, "one\ntwo\nthree\n");
        }).await;
    }

    async fn events_go_on_after_the_last_one_that_the_reader_had(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "events").await;
            let build = api.build(&owner, &project).await;
            api.world.write_log(&build, &["one", "two", "three"], false);
            let path = format!("{}?follow=true", logs(&project, &build));
            let mut response = open(api, &owner, &path, Some("")).await;
            assert_eq!(response.headers()["content-type"], "text/event-stream");
            let mut text = String::new();
            read_until(&mut response, &mut text, "id: 2\n").await;
            drop(response);

            let mut response = open(api, &owner, &path, Some("2")).await;
            let mut text = String::new();
            read_until(&mut response, &mut text, "id: 3\nevent: line\n").await;
            assert!(!text.contains("id: 2\n") && !text.contains("id: 1\n"), "{text}");
            let event = ProvisionerEvent::BuildFailed(progress(&owner, &project, &build, BuildState::Failed));
            api.tell(event, 2).await;
            api.world.write_log(&build, &["four"], true);
            read_until(&mut response, &mut text, "event: end\ndata: {\"state\":\"failed\"}\n\n").await;
            assert!(text.contains(r#""text":"four""#), "{text}");
            assert!(response.chunk().await.unwrap().is_none());
        }).await;
    }

    async fn the_log_of_a_build_that_never_began_ends_when_the_build_does(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "unbegun").await;
            let build = api.build(&owner, &project).await;
            let path = format!("{}?follow=true", logs(&project, &build));
            let mut response = open(api, &owner, &path, Some("")).await;
            let event = ProvisionerEvent::BuildCancelled(progress(&owner, &project, &build, BuildState::Superseded));
            api.tell(event, 1).await;
            let mut text = String::new();
            read_until(&mut response, &mut text, "event: end\ndata: {\"state\":\"superseded\"}\n\n").await;
        }).await;
    }

    async fn who_is_a_member_no_more_reads_no_further(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let viewer = api.member(&owner.account, Role::Viewer);
            let project = api.project(&owner, "left").await;
            let build = api.build(&owner, &project).await;
            api.world.write_log(&build, &["one"], false);
            let path = format!("{}?follow=true", logs(&project, &build));
            let mut response = open(api, &viewer, &path, None).await;
            let mut text = String::new();
            read_until(&mut response, &mut text, "one\n").await;
            api.world.roles.lock().unwrap().remove(&(viewer.account.clone(), viewer.user.clone()));
            let gone = MemberState { account_id: viewer.account.clone(), user_id: viewer.user.clone(), role: None };
            api.tell(AccountEvent::MemberRemoved(gone), 2).await;
            testkit::eventually_async("the viewer is out", || async {
                (api.get(&project.path, &viewer).await.status == 404).then_some(())
            }).await;
            // The page that the reader waits for may still come; the one after must not.
            api.world.write_log(&build, &["two"], false);
            let ended = async {
                let mut body = response.bytes_stream();
                while let Some(Ok(chunk)) = body.next().await {
                    text.push_str(std::str::from_utf8(&chunk).unwrap());
                    api.world.write_log(&build, &["more"], false);
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(30), ended).await.expect("the reading ends");
            assert!(!text.contains("more"), "{text}");
        }).await;
    }

    async fn an_apps_log_is_read_like_a_builds(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let stranger = api.account();
            let project = api.project(&owner, "app").await;
            api.world.write_log(&project.environment, &["listening"], false);
            let path = format!("{}/logs", project.environment_path);
            let text = open(api, &owner, &path, None).await.text().await.unwrap();
            assert_eq!(text, "listening\n");
            api.get(&path, &stranger).await.refused(404, "not_found");
            let mut response = open(api, &owner, &format!("{path}?follow=true"), Some("1")).await;
            api.world.write_log(&project.environment, &["served"], false);
            let mut text = String::new();
            read_until(&mut response, &mut text, "served").await;
            api.delete(&project.environment_path, &owner).await.expect(200);
            api.world.write_log(&project.environment, &[], true);
            read_until(&mut response, &mut text, "event: end\n").await;
        }).await;
    }
}
