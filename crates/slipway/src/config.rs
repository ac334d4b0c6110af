//! `slipway config`: the settings in effect, secrets redacted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use chassis::settings::{Core, Named, Settings, SettingsError, Sources};
use serde_json::{Map, Value};

use crate::cli::ConfigArgs;
use crate::{output, platform};

/// Every section as JSON, by its name.
pub(crate) type Sections = BTreeMap<&'static str, Value>;

/// Shows the settings; one that can't be is an error.
pub(crate) fn run(arguments: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(Sources::of_process(arguments.config.clone()))?;
    let sections = effective(&settings)?;
    let data_dir = settings.data_dir();
    if arguments.json {
        let mut all: Map<String, Value> = sections
            .into_iter()
            .map(|(name, section)| (name.to_owned(), section))
            .collect();
        all.insert("data_dir".into(), data_dir.to_string_lossy().into());
        output::pretty_json(&all)?;
    } else {
        let mut text = format!(
            "data_dir = {}\n",
            literal(&data_dir.to_string_lossy().into())
        );
        for (name, section) in &sections {
            write_section(&mut text, name, section);
        }
        output::line(text.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All sections that some service reads, checked.
///
/// A service that reads a whole section refuses unknown keys itself. Of one that several read in
/// part none knows all keys; so what nobody shows is refused here.
pub(crate) fn effective(settings: &Settings) -> Result<Sections, SettingsError> {
    let mut sections: BTreeMap<&'static str, Map<String, Value>> = BTreeMap::new();
    let mut shown = Core::show(settings)?;
    for service in platform::services() {
        shown.extend(service.show_settings(settings)?);
    }
    for (name, section) in shown {
        let keys = sections.entry(name).or_default();
        if let Value::Object(section) = section {
            keys.extend(section);
        }
    }
    for (name, known) in &sections {
        let given = settings.section::<Named<Value>>(name)?;
        if let Some(unknown) = given.0.keys().find(|key| !known.contains_key(*key)) {
            let known = known
                .keys()
                .map(|key| format!("`{key}`"))
                .collect::<Vec<_>>()
                .join(", ");
            let why = format!("unknown key `{unknown}` (known: {known})");
            return Err(SettingsError::Invalid {
                section: (*name).to_owned(),
                why,
            });
        }
    }
    Ok(sections
        .into_iter()
        .map(|(name, keys)| (name, Value::Object(keys)))
        .collect())
}

/// A section as TOML, tables after plain values; what isn't set stands there as a comment.
fn write_section(text: &mut String, name: &str, section: &Value) {
    let Value::Object(keys) = section else { return };
    let (tables, values): (Vec<_>, Vec<_>) = keys.iter().partition(|(_, value)| value.is_object());
    if !values.is_empty() {
        // Writing to a string doesn't fail, here and below.
        let _infallible = writeln!(text, "\n[{name}]");
    }
    for (key, value) in values {
        let _infallible = match value {
            Value::Null => writeln!(text, "# {key} is not set"),
            value => writeln!(text, "{key} = {}", literal(value)),
        };
    }
    for (key, table) in tables {
        write_section(text, &format!("{name}.{key}"), table);
    }
}

/// A value as TOML writes it.
fn literal(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_shown_as_toml_with_what_is_not_set() {
        let section = serde_json::json!({
            "url": null, "pool": 5, "names": ["a", "b"], "format": "hu\"man", "password": { "policy": "standard" },
        });
        let mut text = String::new();
        write_section(&mut text, "auth", &section);
        let expected = "\n[auth]\nformat = 'hu\"man'\nnames = [\"a\", \"b\"]\n\
             pool = 5\n# url is not set\n\n[auth.password]\npolicy = \"standard\"\n";
        assert_eq!(text, expected);
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read["auth"]["format"].as_str(), Some("hu\"man"));
    }

    fn load(key: &str, value: &str) -> Result<Sections, SettingsError> {
        let overrides = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        effective(&Settings::load(Sources {
            overrides,
            ..Sources::default()
        })?)
    }

    #[test]
    fn an_unknown_key_is_an_error_in_every_section_that_is_shown() {
        let sections = load("gateway.public_url", "http://localhost:9000").unwrap();
        for name in sections.keys().filter(|name| **name != "services") {
            let error = load(&format!("{name}.no_such_key"), "1")
                .err()
                .map(|error| error.to_string());
            assert!(
                error
                    .as_ref()
                    .is_some_and(|error| error.contains("no_such_key")),
                "[{name}]: {error:?}"
            );
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let sections = load("database.url", "postgres://u:hunter2@host/db").unwrap();
        assert!(
            !serde_json::to_string(&sections)
                .unwrap()
                .contains("hunter2")
        );
    }
}
