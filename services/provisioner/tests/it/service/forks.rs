//! Commits of strangers: by whose settings they are built, and as whom they run.

use common::event::{
    BuildProgress, BuildRequested, BuildState, Deployment, EnvironmentKind, EnvironmentState,
    ProjectEvent, ProvisionerEvent,
};
use common::id::EnvironmentId;
use common::time::Clock;

use super::world::{World, app, pid_of};

const PROCFILE: &str = "web: exec python3 app.py\n";

impl World<'_> {
    /// A build of this commit in the preview of a fork's pull request.
    fn of_fork(&self, commit: &str, settings_ref: Option<&str>) -> BuildRequested {
        BuildRequested {
            git_ref: Some(commit.to_owned()),
            settings_ref: settings_ref.map(str::to_owned),
            environment: EnvironmentState {
                environment_id: EnvironmentId::new(Clock::system().now()),
                name: "pr-5".into(),
                kind: EnvironmentKind::ForkPreview,
                label: "shop-pr-5".into(),
                ..self.environment.clone()
            },
            ..self.request()
        }
    }

    async fn end_of_request(&self, request: &BuildRequested) -> BuildProgress {
        self.tell(ProjectEvent::BuildRequested(request.clone()), 1)
            .await;
        self.end_of(&request.build_id).await
    }

    async fn live(&self, request: &BuildRequested) -> Deployment {
        let build = self.end_of_request(request).await;
        let log = self.log_text(&build.build_id).await;
        assert_eq!(build.state, BuildState::Live, "{:?}\n{log}", build.reason);
        self.wait("the deployment", |event| match event {
            ProvisionerEvent::DeploymentLive(live) => {
                (live.build_id.as_ref() == Some(&build.build_id)).then(|| live.clone())
            }
            _ => None,
        })
        .await
    }

    /// Commits to a branch that isn't the one that is built, and gives the commit.
    fn strange(&self, files: &[(&str, &str)]) -> String {
        self.app.git(&["checkout", "--quiet", "-B", "strange"]);
        for (path, text) in files {
            self.app.write(path, text);
        }
        self.app.commit("Strange");
        let commit = self.app.git(&["rev-parse", "HEAD"]);
        self.app.git(&["checkout", "--quiet", "main"]);
        commit
    }

    async fn remove(&self, request: &BuildRequested) {
        let gone = request.environment.clone();
        let id = gone.environment_id.clone();
        self.tell(ProjectEvent::EnvironmentDeleted(gone), 9).await;
        self.wait("the preview's stop", |event| match event {
            ProvisionerEvent::DeploymentStopped(stopped) => {
                (stopped.environment_id == id).then_some(())
            }
            _ => None,
        })
        .await;
    }
}

testkit::on_both_backends! {
    async fn a_strangers_commit_is_built_by_the_base_branchs_settings(backend: Backend) {
        let world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("base "))]).await;
        let commit = world.strange(&[
            ("Procfile", "web: echo their own; exit 7\nrelease: echo their release; exit 7\n"),
            ("slipway.toml", "[build]\ncommand = \"echo their build; exit 7\"\n"),
            ("app.py", &app("strange ")),
        ]);
        let request = world.of_fork(&commit, Some("main"));
        let live = world.live(&request).await;
        assert!(World::call(&live, "/").unwrap().starts_with("strange "));
        let log = world.log_text(&request.build_id).await;
        assert!(log.contains("those of the branch that the pull request is to"), "{log}");
        assert!(!log.contains("their"), "{log}");
        let files = world.files();
        assert!(!files.iter().any(|file| file.contains("settings")), "{files:?}");

        // Without a branch to take them from nothing is built, least of all by the commit's own.
        let unnamed = world.of_fork(&commit, None);
        let refused = world.end_of_request(&unnamed).await;
        assert_eq!(refused.state, BuildState::Failed);
        assert!(refused.reason.unwrap().contains("base branch's settings"));
        world.remove(&request).await;
        world.remove(&unnamed).await;
        world.leave().await;
    }

    async fn a_strangers_app_is_another_user_than_the_accounts_own(backend: Backend) {
        let world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("base "))]).await;
        if !rustix::process::geteuid().is_root() {
            world.leave().await;
            return;
        }
        let (_, own) = world.deploy().await;
        let pid = pid_of(&World::call(&own, "/").unwrap());
        let commit = world.strange(&[("app.py", &app("strange "))]);
        let request = world.of_fork(&commit, Some("main"));
        let strange = world.live(&request).await;
        let user = |of: &Deployment| {
            let status = World::call(of, "/read/proc/self/status").unwrap();
            status.lines().find(|line| line.starts_with("Uid:")).unwrap().to_owned()
        };
        assert_ne!(user(&own), user(&strange));
        let read = |path: &str| World::call(&strange, &format!("/read{path}")).unwrap();
        assert_eq!(read(&format!("/proc/{pid}/environ")), "PermissionError");
        world.remove(&request).await;
        world.end().await;
    }
}
