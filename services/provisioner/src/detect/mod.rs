//! Finding out how a repository is built and run, from its files alone.
//!
//! [`detect`] reads and never runs anything. It looks at `slipway.toml`, the `Procfile`,
//! `package.json` (with a preset for Medusa stores), `requirements.txt` and `pyproject.toml`,
//! `Cargo.toml` and static files, in this order, and notes what it found and why.
//!
//! The rules are our own and not those of the `nixpacks` crate: that one plans for Nix (paths
//! like `/opt/venv`, packages of a distribution), knows neither a Medusa store's layout nor a start
//! command for Flask, and brings a second web framework, a second TOML parser and some ninety crates.

mod draft;
mod error;
mod medusa;
mod node;
mod plan;
mod procfile;
mod python;
mod rust;
mod settings;
mod site;
mod source;

pub use error::DetectError;
pub use plan::{Command, Phase, Plan, Provider, RelPath, Required, Run, Web};

use std::path::Path;

use draft::Draft;
use procfile::Procfile;
use settings::Settings;
use source::Source;

/// What a plan depends on besides the repository.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The version of Node on this machine, such as `20.20.2`.
    pub node_version: Option<String>,
    /// The address at which the app will be reached, without a final slash; presets that
    /// need an origin for CORS use it.
    pub public_url: Option<String>,
}

/// Decides how the tree at `checkout` is built and run.
pub fn detect(checkout: &Path, context: &Context) -> Result<Plan, DetectError> {
    plan(checkout, checkout, context)
}

/// The same, where `slipway.toml` and `Procfile` are those of another tree: of a stranger's commit, say,
/// whose own aren't looked at.
pub fn detect_by(settings: &Path, checkout: &Path, context: &Context) -> Result<Plan, DetectError> {
    let mut plan = plan(settings, checkout, context)?;
    let reason = "slipway.toml and Procfile: those of the branch that the pull request is to";
    plan.reasons.insert(0, reason.to_owned());
    Ok(plan)
}

fn plan(settings_tree: &Path, checkout: &Path, context: &Context) -> Result<Plan, DetectError> {
    let settings = Settings::read(&Source::open(settings_tree, &RelPath::here())?)?;
    let root = settings
        .as_ref()
        .and_then(|settings| settings.build.root.clone())
        .unwrap_or_else(RelPath::here);
    let source = Source::open(checkout, &root)?;
    // Where the tree that decides doesn't have the app's directory yet, there is no Procfile.
    let procfile = match Source::open(settings_tree, &root) {
        Ok(deciding) => Procfile::read(&deciding)?,
        Err(_missing) => None,
    };

    let has_start = settings.as_ref().is_some_and(Settings::has_start)
        || procfile.as_ref().is_some_and(Procfile::has_web);
    let forced = settings
        .as_ref()
        .and_then(|settings| settings.build.provider);
    let mut draft = find(&source, context, forced, has_start)?;

    let mut reasons = Vec::new();
    if let Some(procfile) = procfile {
        procfile.apply(&mut draft, &mut reasons);
    }
    if let Some(settings) = settings {
        let mut first = Vec::new();
        settings.apply(&mut draft, &mut first);
        reasons.splice(0..0, first);
    }
    draft.reasons.splice(0..0, reasons);
    draft.finish(root)
}

/// Asks each provider in turn. One that knows how to start the app wins at once; where the start
/// command comes from elsewhere, the first that recognises the tree does.
fn find(
    source: &Source,
    context: &Context,
    forced: Option<Provider>,
    has_start: bool,
) -> Result<Draft, DetectError> {
    let order = match forced {
        Some(provider) => vec![provider],
        None => vec![
            Provider::Medusa,
            Provider::Node,
            Provider::Python,
            Provider::Rust,
            Provider::Static,
        ],
    };
    let mut first: Option<Draft> = None;
    for provider in order {
        let Some(mut draft) = ask(provider, source, context)? else {
            continue;
        };
        if draft.web.is_some() || has_start {
            if let Some(first) = first {
                draft.reasons.splice(
                    0..0,
                    [format!("{}; so the next kind is tried", first.no_start)],
                );
            }
            return Ok(draft);
        }
        first.get_or_insert(draft);
    }
    match (first, forced) {
        (Some(draft), _) => Ok(draft),
        (None, Some(provider)) if provider != Provider::Commands => Err(DetectError::NotThatKind {
            provider,
            needs: needs(provider),
        }),
        (None, _) if has_start => Ok(Draft::new(Provider::Commands)),
        (None, _) => Err(unknown(source)),
    }
}

fn ask(
    provider: Provider,
    source: &Source,
    context: &Context,
) -> Result<Option<Draft>, DetectError> {
    match provider {
        Provider::Medusa => medusa::plan(source, context),
        Provider::Node => node::plan(source, context),
        Provider::Python => python::plan(source),
        Provider::Rust => rust::plan(source),
        Provider::Static => Ok(site::plan(source)),
        Provider::Commands => Ok(None),
    }
}

const fn needs(provider: Provider) -> &'static str {
    match provider {
        Provider::Medusa => "a package.json that depends on @medusajs/medusa 2",
        Provider::Node => "a package.json",
        Provider::Python => "a requirements.txt or pyproject.toml",
        Provider::Rust => "a Cargo.toml",
        Provider::Static => "an index.html, at the top or in public/ or dist/",
        Provider::Commands => "a start command",
    }
}

/// Nothing fits: says so by what there is.
fn unknown(source: &Source) -> DetectError {
    for (file, what) in [
        (
            "Dockerfile",
            "a Dockerfile, and apps run here as processes without images",
        ),
        ("go.mod", "a Go module, for which there is no rule"),
        ("Gemfile", "a Ruby app, for which there is no rule"),
        ("composer.json", "a PHP app, for which there is no rule"),
        ("pom.xml", "a Java app, for which there is no rule"),
    ] {
        if source.has(file) {
            return DetectError::Unsupported {
                file: file.to_owned(),
                what: what.to_owned(),
            };
        }
    }
    DetectError::Unknown {
        names: source
            .names(".")
            .into_iter()
            .take(12)
            .collect::<Vec<_>>()
            .join(", "),
    }
}
