//! The programs that sources are brought and built with.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::Finding;

const PATIENCE: Duration = Duration::from_secs(10);

/// A program, and what is missing without it.
struct Program {
    name: &'static str,
    /// What can't be done without it; nothing at all works if it is `required`.
    purpose: &'static str,
    required: bool,
    /// The oldest major version that will do.
    oldest: u32,
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "git",
        purpose: "nothing can be deployed",
        required: true,
        oldest: 2,
    },
    Program {
        name: "node",
        purpose: "apps for Node.js can't be built",
        required: false,
        oldest: 20,
    },
    Program {
        name: "npm",
        purpose: "apps for Node.js can't be built",
        required: false,
        oldest: 9,
    },
    Program {
        name: "python3",
        purpose: "apps in Python can't be built",
        required: false,
        oldest: 3,
    },
];

/// Asks each program for its version.
pub(super) async fn check() -> Vec<Finding> {
    let mut findings = Vec::new();
    for program in PROGRAMS {
        findings.push(judge(program, version(program.name).await.as_deref()));
    }
    findings
}

/// What the program prints of its version; none if it can't be run.
async fn version(name: &str) -> Option<String> {
    let mut command = Command::new(name);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .ok()?
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()?
        .trim()
        .to_owned();
    output.status.success().then_some(text)
}

fn judge(program: &Program, version: Option<&str>) -> Finding {
    let Program {
        name,
        purpose,
        required,
        oldest,
    } = program;
    let finding = match version {
        Some(version) if major(version).is_none_or(|major| major >= *oldest) => {
            return Finding::fine(name, version);
        }
        Some(version) => format!("{version} is too old"),
        None => "not found".to_owned(),
    };
    let advice = format!("install {name} {oldest} or newer; without it {purpose}");
    if *required {
        Finding::wrong(name, finding, advice)
    } else {
        Finding::warning(name, finding, advice)
    }
}

/// The first number in a text such as `v20.11.1` or `git version 2.43.0`.
fn major(version: &str) -> Option<u32> {
    let number = version
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .find(|part| !part.is_empty())?;
    number.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn level(name: &str, version: Option<&str>) -> Level {
        judge(
            PROGRAMS
                .iter()
                .find(|program| program.name == name)
                .unwrap(),
            version,
        )
        .level
    }

    #[test]
    fn a_version_is_found_in_what_programs_print() {
        for (text, expected) in [
            ("v20.11.1", 20),
            ("git version 2.43.0", 2),
            ("Python 3.12.4", 3),
            ("10.8.2", 10),
        ] {
            assert_eq!(major(text), Some(expected), "{text}");
        }
        assert_eq!(major("unknown"), None);
    }

    #[test]
    fn only_git_is_needed_whatever_is_deployed() {
        assert_eq!(level("git", None), Level::Wrong);
        assert_eq!(level("node", None), Level::Warning);
        assert_eq!(level("node", Some("v18.0.0")), Level::Warning);
        assert_eq!(level("node", Some("v22.1.0")), Level::Fine);
    }
}
