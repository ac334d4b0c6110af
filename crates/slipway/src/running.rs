//! What is done with an app that runs: `slipway sleep`, `wake`, `scale`, `restart` and `maintenance`.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::api::Project;
use crate::apps;
use crate::cli::{AppArgs, MaintenanceArgs, ScaleArgs, SleepArgs, Switch};
use crate::output;
use crate::sign_in::{self, Person};

/// An app's environment, and who asks for something there.
struct Place {
    person: Person,
    project: Project,
    environment_id: String,
}

impl Place {
    async fn of(arguments: &AppArgs) -> anyhow::Result<Self> {
        let person = sign_in::person(&arguments.platform).await?;
        let project = apps::find(&person, &arguments.app, arguments.account.as_deref()).await?;
        let environment_id = apps::environment(&project, &arguments.env)?.id.clone();
        Ok(Self {
            person,
            project,
            environment_id,
        })
    }

    /// Does it, and says how the app stands.
    async fn act(&self, act: &str) -> anyhow::Result<ExitCode> {
        let (api, id) = (&self.person.api, &self.environment_id);
        let answer = api.act(&self.project, id, act).await?;
        let standing = answer.get("standing").and_then(Value::as_str);
        output::line(standing.unwrap_or("done"))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Changes a setting.
    async fn change(&self, change: Value, told: &str) -> anyhow::Result<ExitCode> {
        let (api, id) = (&self.person.api, &self.environment_id);
        api.change_environment(&self.project, id, &change).await?;
        output::line(told)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Stops an app until somebody asks for it, or says after how long that is done.
pub(crate) async fn sleep(arguments: SleepArgs) -> anyhow::Result<ExitCode> {
    let place = Place::of(&arguments.app).await?;
    match arguments.after {
        Some(after) => {
            let told = format!("sleeps after {} s without a request", after.as_secs());
            let change = json!({ "sleep_after": after.as_secs() });
            place.change(change, &told).await
        }
        None if arguments.never => {
            let change = json!({ "sleep_after": null });
            place.change(change, "runs all the time").await
        }
        None => place.act("sleep").await,
    }
}

/// Starts an app that sleeps.
pub(crate) async fn wake(arguments: AppArgs) -> anyhow::Result<ExitCode> {
    Place::of(&arguments).await?.act("wake").await
}

/// Has so many instances run.
pub(crate) async fn scale(arguments: ScaleArgs) -> anyhow::Result<ExitCode> {
    let place = Place::of(&arguments.app).await?;
    let told = match arguments.instances {
        1 => "one instance".to_owned(),
        count => format!("{count} instances"),
    };
    let change = json!({ "instances": arguments.instances });
    place.change(change, &told).await
}

/// Starts an app anew.
pub(crate) async fn restart(arguments: AppArgs) -> anyhow::Result<ExitCode> {
    Place::of(&arguments).await?.act("restart").await
}

/// Closes an app to requests, or opens it again.
pub(crate) async fn maintenance(arguments: MaintenanceArgs) -> anyhow::Result<ExitCode> {
    let is_on = arguments.state == Switch::On;
    let told = if is_on { "in maintenance" } else { "open" };
    let place = Place::of(&arguments.app).await?;
    place.change(json!({ "maintenance": is_on }), told).await
}
