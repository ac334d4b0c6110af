//! Node apps: any repository with a `package.json`.

mod engines;
mod manager;
mod package;
mod start;

pub(super) use manager::Manager;
pub(super) use package::Package;

use super::draft::Draft;
use super::plan::{Provider, RelPath};
use super::source::Source;
use super::{Context, DetectError};

/// A Node app, if there is a `package.json`.
pub(super) fn plan(source: &Source, context: &Context) -> Result<Option<Draft>, DetectError> {
    let Some(package) = Package::read(source)? else {
        return Ok(None);
    };
    let mut draft = Draft::new(Provider::Node);
    draft.because("package.json: found, so this is a Node app");
    let manager = prepare(&mut draft, source, &package, context);
    if let Some(script) = package.script("build") {
        draft.because(format!("package.json: has a build script (`{script}`)"));
        draft.phase("build", manager.script("build"));
    }
    start::find(&mut draft, source, &package, &manager);
    for (dependency, health) in [("@strapi/strapi", "/_health")] {
        if package.dependency(dependency).is_some() {
            draft.because(format!(
                "package.json: depends on {dependency}, so health is asked at {health}"
            ));
            draft.health = Some(health.to_owned());
        }
    }
    Ok(Some(draft))
}

/// What every plan with a package.json has: the package manager, its install phase, and the
/// places where commands are found.
pub(super) fn prepare(
    draft: &mut Draft,
    source: &Source,
    package: &Package,
    context: &Context,
) -> Manager {
    let manager = Manager::of(source, package);
    draft.because(manager.why.clone());
    for warning in &manager.warnings {
        draft.warn(warning.clone());
    }
    if let (Some(range), Some(version)) = (&package.node_range, &context.node_version)
        && engines::within(version, range) == Some(false)
    {
        draft.warn(format!("package.json asks for Node {range} (engines); this machine has {version} and tries it with that"));
    }
    draft.phase("install", manager.install());
    draft.path.extend(RelPath::parse("node_modules/.bin"));
    // Git hooks have no place in a build, and there is no .git directory to put them in.
    draft.build_env.insert("HUSKY".to_owned(), "0".to_owned());
    draft
        .run_env
        .insert("NODE_ENV".to_owned(), "production".to_owned());
    manager
}
