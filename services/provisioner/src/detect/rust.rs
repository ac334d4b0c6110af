//! Rust: one binary of a Cargo package.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::DetectError;
use super::draft::Draft;
use super::plan::{Command, Provider};
use super::source::Source;

#[derive(Default, Deserialize)]
struct Manifest {
    package: Option<Package>,
    #[serde(default)]
    bin: Vec<Bin>,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    default_run: Option<String>,
}

#[derive(Deserialize)]
struct Bin {
    name: Option<String>,
}

/// A Rust app, if there is a `Cargo.toml`.
pub(super) fn plan(source: &Source) -> Result<Option<Draft>, DetectError> {
    let Some(text) = source.text("Cargo.toml") else {
        return Ok(None);
    };
    let manifest: Manifest = toml::from_str(&text).map_err(|error| {
        DetectError::at(
            "Cargo.toml",
            &text,
            error.span().map_or(0, |span| span.start),
            None,
            error.message(),
        )
    })?;
    let mut draft = Draft::new(Provider::Rust);
    draft.because("Cargo.toml: found, so this is a Rust app");
    let mut words = vec!["cargo", "build", "--release"];
    if source.has("Cargo.lock") {
        words.push("--locked");
        draft.because("Cargo.lock: found, so its versions are used");
    } else {
        draft.warn("there is no Cargo.lock: two builds of the same commit may differ");
    }
    match binary(source, &manifest) {
        Ok(name) => {
            draft.because(format!("Cargo.toml: the binary is {name}"));
            words.extend(["--bin", &name]);
            draft.phase("build", Command::argv(words));
            // A target directory is a hundred times the size of the binary, and every release is kept for a while.
            let keep = format!(
                "mkdir -p .slipway/bin && cp target/release/{name} .slipway/bin/ && rm -rf target"
            );
            draft.phase("keep", Command::shell(keep));
            draft.start(Command::argv([format!(".slipway/bin/{name}")]));
        }
        Err(why) => {
            draft.phase("build", Command::argv(words));
            draft.no_start = why;
        }
    }
    if manifest.dependencies.contains_key("rocket") {
        draft.because("Cargo.toml: depends on rocket, which takes its port from ROCKET_PORT");
        draft.port_variables.push("ROCKET_PORT".to_owned());
    }
    Ok(Some(draft))
}

fn binary(source: &Source, manifest: &Manifest) -> Result<String, String> {
    let Some(package) = &manifest.package else {
        return Err("Cargo.toml is a workspace without a package of its own (name the member with `[build] root`)".to_owned());
    };
    if let Some(name) = &package.default_run {
        return valid(name);
    }
    let mut names: Vec<String> = manifest
        .bin
        .iter()
        .filter_map(|bin| bin.name.clone())
        .collect();
    if source.has("src/main.rs") && manifest.bin.is_empty() {
        names.push(package.name.clone());
    }
    names.extend(
        source
            .names("src/bin")
            .iter()
            .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned)),
    );
    names.sort();
    names.dedup();
    match names.as_slice() {
        [] => Err("Cargo.toml has no binary".to_owned()),
        [only] => valid(only),
        many if many.contains(&package.name) => valid(&package.name),
        many => Err(format!(
            "Cargo.toml has several binaries ({}) and no `default-run`",
            many.join(", ")
        )),
    }
}

/// The name stands in a shell text, so only what Cargo allows is let through.
fn valid(name: &str) -> Result<String, String> {
    let fine = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if fine {
        Ok(name.to_owned())
    } else {
        Err(format!("`{name}` isn't a binary's name"))
    }
}
