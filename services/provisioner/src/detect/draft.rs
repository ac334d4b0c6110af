//! A plan in the making: what one provider found, before the Procfile and the settings correct it.

use std::collections::BTreeMap;

use super::DetectError;
use super::plan::{Command, Phase, Plan, Provider, RelPath, Required, Web};

/// A plan whose start command may still be missing.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) provider: Provider,
    pub(super) reasons: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) phases: Vec<Phase>,
    pub(super) build_env: BTreeMap<String, String>,
    pub(super) release: Option<Command>,
    pub(super) web: Option<Web>,
    pub(super) processes: BTreeMap<String, Command>,
    pub(super) run_env: BTreeMap<String, String>,
    pub(super) path: Vec<RelPath>,
    pub(super) health: Option<String>,
    pub(super) needs_database: bool,
    pub(super) generated_secrets: Vec<String>,
    pub(super) port_variables: Vec<String>,
    pub(super) phase_seconds: Option<u64>,
    /// What was looked for in vain, for the error when there is no start command in the end.
    pub(super) no_start: String,
}

impl Draft {
    pub(super) fn new(provider: Provider) -> Self {
        Self {
            provider,
            reasons: Vec::new(),
            warnings: Vec::new(),
            phases: Vec::new(),
            build_env: BTreeMap::new(),
            release: None,
            web: None,
            processes: BTreeMap::new(),
            run_env: BTreeMap::new(),
            path: Vec::new(),
            health: None,
            needs_database: false,
            generated_secrets: Vec::new(),
            port_variables: vec!["PORT".to_owned()],
            phase_seconds: None,
            no_start: String::new(),
        }
    }

    pub(super) fn because(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    pub(super) fn phase(&mut self, name: &str, command: Command) {
        self.phases.push(Phase::new(name, command));
    }

    pub(super) fn start(&mut self, command: Command) {
        self.web = Some(Web::Command(command));
    }

    /// Puts `command` in the place of the phase of that name, or where such a phase belongs: an
    /// `install` first, anything else last.
    pub(super) fn replace_phase(&mut self, name: &str, command: Option<Command>) {
        let at = self.phases.iter().position(|phase| phase.name == name);
        self.phases.retain(|phase| phase.name != name);
        if let Some(command) = command {
            let end = self.phases.len();
            let at = at
                .unwrap_or(if name == "install" { 0 } else { end })
                .min(end);
            self.phases.insert(at, Phase::new(name, command));
        }
    }

    pub(super) fn finish(self, root: RelPath) -> Result<Plan, DetectError> {
        let Some(web) = self.web else {
            return Err(DetectError::NoStart {
                looked_at: self.no_start,
            });
        };
        let required = if self.needs_database {
            vec![database_required(self.provider)]
        } else {
            Vec::new()
        };
        Ok(Plan {
            provider: self.provider,
            reasons: self.reasons,
            warnings: self.warnings,
            root,
            phases: self.phases,
            build_env: self.build_env,
            release: self.release,
            web,
            processes: self.processes,
            run_env: self.run_env,
            path: self.path,
            health: self.health,
            needs_database: self.needs_database,
            required,
            generated_secrets: self.generated_secrets,
            port_variables: self.port_variables,
            phase_seconds: self.phase_seconds,
        })
    }
}

fn database_required(provider: Provider) -> Required {
    let who = if provider == Provider::Medusa {
        "a Medusa store"
    } else {
        "this app"
    };
    Required {
        name: "DATABASE_URL".to_owned(),
        why: format!(
            "{who} can't start without a PostgreSQL database: ask for one with the environment \
             (`--database`), or set the variable DATABASE_URL"
        ),
    }
}
