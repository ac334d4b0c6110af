//! `slipway admin`: what operators do.

mod audit;
mod list;
mod users;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::api::{Api, SigningKey};
use crate::cli::{AdminArgs, AdminCommand, ImportArgs, KeysArgs, KeysCommand};
use crate::output;
use crate::sign_in;
use crate::table::Table;

/// The most people, and the most text of theirs, that are sent at once.
const MOST_ROWS: usize = 200;
const MOST_BYTES: usize = 150_000;

/// Does what an operator asks for.
pub(crate) async fn run(arguments: AdminArgs) -> anyhow::Result<ExitCode> {
    match arguments.command {
        AdminCommand::Keys(arguments) => keys(arguments).await,
        AdminCommand::Import(arguments) => import(arguments).await,
        AdminCommand::Users(arguments) => {
            users::run(arguments.command).await?;
            Ok(ExitCode::SUCCESS)
        }
        AdminCommand::Audit(arguments) => {
            audit::run(arguments).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn keys(arguments: KeysArgs) -> anyhow::Result<ExitCode> {
    let api = sign_in::admin(&arguments.platform).await?;
    match arguments.command.unwrap_or(KeysCommand::List) {
        KeysCommand::List => {
            let found = api.signing_keys().await?;
            if arguments.json {
                output::pretty_json(&found)?;
            } else {
                show(&found.keys)?;
            }
        }
        KeysCommand::Rotate { now } => {
            let rotated = api.rotate_keys(now).await?;
            if arguments.json {
                output::pretty_json(&rotated)?;
            } else {
                match &rotated.rotates_at {
                    Some(at) => output::note(format_args!(
                        "The next key signs from {at} on, when everybody can know it (or at once with --now)."
                    )),
                    None => output::note("Another key signs now; no token is refused."),
                }
                show(&rotated.keys)?;
            }
        }
        KeysCommand::Revoke { kid } => {
            api.revoke_key(&kid).await?;
            output::note(
                "Every token that the key signed is refused from now on: people sign in again, API keys are made anew.",
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(keys: &[SigningKey]) -> anyhow::Result<()> {
    let mut table = Table::new(["KEY", "ALGORITHM", "STATE", "SINCE"]);
    for key in keys {
        let SigningKey {
            kid,
            algorithm,
            state,
            changed_at,
            ..
        } = key.clone();
        table.row([kid, algorithm, state, changed_at]);
    }
    for line in table.lines() {
        output::line(line)?;
    }
    Ok(())
}

async fn import(arguments: ImportArgs) -> anyhow::Result<ExitCode> {
    let rows = read(&arguments.file)?;
    let api = sign_in::admin(&arguments.platform).await?;
    let mut counts = [("created", 0), ("exists", 0), ("refused", 0)];
    let mut done = 0;
    for batch in batches(&rows) {
        for result in send(&api, batch, done).await? {
            done += 1;
            for (status, count) in &mut counts {
                *count += i32::from(*status == result.status);
            }
            if arguments.json {
                output::json(&json!({ "row": done, "result": result }))?;
            } else if let Some(reason) = &result.reason {
                output::note(format_args!("row {done}: {reason}"));
            }
        }
    }
    let [(_, created), (_, exists), (_, refused)] = counts;
    output::note(format_args!(
        "{created} taken in, {exists} were here already, {refused} can't be taken"
    ));
    Ok(if refused == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn send(
    api: &Api,
    batch: &[Value],
    done: usize,
) -> anyhow::Result<Vec<crate::api::ImportResult>> {
    let imported = api.import(batch).await.with_context(|| {
        format!("after row {done}; what was taken in stays, and the import can be done again")
    })?;
    Ok(imported.results)
}

/// The rows of a file: one JSON object a line, or a list of them.
fn read(file: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("{} can't be read", file.display()))?;
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(&text)
            .with_context(|| format!("{} is no list in JSON", file.display()));
    }
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(place, line)| {
            // Without the cause: that might show a part of the line, where a hash stands.
            serde_json::from_str(line).map_err(|_no_json| {
                anyhow::anyhow!("line {} of {} is no JSON", place + 1, file.display())
            })
        })
        .collect()
}

/// As many rows at once as a request may hold.
fn batches(rows: &[Value]) -> Vec<&[Value]> {
    let mut batches = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest
            .iter()
            .take(MOST_ROWS)
            .take_while(|row| {
                bytes += row.to_string().len();
                bytes <= MOST_BYTES
            })
            .count();
        // One that is too large by itself goes alone, and is refused there.
        let (batch, others) = rest.split_at(fitting.max(1).min(rest.len()));
        batches.push(batch);
        rest = others;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sent_in_their_order_and_never_too_many_at_once() {
        let rows: Vec<_> = (0..1_000)
            .map(|n| json!({ "n": n, "x": "y".repeat(1_000) }))
            .collect();
        let batches = batches(&rows);
        assert_eq!(batches.concat(), rows);
        for batch in batches {
            assert!((1..=MOST_ROWS).contains(&batch.len()));
        }
        let huge = [json!("x".repeat(MOST_BYTES * 2)), json!(1)];
        assert_eq!(super::batches(&huge).len(), 2);
        assert!(super::batches(&[]).is_empty());
    }

    #[test]
    fn a_file_is_a_list_or_a_row_a_line_and_an_error_shows_no_hash() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("people");
        for text in ["[{\"a\":1},{\"a\":2}]", "{\"a\":1}\n\n{\"a\":2}\n"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(read(&file).unwrap(), [json!({ "a": 1 }), json!({ "a": 2 })]);
        }
        std::fs::write(&file, "{\"a\":1}\n$2b$hash\n").unwrap();
        let error = format!("{:#}", read(&file).unwrap_err());
        assert!(
            error.contains("line 2") && !error.contains("$2b$"),
            "{error}"
        );
    }
}
