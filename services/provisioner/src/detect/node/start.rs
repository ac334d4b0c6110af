//! How a Node app is started, or that it is a site to be served.

use crate::detect::draft::Draft;
use crate::detect::plan::{Command, RelPath, Web};
use crate::detect::procfile::{exec, is_single};
use crate::detect::source::Source;

use super::manager::Manager;
use super::package::Package;

/// Frameworks whose build is a directory of files, with that directory.
const SITES: [(&str, &str); 7] = [
    ("react-scripts", "build"),
    ("@vue/cli-service", "dist"),
    ("gatsby", "public"),
    ("@docusaurus/core", "build"),
    ("astro", "dist"),
    ("parcel", "dist"),
    ("vite", "dist"),
];
/// Start scripts that are development servers: slow, and meant for one person.
const DEVELOPMENT: [&str; 9] = [
    "react-scripts start",
    "vue-cli-service serve",
    "gatsby develop",
    "docusaurus start",
    "astro dev",
    "vite dev",
    "vite --",
    "parcel ",
    "ng serve",
];
/// Files that are started when package.json says nothing.
const FILES: [&str; 4] = ["server.js", "index.js", "app.js", "main.js"];

/// Fills in what answers HTTP, or says what was looked for.
pub(super) fn find(draft: &mut Draft, source: &Source, package: &Package, manager: &Manager) {
    let start = package.script("start");
    let development = start.is_some_and(|script| {
        script == "vite"
            || script == "parcel"
            || DEVELOPMENT.iter().any(|server| script.contains(server))
    });
    if let Some(script) = start.filter(|_| !development) {
        draft.because(format!(
            "package.json: starts with its start script (`{script}`)"
        ));
        let command = script_command(package, script, manager);
        return draft.start(command);
    }
    if let Some((framework, dir)) = site(package) {
        if development {
            draft.because("package.json: the start script is a development server, so what is built is served instead");
        }
        draft.because(format!(
            "package.json: depends on {framework}, so the files it builds in {dir}/ are served"
        ));
        draft.web = RelPath::parse(dir).ok().map(|dir| Web::Static {
            dir,
            single_page: true,
        });
        return;
    }
    if package.dependency("next").is_some() && package.script("build").is_some() {
        draft.because("package.json: depends on next, so it starts with `next start`");
        return draft.start(Command::argv(["next", "start"]));
    }
    let built = package.script("build").is_some();
    let main = package
        .main
        .as_deref()
        .filter(|main| is_script(main) && (built || source.has(main)));
    if let Some(file) =
        main.filter(|main| source.has(main) || !FILES.iter().any(|file| source.has(file)))
    {
        draft.because(format!(
            "package.json: no start script, so its main file is started ({file})"
        ));
        return draft.start(Command::argv(["node", file]));
    }
    if let Some(file) = FILES.into_iter().find(|file| source.has(file)) {
        draft.because(format!(
            "{file}: found, and package.json has no start script"
        ));
        return draft.start(Command::argv(["node", file]));
    }
    draft.no_start.push_str("package.json has no start script and no main file, and there is no server.js, index.js or app.js");
}

/// The framework whose build is only files, if the package builds with one.
fn site(package: &Package) -> Option<(&'static str, &'static str)> {
    package.script("build")?;
    // What renders on a server has a start command of its own, and often vite below.
    let server = [
        "next",
        "nuxt",
        "express",
        "fastify",
        "@nestjs/core",
        "@remix-run/node",
        "@sveltejs/kit",
        "koa",
        "hono",
    ];
    if server.iter().any(|name| package.dependency(name).is_some()) {
        return None;
    }
    SITES
        .into_iter()
        .find(|(name, _)| package.dependency(name).is_some())
}

/// A start script, run without its package manager where nothing is lost by it: npm in between
/// costs some 60 MB for every app and doesn't hand signals on.
fn script_command(package: &Package, script: &str, manager: &Manager) -> Command {
    let hooks = package.script("prestart").is_some() || package.script("poststart").is_some();
    let first = script.split_whitespace().next().unwrap_or_default();
    if hooks
        || !is_single(script)
        || ["npm", "npx", "yarn", "pnpm", "pnpx", "run-s", "run-p"].contains(&first)
    {
        return manager.script("start");
    }
    let mut command = Command::shell(exec(script)).with("npm_lifecycle_event", "start");
    for (name, value) in [
        ("npm_package_name", &package.name),
        ("npm_package_version", &package.version),
    ] {
        if let Some(value) = value {
            command = command.with(name, value);
        }
    }
    command
}

/// A main entry that `node` can start: JavaScript, inside the tree.
fn is_script(main: &str) -> bool {
    RelPath::parse(main).is_ok()
        && !main.starts_with('-')
        && std::path::Path::new(main)
            .extension()
            .is_some_and(|ext| ["js", "cjs", "mjs"].iter().any(|known| ext == *known))
}
