//! `slipway webhooks`: where an account's events are told, and what came of it.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::cli::{WebhooksArgs, WebhooksCommand};
use crate::output::{self, Style};
use crate::sign_in;
use crate::table::Table;

/// Does what is asked for.
pub(crate) async fn run(arguments: WebhooksArgs) -> anyhow::Result<ExitCode> {
    let person = sign_in::person(&arguments.platform).await?;
    let account = person.account(arguments.account.as_deref())?;
    let Some(account) = account else {
        anyhow::bail!("you are a member of no account: `slipway deploy` makes one");
    };
    let webhooks = Webhooks {
        api: &person.api,
        path: format!("/v1/accounts/{}/webhooks", account.id),
        json: arguments.json,
    };
    webhooks
        .run(arguments.command.unwrap_or(WebhooksCommand::List))
        .await?;
    Ok(ExitCode::SUCCESS)
}

struct Webhooks<'a> {
    api: &'a Api,
    path: String,
    json: bool,
}

impl Webhooks<'_> {
    async fn run(&self, command: WebhooksCommand) -> anyhow::Result<()> {
        match command {
            WebhooksCommand::List => self.list().await,
            WebhooksCommand::Add {
                url,
                events,
                description,
            } => {
                let mut body = Map::new();
                body.insert("url".into(), json!(url));
                if !events.is_empty() {
                    body.insert("event_types".into(), json!(events));
                }
                if let Some(description) = description {
                    body.insert("description".into(), json!(description));
                }
                let made = self.ask(Method::POST, "", Some(body.into())).await?;
                self.show_secret(&made)
            }
            WebhooksCommand::Enable { id } => self.switch(id.as_str(), true).await,
            WebhooksCommand::Disable { id } => self.switch(id.as_str(), false).await,
            WebhooksCommand::Remove { id } => {
                let gone = self.ask(Method::DELETE, &format!("/{id}"), None).await?;
                self.done(&gone, "Nothing is sent there any more.")
            }
            WebhooksCommand::Rotate { id, overlap } => {
                let body =
                    overlap.map_or_else(|| json!({}), |overlap| json!({ "overlap": overlap }));
                let below = format!("/{id}/rotate-secret");
                let made = self.ask(Method::POST, &below, Some(body)).await?;
                self.show_secret(&made)
            }
            WebhooksCommand::Test { id } => {
                let below = format!("/{id}/test");
                let queued = self.ask(Method::POST, &below, Some(json!({}))).await?;
                self.queued(&queued)
            }
            WebhooksCommand::Deliveries { id, failed, limit } => {
                let filter = if failed { "&status=failed" } else { "" };
                let below = format!("/{id}/deliveries?limit={limit}{filter}");
                let found = self.ask(Method::GET, &below, None).await?;
                self.deliveries(&found)
            }
            WebhooksCommand::Replay { id, delivery } => {
                let below = format!("/{id}/deliveries/{delivery}/replay");
                let queued = self.ask(Method::POST, &below, Some(json!({}))).await?;
                self.queued(&queued)
            }
        }
    }

    async fn ask(&self, method: Method, below: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let path = format!("{}{below}", self.path);
        Ok(self.api.ask(method, &path, body).await?)
    }

    async fn switch(&self, id: &str, enabled: bool) -> anyhow::Result<()> {
        let body = json!({ "enabled": enabled });
        let changed = self
            .ask(Method::PATCH, &format!("/{id}"), Some(body))
            .await?;
        let said = if enabled {
            "Events are sent there from now on."
        } else {
            "Nothing is sent there for now."
        };
        self.done(&changed, said)
    }

    /// An account has fewer than a page holds.
    async fn list(&self) -> anyhow::Result<()> {
        let found = self.ask(Method::GET, "?limit=100", None).await?;
        if self.json {
            return output::pretty_json(member(&found, "webhooks"));
        }
        let mut table = Table::new(["WEBHOOK", "STATUS", "EVENTS", "URL", "DESCRIPTION"]);
        for webhook in rows(&found, "webhooks") {
            let types = rows(webhook, "event_types").filter_map(Value::as_str);
            table.row([
                text(webhook, "id"),
                text(webhook, "status"),
                types.collect::<Vec<_>>().join(", "),
                text(webhook, "url"),
                text(webhook, "description"),
            ]);
        }
        show(&table)
    }

    fn deliveries(&self, found: &Value) -> anyhow::Result<()> {
        if self.json {
            return output::pretty_json(member(found, "deliveries"));
        }
        let mut table = Table::new([
            "DELIVERY", "EVENT", "STATUS", "ATTEMPTS", "ANSWER", "NEXT TRY",
        ]);
        for delivery in rows(found, "deliveries") {
            let answer = match delivery.pointer("/response/status").and_then(Value::as_i64) {
                Some(status) => status.to_string(),
                None => text(delivery, "problem"),
            };
            table.row([
                text(delivery, "id"),
                text(delivery, "event_type"),
                text(delivery, "status"),
                member(delivery, "attempts").to_string(),
                answer,
                text(delivery, "next_attempt_at"),
            ]);
        }
        show(&table)
    }

    fn show_secret(&self, made: &Value) -> anyhow::Result<()> {
        if self.json {
            return output::pretty_json(made);
        }
        let id = text(member(made, "webhook"), "id");
        output::note(format_args!(
            "{id} signs with this secret, which is never shown again:"
        ));
        output::line(text(made, "secret"))?;
        Ok(())
    }

    fn queued(&self, queued: &Value) -> anyhow::Result<()> {
        let id = text(member(queued, "delivery"), "id");
        let said =
            format!("{id} is on its way; `slipway webhooks deliveries` shows what comes of it.");
        self.done(queued, &said)
    }

    fn done(&self, answer: &Value, said: &str) -> anyhow::Result<()> {
        if self.json {
            return output::pretty_json(answer);
        }
        output::note(said);
        Ok(())
    }
}

fn show<const N: usize>(table: &Table<N>) -> anyhow::Result<()> {
    for line in table.styled_lines(Style::result()) {
        output::line(line)?;
    }
    Ok(())
}

fn rows<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.get(name).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// What an answer has under this name; null where it has nothing.
fn member<'a>(answer: &'a Value, name: &str) -> &'a Value {
    answer.get(name).unwrap_or(&Value::Null)
}

fn text(value: &Value, name: &str) -> String {
    let text = value.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}
