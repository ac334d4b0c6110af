//! `slipway admin audit`

use serde_json::Value;

use super::list::{all_of, text};
use crate::cli::AuditArgs;
use crate::output::{self, Style};
use crate::sign_in;
use crate::table::Table;

pub(super) async fn run(arguments: AuditArgs) -> anyhow::Result<()> {
    let api = sign_in::admin(&arguments.platform).await?;
    let filter = [
        ("action", arguments.action),
        ("actor", arguments.actor),
        ("subject", arguments.subject),
        ("account_id", arguments.account),
        ("from", arguments.from.map(|time| time.to_string())),
        ("to", arguments.to.map(|time| time.to_string())),
    ];
    let entries = all_of(&api, "/v1/audit", &filter, "entries", arguments.limit).await?;
    if arguments.json {
        return entries.iter().try_for_each(output::json);
    }
    for line in table(&entries).styled_lines(Style::result()) {
        output::line(line)?;
    }
    Ok(())
}

fn table(entries: &[Value]) -> Table<6> {
    let mut table = Table::new(["TIME", "SERVICE", "ACTION", "ACTOR", "SUBJECT", "FROM"]);
    for entry in entries {
        table.row(
            ["at", "service", "action", "actor", "subject", "ip"].map(|name| text(entry, name)),
        );
    }
    table
}
