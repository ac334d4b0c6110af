//! `slipway doctor`: what is wrong, and what to do about it.

mod certificates;
mod data;
mod machine;
mod orders;
mod programs;
mod running;
mod settings;

use std::process::ExitCode;

use common::time::Clock;
use serde::Serialize;

use crate::cli::DoctorArgs;
use crate::output::{self, Style};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    /// As it should be.
    Fine,
    /// It works, but the operator should know.
    Warning,
    /// It doesn't work.
    Wrong,
}

/// What one check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    /// What was looked at.
    subject: &'static str,
    /// What was found.
    finding: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn fine(subject: &'static str, finding: impl Into<String>) -> Self {
        Self {
            level: Level::Fine,
            subject,
            finding: finding.into(),
            advice: None,
        }
    }

    fn warning(
        subject: &'static str,
        finding: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Warning,
            subject,
            finding: finding.into(),
            advice: Some(advice.into()),
        }
    }

    fn wrong(subject: &'static str, finding: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            level: Level::Wrong,
            subject,
            finding: finding.into(),
            advice: Some(advice.into()),
        }
    }
}

/// Runs every check; fails where something doesn't work.
pub(crate) async fn run(arguments: DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut findings = vec![Finding::fine(
        "slipway",
        format!("version {}", env!("CARGO_PKG_VERSION")),
    )];
    let (settings, about_settings) = settings::check(arguments.config.clone());
    findings.extend(about_settings);
    findings.extend(running::check(&arguments.platform).await);
    findings.extend(data::check(&arguments.platform.data_dir));
    findings.extend(programs::check().await);
    if let Some(settings) = &settings {
        findings.extend(settings::check_databases(settings).await);
        findings.extend(certificates::check(settings, Clock::system().now()));
        findings.extend(orders::check(settings, &arguments.platform.data_dir).await);
    }
    findings.extend(machine::check(&arguments.platform.data_dir));
    if arguments.json {
        output::pretty_json(&findings)?;
    } else {
        print(&findings)?;
    }
    let worst = findings.iter().map(|finding| finding.level).max();
    Ok(if worst == Some(Level::Wrong) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn print(findings: &[Finding]) -> std::io::Result<()> {
    let style = Style::result();
    for Finding {
        level,
        subject,
        finding,
        advice,
    } in findings
    {
        let mark = match level {
            Level::Fine => style.green("✓"),
            Level::Warning => style.yellow("!"),
            Level::Wrong => style.red("✗"),
        };
        output::line(format_args!("{mark} {subject}: {finding}"))?;
        if let Some(advice) = advice {
            output::line(style.dim(&format!("  → {advice}")))?;
        }
    }
    let count = |wanted| {
        findings
            .iter()
            .filter(|finding| finding.level == wanted)
            .count()
    };
    output::line(summary(count(Level::Wrong), count(Level::Warning)))
}

fn summary(wrong: usize, warnings: usize) -> String {
    let things =
        |count, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    match (wrong, warnings) {
        (0, 0) => "All is well.".to_owned(),
        (0, warnings) => format!(
            "Nothing is wrong; {}.",
            things(warnings, "warning", "warnings")
        ),
        (wrong, 0) => format!("{} wrong.", things(wrong, "thing is", "things are")),
        (wrong, warnings) => {
            format!(
                "{} wrong; {}.",
                things(wrong, "thing is", "things are"),
                things(warnings, "warning", "warnings")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts() {
        assert_eq!(summary(0, 0), "All is well.");
        assert_eq!(summary(1, 2), "1 thing is wrong; 2 warnings.");
        assert_eq!(summary(0, 1), "Nothing is wrong; 1 warning.");
    }
}
