//! From one release to the next, and back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::event::{BuildState, ProjectEvent, ProvisionerEvent};
use testkit::eventually;

use super::world::{World, answers, app, pid_of};
use crate::running::support::{free_port, get};

const PROCFILE: &str = "web: exec python3 app.py\n";

testkit::on_both_backends! {
    async fn a_switch_takes_no_request_and_a_rollback_starts_what_was_built_before(backend: Backend) {
        let world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        let (first, before) = world.deploy().await;
        world.change("app.py", &app("two "));
        let (second, after) = world.deploy().await;
        assert!(World::call(&after, "/").unwrap().starts_with("two "));
        eventually("the old release to stop", || (!answers(before.upstreams[0])).then_some(())).await;
        assert_ne!(first.commit, second.commit);

        let mut request = world.request();
        request.rollback_to = Some(first.build_id.clone());
        world.tell(ProjectEvent::BuildRequested(request.clone()), 1).await;
        let build = world.end_of(&request.build_id).await;
        assert_eq!((build.state, &build.commit), (BuildState::Live, &first.commit), "{:?}", build.reason);
        assert_eq!(world.states(&request.build_id), [BuildState::Releasing, BuildState::Live]);
        let back = world
            .wait("the rollback", |event| match event {
                ProvisionerEvent::DeploymentRolledBack(deployment) => Some(deployment.clone()),
                _ => None,
            })
            .await;
        assert_eq!((&back.release_id, &back.build_id), (&before.release_id, &before.build_id));
        assert!(World::call(&back, "/").unwrap().starts_with("one "));
        world.end().await;
    }

    async fn the_old_release_answers_until_the_news_of_the_new_one_is_out(backend: Backend) {
        let world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        let (_, before) = world.deploy().await;
        let (over, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        // A client that goes where it was told last, as the gateway does.
        let address = Arc::new(std::sync::Mutex::new(before.upstreams[0]));
        let client = std::thread::spawn({
            let (over, failed, address) = (Arc::clone(&over), Arc::clone(&failed), Arc::clone(&address));
            move || {
                let mut count = 0;
                while !over.load(Ordering::Relaxed) {
                    let at: SocketAddr = *address.lock().unwrap();
                    count += 1;
                    if get(at, "/").is_none() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                count
            }
        });
        world.change("app.py", &app("two "));
        let (_, after) = world.deploy().await;
        *address.lock().unwrap() = after.upstreams[0];
        eventually("the old release to stop", || (!answers(before.upstreams[0])).then_some(())).await;
        over.store(true, Ordering::Relaxed);
        let count = client.join().unwrap();
        assert_eq!(failed.load(Ordering::Relaxed), 0, "of {count}");
        world.end().await;
    }

    async fn an_app_with_a_port_of_its_own_is_stopped_first_while_requests_are_held(backend: Backend) {
        let world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        let port = free_port();
        world.set("FIXED", &port.to_string());
        let (_, before) = world.deploy().await;
        assert_eq!(before.upstreams[0].port(), port);
        world.change("app.py", &app("two "));
        let (build, after) = world.deploy().await;
        assert!(World::call(&after, "/").unwrap().starts_with("two "));
        let held = world.told().into_iter().any(|(_, event)| {
            matches!(event, ProvisionerEvent::DeploymentLive(deployment) if deployment.hold_until.is_some())
        });
        assert!(held);
        assert!(world.log_text(&build.build_id).await.contains("requests wait"));

        // One that doesn't come up: the release before is started again.
        world.change("Procfile", "web: exit 4\n");
        assert_eq!(world.build().await.state, BuildState::Failed);
        let answer = eventually("the release before", || get(after.upstreams[0], "/")).await;
        assert!(answer.starts_with("two ") && !pid_of(&answer).is_empty());
        world.end().await;
    }

    async fn only_the_last_releases_are_kept(backend: Backend) {
        let files = [("Procfile", PROCFILE), ("app.py", &*app("one "))];
        let world = World::with(&backend, &files, &[("builds.keep_releases", "2")]).await;
        for number in 0..4 {
            world.change("app.py", &app(&format!("{number} ")));
            world.deploy().await;
        }
        eventually("old releases to go", || {
            let releases = world.files().iter().filter(|file| file.starts_with("releases/")).count();
            (releases == 2).then_some(())
        })
        .await;
        world.end().await;
    }
}
