//! The steps of the demo: told as they are taken, and once more as a table.

use std::time::{Duration, Instant};

use crate::deploy::terminal::took;
use crate::output::{self, Style};
use crate::table::Table;

/// A step that was taken.
#[derive(Clone, Debug)]
struct Step {
    title: &'static str,
    call: String,
    time: Duration,
    failed: bool,
}

/// The steps so far.
#[derive(Debug, Default)]
pub(super) struct Steps(Vec<Step>);

impl Steps {
    /// Takes a step: says what it is and what it calls, then how long it took.
    pub(super) async fn step<T>(
        &mut self,
        title: &'static str,
        call: impl Into<String>,
        explanation: &str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let (call, style) = (call.into(), Style::result());
        output::line(format_args!(
            "\n{} {}",
            style.bold(&format!("{}. {title}", self.0.len() + 1)),
            style.dim(&call)
        ))?;
        output::line(format_args!("   {explanation}"))?;
        let began = Instant::now();
        let result = work.await;
        let (time, failed) = (began.elapsed(), result.is_err());
        let mark = if failed {
            style.red("✗")
        } else {
            style.green("✓")
        };
        output::line(format_args!("   {mark} {}", took(time)))?;
        self.0.push(Step {
            title,
            call,
            time,
            failed,
        });
        result
    }

    /// Adds to what the step before has shown.
    pub(super) fn show(text: &str) -> anyhow::Result<()> {
        Ok(output::line(format_args!("   {text}"))?)
    }

    /// All steps as a table.
    pub(super) fn table(&self) -> Vec<String> {
        let mut table = Table::new(["STEP", "CALLED", "TOOK"]);
        for Step {
            title,
            call,
            time,
            failed,
        } in &self.0
        {
            let time = if *failed {
                format!("{} (failed)", took(*time))
            } else {
                took(*time)
            };
            table.row([(*title).to_owned(), without_ids(call), time]);
        }
        table.lines()
    }
}

/// The call with `:id` where an id stands, as the API's document writes it: short enough for a table.
fn without_ids(call: &str) -> String {
    let is_id = |part: &&str| {
        part.split_once('_')
            .is_some_and(|(prefix, suffix)| !prefix.is_empty() && suffix.len() == 26)
    };
    let parts = call
        .split('/')
        .map(|part| if is_id(&part) { ":id" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_calls_are_cut_short() {
        assert_eq!(
            without_ids("POST /v1/accounts/acc_01m7z9g1kyey4ryhnxyqa1d5h4/invite"),
            "POST /v1/accounts/:id/invite"
        );
        assert_eq!(without_ids("GET /v1/api_keys"), "GET /v1/api_keys");
    }

    #[tokio::test]
    async fn a_failed_step_is_in_the_table_and_its_error_goes_on() {
        let mut steps = Steps::default();
        steps
            .step("One", "GET /1", "First.", async { Ok(()) })
            .await
            .unwrap();
        let failed: anyhow::Result<()> = steps
            .step("Two", "GET /2", "Then.", async { anyhow::bail!("no") })
            .await;
        assert_eq!(failed.unwrap_err().to_string(), "no");
        let lines = steps.table();
        assert!(
            lines[1].starts_with("One   GET /1") && lines[2].ends_with("(failed)"),
            "{lines:?}"
        );
    }
}
