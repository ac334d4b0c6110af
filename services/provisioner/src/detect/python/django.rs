//! Django projects: found by `manage.py`.

use crate::detect::draft::Draft;
use crate::detect::plan::Command;
use crate::detect::source::Source;

use super::deps::Dependencies;
use super::entry::{Entry, Kind};
use super::{PYTHON, serve};

/// Plans a Django project; false if this isn't one.
pub(super) fn plan(draft: &mut Draft, source: &Source, dependencies: &Dependencies) -> bool {
    let Some(settings) = source
        .text("manage.py")
        .as_deref()
        .and_then(settings_module)
    else {
        return false;
    };
    let Some(project) = settings.split('.').next().map(str::to_owned) else {
        return false;
    };
    let parent = settings
        .rsplit_once(".settings")
        .map_or(project.as_str(), |(parent, _)| parent)
        .replace('.', "/");
    let Some(file) = [format!("{parent}/wsgi.py"), format!("{project}/wsgi.py")]
        .into_iter()
        .find(|file| source.has(file))
    else {
        return false;
    };
    draft.because(format!(
        "manage.py: found, so this is a Django project with the settings {settings}"
    ));

    let path = settings.replace('.', "/");
    let text = [format!("{path}.py"), format!("{path}/__init__.py")]
        .iter()
        .find_map(|file| source.text(file));
    let text = text.unwrap_or_default();
    if text.lines().any(|line| line.starts_with("STATIC_ROOT")) {
        draft.because("Django's settings have a STATIC_ROOT, so static files are collected");
        draft.phase(
            "static",
            Command::argv([PYTHON, "manage.py", "collectstatic", "--noinput"]),
        );
    }
    for name in ["SECRET_KEY", "DJANGO_SECRET_KEY"] {
        if reads_variable(&text, name) {
            draft.because(format!(
                "Django's settings read {name}, which is made if it isn't set"
            ));
            draft.generated_secrets.push(name.to_owned());
        }
    }
    if text.contains("django.db.backends.sqlite3") && !text.contains("DATABASE_URL") {
        draft.warn("Django's settings keep the data in an SQLite file of the release: each release begins with an empty one");
    }
    draft.because("Django: migrates before each release");
    draft.release = Some(Command::argv([PYTHON, "manage.py", "migrate", "--noinput"]));

    let module = file.trim_end_matches(".py").replace('/', ".");
    let entry = Entry {
        kind: Kind::Wsgi,
        what: format!("`application` is the WSGI application of {module}"),
        module,
        variable: "application".to_owned(),
        factory: false,
        python_path: None,
        file,
    };
    draft.because(format!("{}: {}", entry.file, entry.what));
    serve(draft, &entry, dependencies);
    true
}

/// The module that manage.py names in `DJANGO_SETTINGS_MODULE`.
fn settings_module(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("DJANGO_SETTINGS_MODULE")?;
    let value = rest
        .split(['"', '\''])
        .find(|part| part.contains(|c: char| c.is_ascii_alphabetic()))?;
    let fine = value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    fine.then(|| value.to_owned())
}

/// Whether a line of the settings takes `name` from the environment.
fn reads_variable(text: &str, name: &str) -> bool {
    let quoted = [format!("\"{name}\""), format!("'{name}'")];
    text.lines().any(|line| {
        quoted.iter().any(|quoted| line.contains(quoted.as_str()))
            && ["environ", "getenv", "env(", "config("]
                .iter()
                .any(|from| line.contains(from))
    })
}
