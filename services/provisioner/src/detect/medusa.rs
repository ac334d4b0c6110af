//! Medusa 2 stores: built to `.medusa/server`, run there, with PostgreSQL.

use super::draft::Draft;
use super::node::{self, Package};
use super::plan::{Command, Provider, RelPath};
use super::source::Source;
use super::{Context, DetectError};

/// Where `medusa build` puts what runs.
const OUTPUT: &str = ".medusa/server";

/// A Medusa store, if package.json depends on version 2 of it.
pub(super) fn plan(source: &Source, context: &Context) -> Result<Option<Draft>, DetectError> {
    let Some(package) = Package::read(source)? else {
        return Ok(None);
    };
    let Some(range) = package
        .dependency("@medusajs/medusa")
        .filter(|range| is_two(range))
    else {
        return Ok(None);
    };
    let output = RelPath::parse(OUTPUT)?;
    let mut draft = Draft::new(Provider::Medusa);
    draft.because(format!(
        "package.json: depends on @medusajs/medusa {range}, so this is a Medusa 2 store"
    ));
    let manager = node::prepare(&mut draft, source, &package, context);

    // A build script that does more than Medusa's own build is the author's wish.
    let build = match package.script("build") {
        Some(script) if script != "medusa build" => {
            draft.because(format!(
                "package.json: builds with its build script (`{script}`)"
            ));
            manager.script("build")
        }
        _ => {
            draft.because(format!("medusa: builds with `medusa build` to {OUTPUT}"));
            Command::argv(["medusa", "build"])
        }
    };
    draft.phase("build", build);
    // The output has a package.json of its own; what it needs is installed already, one level up.
    draft.phase(
        "link",
        Command::argv([
            "ln",
            "-sfn",
            "../../node_modules",
            &format!("{OUTPUT}/node_modules"),
        ]),
    );

    draft.because("medusa: migrates with `medusa db:migrate` before each release");
    draft.release = Some(Command::argv(["medusa", "db:migrate"]).within(output.clone()));
    draft.because(format!(
        "medusa: starts with `medusa start` in {OUTPUT}, health is asked at /health"
    ));
    draft.start(Command::argv(["medusa", "start"]).within(output));
    draft.health = Some("/health".to_owned());

    draft.because(
        "medusa: needs DATABASE_URL; JWT_SECRET and COOKIE_SECRET are made if they aren't set",
    );
    draft.needs_database = true;
    draft.generated_secrets = vec!["JWT_SECRET".to_owned(), "COOKIE_SECRET".to_owned()];
    // The store's own admin is on its own origin; a storefront elsewhere is the project's variable to set.
    let origin = context
        .public_url
        .clone()
        .unwrap_or_else(|| "http://localhost:8000".to_owned());
    draft.because(format!(
        "medusa: STORE_CORS, ADMIN_CORS and AUTH_CORS are {origin} if they aren't set"
    ));
    for name in ["STORE_CORS", "ADMIN_CORS", "AUTH_CORS"] {
        draft.run_env.insert(name.to_owned(), origin.clone());
    }
    for env in [&mut draft.build_env, &mut draft.run_env] {
        env.insert("MEDUSA_DISABLE_TELEMETRY".to_owned(), "true".to_owned());
    }
    Ok(Some(draft))
}

/// Whether a range asks for version 2, or for what is newest (`latest`, `preview`, `*`).
fn is_two(range: &str) -> bool {
    let bare = range.trim_start_matches(['^', '~', '=', '>', '<', 'v', ' ']);
    match bare.split('.').next().map(str::parse::<u32>) {
        Some(Ok(major)) => major == 2,
        _ => !bare.is_empty(),
    }
}
