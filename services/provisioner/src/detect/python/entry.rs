//! Finding the WSGI or ASGI application by reading the Python files.

use crate::detect::source::Source;

use super::deps::Dependencies;

/// How far down Python files are read.
const DEPTH: usize = 3;
/// Directories that hold no application to start.
const SKIP: [&str; 11] = [
    "tests",
    "test",
    "docs",
    "doc",
    "migrations",
    "node_modules",
    "venv",
    "env",
    "site-packages",
    "examples",
    "scripts",
];
/// File stems, the likeliest place first.
const STEMS: [&str; 8] = [
    "wsgi",
    "asgi",
    "app",
    "main",
    "server",
    "application",
    "api",
    "run",
];
/// Constructors of applications: the name as called, and what it makes.
const MAKERS: [(&str, Kind, &str); 11] = [
    ("Flask", Kind::Wsgi, "Flask"),
    ("APIFlask", Kind::Wsgi, "APIFlask"),
    ("Bottle", Kind::Wsgi, "Bottle"),
    ("falcon.App", Kind::Wsgi, "Falcon"),
    ("get_wsgi_application", Kind::Wsgi, "Django"),
    ("get_asgi_application", Kind::Asgi, "Django"),
    ("falcon.asgi.App", Kind::Asgi, "Falcon"),
    ("FastAPI", Kind::Asgi, "FastAPI"),
    ("Starlette", Kind::Asgi, "Starlette"),
    ("Quart", Kind::Asgi, "Quart"),
    ("Litestar", Kind::Asgi, "Litestar"),
];
/// Functions that make an application, by convention.
const FACTORIES: [&str; 4] = ["create_app", "make_app", "build_app", "get_app"];

/// Which protocol an application speaks with its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Synchronous.
    Wsgi,
    /// Asynchronous.
    Asgi,
}

/// An application and where it is.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) module: String,
    pub(super) variable: String,
    /// Whether `variable` is a function that makes the application.
    pub(super) factory: bool,
    /// A directory that must be on Python's path.
    pub(super) python_path: Option<&'static str>,
    pub(super) file: String,
    /// What was found, for the log.
    pub(super) what: String,
}

/// The likeliest application of the tree.
pub(super) fn find(source: &Source, dependencies: &Dependencies) -> Option<Entry> {
    let files = source.walk("py", DEPTH, &SKIP);
    let mut found: Vec<(Rank, Entry)> = Vec::new();
    for file in files {
        let Some((module, python_path)) = module_of(source, &file) else {
            continue;
        };
        let Some(text) = source.text(&file) else {
            continue;
        };
        for (variable, kind, factory, what) in applications(&text, dependencies) {
            let rank = rank(&file, &variable, factory);
            let (module, file) = (module.clone(), file.clone());
            found.push((
                rank,
                Entry {
                    kind,
                    module,
                    variable,
                    factory,
                    python_path,
                    file,
                    what,
                },
            ));
        }
    }
    // The sort is stable and files come shallow first, in order of their names.
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().next().map(|(_, entry)| entry)
}

/// Whether a ready application, then which variable, then which file, then how deep.
type Rank = (bool, usize, usize, usize);

fn rank(file: &str, variable: &str, factory: bool) -> Rank {
    let stem = file
        .rsplit('/')
        .next()
        .unwrap_or(file)
        .trim_end_matches(".py");
    let place = STEMS
        .iter()
        .position(|known| *known == stem)
        .unwrap_or(STEMS.len());
    let name = ["app", "application"]
        .iter()
        .position(|known| *known == variable)
        .unwrap_or(2);
    (factory, name, place, file.matches('/').count())
}

/// The applications a file defines at its top level: variable, kind, whether it is a factory, what it is.
fn applications(text: &str, dependencies: &Dependencies) -> Vec<(String, Kind, bool, String)> {
    let by_dependency = || {
        let asgi = ["fastapi", "starlette", "quart", "litestar"]
            .iter()
            .any(|name| dependencies.has(name));
        if asgi && !dependencies.has("flask") {
            Kind::Asgi
        } else {
            Kind::Wsgi
        }
    };
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(name) = factory_of(line, lines.peek().copied()) {
            found.push((
                name.to_owned(),
                by_dependency(),
                true,
                format!("`{name}` makes the application"),
            ));
        }
        let Some((variable, callee)) = assignment(line) else {
            continue;
        };
        let maker = MAKERS.iter().find(|(name, _, _)| {
            callee == *name || (!name.contains('.') && callee.rsplit('.').next() == Some(*name))
        });
        if let Some((_, kind, framework)) = maker {
            found.push((
                variable.to_owned(),
                *kind,
                false,
                format!("`{variable}` is a {framework} application"),
            ));
        } else if FACTORIES.contains(&callee.rsplit('.').next().unwrap_or(callee)) {
            found.push((
                variable.to_owned(),
                by_dependency(),
                false,
                format!("`{variable}` is made by `{callee}`"),
            ));
        }
    }
    found
}

/// `app: Flask = flask.Flask(…` at the beginning of a line, as variable and what is called.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (left, right) = line.split_once('=')?;
    let variable = left.split(':').next()?.trim_end();
    let callee = right.trim_start().split_once('(')?.0;
    let name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let fine = !variable.is_empty()
        && name(variable)
        && callee.split('.').all(|part| !part.is_empty() && name(part));
    fine.then_some((variable, callee))
}

/// The factory a line defines, if it can be called without arguments.
fn factory_of<'a>(line: &'a str, next: Option<&str>) -> Option<&'a str> {
    let (name, rest) = line.strip_prefix("def ")?.split_once('(')?;
    let parameters = match rest.split_once(')') {
        Some((parameters, _)) => parameters,
        // Parameters on lines of their own: the first one decides.
        None => next.unwrap_or_default().trim().trim_end_matches(','),
    };
    let free = parameters.split(',').map(str::trim).all(|parameter| {
        parameter.is_empty() || parameter.contains('=') || parameter.starts_with('*')
    });
    (FACTORIES.contains(&name) && free).then_some(name)
}

/// The module's name for a file, and the directory to put on Python's path for it; `None` for names
/// that can't be imported.
fn module_of(source: &Source, file: &str) -> Option<(String, Option<&'static str>)> {
    let (inner, python_path) = match file.strip_prefix("src/") {
        Some(inner) if !source.has("src/__init__.py") => (inner, Some("src")),
        _ => (file, None),
    };
    let stem = inner.strip_suffix(".py")?;
    let path = stem
        .strip_suffix("/__init__")
        .unwrap_or(stem)
        .replace('/', ".");
    let importable = path.split('.').all(|part| {
        !part.is_empty()
            && !part.starts_with(|c: char| c.is_ascii_digit())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    });
    importable.then_some((path, python_path))
}
