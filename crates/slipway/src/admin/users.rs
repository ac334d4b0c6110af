//! `slipway admin users`

use common::id::IdentityId;
use reqwest::Method;
use serde_json::{Value, json};

use super::list::{all_of, text};
use crate::api::Api;
use crate::cli::{UserActorArgs, UserArgs, UserDeleteArgs, UsersCommand, UsersListArgs};
use crate::output::{self, Style};
use crate::sign_in;
use crate::table::Table;

const PATH: &str = "/auth/admin/identities";

pub(super) async fn run(command: UsersCommand) -> anyhow::Result<()> {
    match command {
        UsersCommand::List(arguments) => list(arguments).await,
        UsersCommand::Show(user) => change(&user, Method::GET, "", None).await,
        UsersCommand::Disable(user) => {
            change(&user, Method::PATCH, "", Some(json!({ "disabled": true }))).await
        }
        UsersCommand::Enable(user) => {
            change(&user, Method::PATCH, "", Some(json!({ "disabled": false }))).await
        }
        UsersCommand::Delete(UserDeleteArgs { force, user }) => {
            let query = if force { "?force=true" } else { "" };
            change(&user, Method::DELETE, query, None).await
        }
        UsersCommand::Grant(UserActorArgs { user, actor }) => {
            change(&user, Method::PUT, &format!("/actors/{actor}"), None).await
        }
        UsersCommand::Withdraw(UserActorArgs { user, actor }) => {
            change(&user, Method::DELETE, &format!("/actors/{actor}"), None).await
        }
        UsersCommand::ForceReset(user) => change(&user, Method::POST, "/force-reset", None).await,
    }
}

async fn list(arguments: UsersListArgs) -> anyhow::Result<()> {
    let api = sign_in::admin(&arguments.platform).await?;
    let filter = [("email", arguments.email), ("realm", arguments.realm)];
    let found = all_of(&api, PATH, &filter, "identities", arguments.limit).await?;
    if arguments.json {
        return output::pretty_json(&found);
    }
    for line in table(&found).styled_lines(Style::result()) {
        output::line(line)?;
    }
    Ok(())
}

fn table(identities: &[Value]) -> Table<6> {
    let mut table = Table::new(["ID", "EMAIL", "REALM", "ACTORS", "STATUS", "CREATED"]);
    for identity in identities {
        let status = if identity["disabled"] == true {
            "disabled"
        } else {
            "active"
        };
        let actors = identity["actors"].as_array().into_iter().flatten();
        let actors: Vec<_> = actors.filter_map(Value::as_str).collect();
        table.row([
            text(identity, "id"),
            text(identity, "email"),
            text(identity, "realm"),
            actors.join(", "),
            status.to_owned(),
            text(identity, "created_at"),
        ]);
    }
    table
}

/// Asks for something to be done to one, and shows what is answered.
async fn change(
    user: &UserArgs,
    method: Method,
    below: &str,
    body: Option<Value>,
) -> anyhow::Result<()> {
    let api = sign_in::admin(&user.platform).await?;
    let id = find(&api, &user.user).await?;
    let answer = api
        .ask(method, &format!("{PATH}/{id}{below}"), body)
        .await?;
    if user.json {
        return output::pretty_json(&answer);
    }
    if answer.get("deleted").is_some_and(|deleted| deleted == true) {
        output::note(format_args!("{id} is deleted"));
        return Ok(());
    }
    let identity = answer.get("identity").unwrap_or(&Value::Null);
    for line in table(std::slice::from_ref(identity)).lines() {
        output::line(line)?;
    }
    for provider in identity["providers"].as_array().into_iter().flatten() {
        let (by, known_as) = (text(provider, "provider"), text(provider, "entity_id"));
        output::line(format_args!("signs in by {by} as {known_as}"))?;
    }
    Ok(())
}

/// The identity that is meant: by its id, or by its whole address on the platform itself.
async fn find(api: &Api, user: &str) -> anyhow::Result<String> {
    if !user.contains('@') {
        let id: IdentityId = user.parse().map_err(|_other| {
            anyhow::anyhow!("`{user}` is neither an identity's id nor an address")
        })?;
        return Ok(id.to_string());
    }
    let filter = [
        ("email", Some(user.to_owned())),
        ("realm", Some("platform".to_owned())),
    ];
    let wanted = common::email::normal(user);
    let found = all_of(api, PATH, &filter, "identities", 1_000).await?;
    found
        .iter()
        .find(|identity| text(identity, "email") == wanted)
        .map(|identity| text(identity, "id"))
        .ok_or_else(|| anyhow::anyhow!("nobody on the platform has the address {user}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_a_line_for_each_identity() {
        let identity = json!({
            "id": "authid_1", "email": "ann@x.dev", "realm": "platform", "actors": ["euser", "admin"],
            "disabled": true, "created_at": "2026-11-21T18:00:00Z",
        });
        assert_eq!(
            table(&[identity]).lines()[1],
            "authid_1  ann@x.dev  platform  euser, admin  disabled  2026-11-21T18:00:00Z"
        );
    }
}
