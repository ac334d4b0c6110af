//! The `Procfile`: one process a line, `name: command`.

use std::collections::BTreeMap;

use super::DetectError;
use super::draft::Draft;
use super::plan::Command;
use super::source::Source;

const FILE: &str = "Procfile";

/// The processes of a Procfile, by name.
pub(super) struct Procfile(BTreeMap<String, String>);

impl Procfile {
    /// Reads the file, if there is one.
    pub(super) fn read(source: &Source) -> Result<Option<Self>, DetectError> {
        source.text(FILE).map(|text| Self::parse(&text)).transpose()
    }

    fn parse(text: &str) -> Result<Self, DetectError> {
        let mut processes = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |message: &str| DetectError::Invalid {
                file: FILE.to_owned(),
                line: index + 1,
                key: None,
                message: message.to_owned(),
            };
            let (name, command) = line
                .split_once(':')
                .ok_or_else(|| wrong("a line reads `name: command`"))?;
            let (name, command) = (name.trim(), command.trim());
            if name.is_empty()
                || !name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            {
                return Err(wrong("a process name has letters, digits, `-` and `_`"));
            }
            if command.is_empty() {
                return Err(wrong(&format!("the process `{name}` has no command")));
            }
            processes.insert(name.to_owned(), command.to_owned());
        }
        Ok(Self(processes))
    }

    pub(super) fn has_web(&self) -> bool {
        self.0.contains_key("web")
    }

    /// Puts the file's processes over what was found. `release` runs before the switch, as on
    /// other platforms.
    pub(super) fn apply(self, draft: &mut Draft, reasons: &mut Vec<String>) {
        for (name, text) in self.0 {
            let command = Command::shell(exec(&text));
            reasons.push(format!("{FILE}: {name} is `{text}`"));
            match name.as_str() {
                "web" => draft.start(command),
                "release" => draft.release = Some(Command::shell(text)),
                _ => {
                    draft.processes.insert(name, command);
                }
            }
        }
    }
}

/// The text with the shell in front left out where it is a single command, so that signals reach the
/// app itself and no idle shell stays in memory.
pub(super) fn exec(text: &str) -> String {
    if !is_single(text) {
        return text.to_owned();
    }
    let assigns = text.split_whitespace().next().is_some_and(|word| {
        word.split_once('=')
            .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    });
    if assigns {
        format!("exec env {text}")
    } else {
        format!("exec {text}")
    }
}

/// Whether a shell text is one command that is a program, as far as can be told without parsing it.
pub(super) fn is_single(text: &str) -> bool {
    const BUILTINS: [&str; 14] = [
        "cd", "export", "source", ".", "if", "for", "while", "case", "exec", "set", "eval", "trap",
        "ulimit", "!",
    ];
    !text.contains(['&', '|', ';', '\n', '(', ')', '{', '}', '`'])
        && text
            .split_whitespace()
            .next()
            .is_some_and(|word| !BUILTINS.contains(&word))
}
