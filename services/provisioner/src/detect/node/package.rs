//! `package.json`, as far as it decides something here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::detect::DetectError;
use crate::detect::source::Source;

/// A package's manifest. What has an unexpected type counts as absent: package managers are as lenient.
#[derive(Debug, Default)]
pub(in crate::detect) struct Package {
    pub(in crate::detect) name: Option<String>,
    pub(in crate::detect) version: Option<String>,
    pub(in crate::detect) main: Option<String>,
    pub(in crate::detect) manager: Option<String>,
    pub(in crate::detect) node_range: Option<String>,
    scripts: BTreeMap<String, String>,
    dependencies: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    name: Option<Value>,
    version: Option<Value>,
    main: Option<Value>,
    package_manager: Option<Value>,
    engines: Option<Value>,
    scripts: Option<Value>,
    dependencies: Option<Value>,
    dev_dependencies: Option<Value>,
}

impl Package {
    /// Reads the manifest, if there is one.
    pub(in crate::detect) fn read(source: &Source) -> Result<Option<Self>, DetectError> {
        let Some(text) = source.text("package.json") else {
            return Ok(None);
        };
        let raw: Raw =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
                DetectError::Invalid {
                    file: "package.json".to_owned(),
                    line: error.line().max(1),
                    key: None,
                    message: error.to_string(),
                }
            })?;
        let mut dependencies = texts(raw.dev_dependencies.as_ref());
        dependencies.extend(texts(raw.dependencies.as_ref()));
        Ok(Some(Self {
            name: text_of(raw.name.as_ref()),
            version: text_of(raw.version.as_ref()),
            main: text_of(raw.main.as_ref()),
            manager: text_of(raw.package_manager.as_ref()),
            node_range: raw
                .engines
                .as_ref()
                .and_then(|engines| text_of(engines.get("node"))),
            scripts: texts(raw.scripts.as_ref()),
            dependencies,
        }))
    }

    /// The script of that name, if it isn't empty.
    pub(in crate::detect) fn script(&self, name: &str) -> Option<&str> {
        self.scripts
            .get(name)
            .map(|script| script.trim())
            .filter(|script| !script.is_empty())
    }

    /// The range asked for of a dependency, a development one too.
    pub(in crate::detect) fn dependency(&self, name: &str) -> Option<&str> {
        self.dependencies.get(name).map(String::as_str)
    }
}

fn text_of(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let Some(Value::Object(map)) = value else {
        return BTreeMap::new();
    };
    map.iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}
