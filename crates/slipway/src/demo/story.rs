//! What the demo tells: two people, an account, an app, an API key.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::time::Instant;

use super::child::data_dir;
use super::person;
use super::steps::Steps;
use crate::api::{Account, Api, ApiError, Environment, Project, Publication, Role, Usage};
use crate::deploy;
use crate::deploy::report::Reporter;
use crate::deploy::watch::{self, Ended};
use crate::sign_in;
use crate::source::Source;

/// The app's name, and that under which it is published.
const NAME: &str = "storefront";
/// How long what is told by event may take to be known everywhere: far longer than it does.
const SOON: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(25);
/// How often the published app is called, to have something to count.
const CALLS: u64 = 3;

/// What the story has made so far.
#[derive(Debug)]
pub(super) struct Story<'a> {
    app: &'a Path,
    database: bool,
    developer: Option<Api>,
    project: Option<Project>,
}

impl<'a> Story<'a> {
    /// A story of this app, with or without a database.
    pub(super) fn new(app: &'a Path, database: bool) -> Self {
        Self {
            app,
            database,
            developer: None,
            project: None,
        }
    }

    /// Who deployed what, once that is done.
    pub(super) fn deployed(&self) -> Option<(&Api, &Project)> {
        self.developer.as_ref().zip(self.project.as_ref())
    }

    /// Where the app is, once there is one.
    pub(super) fn app_url(&self) -> Option<&str> {
        self.project
            .as_ref()?
            .environment("production")
            .map(|environment| environment.url.as_str())
    }

    /// Tells the whole story.
    pub(super) async fn tell(
        &mut self,
        platform: &Api,
        directory: &Path,
        steps: &mut Steps,
    ) -> anyhow::Result<()> {
        let titles = ["Ada registers", "Ada signs in", "Ada becomes a user"];
        let ada = person::join(platform, "ada@example.com", titles, steps).await?;
        let account = make_account(platform, directory, &ada, steps).await?;
        let titles = ["Ben registers", "Ben signs in", "Ben becomes a user"];
        let ben = person::join(platform, "ben@example.com", titles, steps).await?;
        let titles = ["Ada invites Ben as developer", "Ben accepts"];
        person::invite(&ada, &ben, &account, Role::Developer, titles, steps).await?;
        let environment = self.deploy(&ben, &account, steps).await?;
        call_live(&ben, &environment, steps).await?;
        self.publish(&ben, &environment, steps).await?;
        call_with_key(&ben, steps).await
    }

    /// Pushes, makes the project and builds it.
    async fn deploy(
        &mut self,
        ben: &Api,
        account: &Account,
        steps: &mut Steps,
    ) -> anyhow::Result<Environment> {
        self.developer = Some(ben.clone());
        let source = Source::parse(&self.app.to_string_lossy())?;
        let call = format!(
            "git push {}",
            ben.url(&format!("/git/{}/{NAME}.git", account.id))
        );
        let explanation = "Plain Git over HTTP, with the token; pushing makes the repository.";
        let pushed = steps
            .step(
                "Ben pushes the storefront",
                call,
                explanation,
                deploy::push(ben, &source, &account.id, NAME),
            )
            .await?;

        let with = if self.database {
            "with a PostgreSQL database of its own"
        } else {
            "without a database (SLIPWAY_APPS__POSTGRES_URL is not set)"
        };
        let explanation = format!("Its environment `production` is made with it, {with}.");
        let call = format!("POST /v1/account/{}/projects", account.id);
        let project = steps
            .step("Ben makes the project", call, &explanation, async {
                Ok(ben.create_project(&account.id, NAME, self.database).await?)
            })
            .await?;
        let project = self.project.insert(project);
        let environment = project
            .environment("production")
            .context("the project has no environment `production`")?;

        let call = format!(
            "POST /v1/account/{}/projects/{}/build",
            account.id, project.id
        );
        let explanation = "Found to be Node.js: dependencies from npm, release command, start, health check, switch.";
        steps
            .step(
                "Ben builds and releases it",
                call,
                explanation,
                build(ben, project, environment, &pushed.commit),
            )
            .await?;
        Ok(environment.clone())
    }

    async fn publish(
        &self,
        ben: &Api,
        environment: &Environment,
        steps: &mut Steps,
    ) -> anyhow::Result<()> {
        let project = self.project.as_ref().context("there is no project")?;
        let call = format!("PUT …/environments/{}/publication", environment.id);
        let publication = Publication {
            name: NAME.to_owned(),
            visibility: "account",
            scopes: vec!["read", "write"],
        };
        let explanation =
            "The gateway now passes /v1/storefront/… on to it, for members of the account.";
        steps
            .step("Ben publishes it as a service", call, explanation, async {
                Ok(ben.publish(project, &environment.id, &publication).await?)
            })
            .await
    }
}

/// An admin makes the account and invites Ada to own it.
async fn make_account(
    platform: &Api,
    directory: &Path,
    ada: &Api,
    steps: &mut Steps,
) -> anyhow::Result<Account> {
    let credentials = sign_in::read_credentials(&data_dir(directory))?
        .context("the first start left no credentials")?;
    let explanation =
        "The first start has made an admin and left the password in a file of the data directory.";
    let admin = steps
        .step(
            "The admin signs in",
            "POST /auth/admin/emailpass",
            explanation,
            async {
                let token = platform
                    .sign_in("admin", &credentials.email, &credentials.password)
                    .await?;
                token
                    .map(|token| platform.with_token(token))
                    .context("no token")
            },
        )
        .await?;
    let explanation = "An account owns projects; people are its members.";
    let account = steps
        .step(
            "The admin makes an account",
            "POST /v1/accounts",
            explanation,
            async { Ok(admin.create_account("Analytical Engines").await?) },
        )
        .await?;
    let titles = ["The admin invites Ada as owner", "Ada accepts"];
    person::invite(&admin, ada, &account, Role::Owner, titles, steps).await?;
    Ok(account)
}

async fn build(
    ben: &Api,
    project: &Project,
    environment: &Environment,
    commit: &str,
) -> anyhow::Result<()> {
    let build = ben.build(project, &environment.id, commit).await?;
    let ended = watch::until_ended(ben, project, build, &mut Reporter::Silent).await?;
    let Ended { build, .. } = &ended;
    if build.state.is_live() {
        return Ok(());
    }
    let reason = build.reason.as_deref().unwrap_or("no reason was given");
    anyhow::bail!(
        "the build {}: {reason}\n{}",
        build.state,
        ended.lines_that_matter().join("\n")
    )
}

/// Calls the app by its own host name, without any token.
async fn call_live(ben: &Api, environment: &Environment, steps: &mut Steps) -> anyhow::Result<()> {
    let url = environment.url.parse()?;
    let call = format!("GET {}products", environment.url);
    let explanation = "The app's own host: no token, whatever it answers is the app's.";
    let products = steps
        .step("Anyone calls the live store", call, explanation, async {
            soon(
                || ben.call_app(&url, "/products"),
                |error| error.is("unknown_app") || error.is("not_deployed"),
            )
            .await
        })
        .await?;
    Steps::show(&told(&products)?)
}

/// Makes an API key that can only read from the service, calls it, and looks at the count.
async fn call_with_key(ben: &Api, steps: &mut Steps) -> anyhow::Result<()> {
    let scope = format!("service:{NAME}:read");
    let explanation = format!("It can do one thing: {scope}.");
    let key = steps
        .step(
            "Ben makes an API key",
            "POST /v1/generate",
            &explanation,
            async {
                // Until the gateway has heard of the service, nobody holds the scope.
                soon(
                    || ben.generate_key("demo", std::slice::from_ref(&scope)),
                    |error| error.has_status(403),
                )
                .await
            },
        )
        .await?;
    let consumer = ben.with_token(key);
    let call = format!("GET /v1/{NAME}/products");
    let explanation = format!("The key opens it; the call is counted. {CALLS} times.");
    let products = steps
        .step(
            "A program calls it with the key",
            call,
            &explanation,
            async {
                let mut last = Value::Null;
                for _ in 0..CALLS {
                    last = consumer.get(&format!("/v1/{NAME}/products")).await?;
                }
                Ok(last)
            },
        )
        .await?;
    Steps::show(&told(&products)?)?;
    let explanation = "Counted by user, key, service, endpoint, method and status.";
    let count = steps
        .step(
            "Ben looks at the usage",
            "GET /v1/usage",
            explanation,
            counted(ben),
        )
        .await?;
    Steps::show(&format!("{NAME}: {count} calls"))
}

/// Waits until all calls are counted, and gives their number.
async fn counted(ben: &Api) -> anyhow::Result<u64> {
    let deadline = Instant::now() + SOON;
    loop {
        let usage = ben.usage().await?;
        let count: u64 = usage
            .iter()
            .filter(|row| is_call_of_service(row))
            .map(|row| row.count)
            .sum();
        if count >= CALLS {
            anyhow::ensure!(count == CALLS, "{CALLS} calls were counted as {count}");
            return Ok(count);
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "of {CALLS} calls {count} were counted within {SOON:?}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_call_of_service(row: &Usage) -> bool {
    row.service == NAME || row.service == format!("service:{NAME}")
}

/// Calls again while the answer is one that passes as soon as an event has come around.
async fn soon<T, F>(
    mut call: impl FnMut() -> F,
    passes: impl Fn(&ApiError) -> bool,
) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let deadline = Instant::now() + SOON;
    loop {
        match call().await {
            Err(error) if passes(&error) && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            result => return Ok(result?),
        }
    }
}

/// What the store's answer says, in a sentence.
fn told(answer: &Value) -> anyhow::Result<String> {
    let products = answer
        .get("products")
        .and_then(Value::as_array)
        .context("the store's answer holds no products")?;
    let names: Vec<_> = products
        .iter()
        .filter_map(|product| product.get("name")?.as_str())
        .take(3)
        .collect();
    Ok(format!(
        "{} products: {}, …",
        products.len(),
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_s_answer_is_told_in_a_sentence() {
        let answer = serde_json::json!({ "products": [{ "name": "Mug" }, { "name": "Cap" }], "currency": "eur" });
        assert_eq!(told(&answer).unwrap(), "2 products: Mug, Cap, …");
        assert!(told(&serde_json::json!({ "message": "no" })).is_err());
    }
}
