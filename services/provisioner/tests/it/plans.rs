//! What is found in repositories of each kind.

use slipway_provisioner::detect::{Context, DetectError, Plan, Provider, Web, detect};

use crate::tree::{Tree, bundle};

pub fn plan(files: &[(&str, &str)]) -> Result<Plan, DetectError> {
    detect(
        Tree::new(files).path(),
        &Context {
            node_version: Some("20.20.2".to_owned()),
            public_url: None,
        },
    )
}

pub fn start(plan: &Plan) -> String {
    match &plan.web {
        Web::Command(command) => command.to_string(),
        Web::Static { dir, single_page } => format!("static {dir} {single_page}"),
    }
}

pub fn phases(plan: &Plan) -> Vec<String> {
    plan.phases
        .iter()
        .map(|phase| format!("{}: {}", phase.name, phase.command))
        .collect()
}

#[test]
fn the_lock_file_decides_the_package_manager() {
    let package = r#"{"scripts":{"start":"node server.js"}}"#;
    let modern = "__metadata:\n  version: 8\n";
    for (lock, text, install) in [
        (
            "package-lock.json",
            "{}",
            "npm ci --include=dev --no-audit --no-fund",
        ),
        (
            "npm-shrinkwrap.json",
            "{}",
            "npm ci --include=dev --no-audit --no-fund",
        ),
        (
            "pnpm-lock.yaml",
            "lockfileVersion: '9.0'\n",
            "npx --yes pnpm@9 install --frozen-lockfile --prod=false",
        ),
        (
            "pnpm-lock.yaml",
            "lockfileVersion: '6.0'\n",
            "npx --yes pnpm@8 install --frozen-lockfile --prod=false",
        ),
        (
            "yarn.lock",
            modern,
            "npx --yes --package=@yarnpkg/cli-dist@4 yarn install --immutable",
        ),
        (
            "yarn.lock",
            "# yarn lockfile v1\n",
            "npx --yes --package=yarn@1.22.22 yarn install --frozen-lockfile --non-interactive --production=false --ignore-engines",
        ),
        (
            "README.md",
            "",
            "npm install --include=dev --no-audit --no-fund",
        ),
    ] {
        let plan = plan(&[("package.json", package), (lock, text)]).unwrap();
        assert_eq!(phases(&plan), [format!("install: {install}")], "{lock}");
        assert_eq!(start(&plan), "exec node server.js");
    }
}

#[test]
fn the_package_manager_that_the_repository_names_or_carries_is_taken() {
    let named = |name: &str| format!(r#"{{"packageManager":"{name}","main":"server.js"}}"#);
    let server = ("server.js", "");
    let pnpm = plan(&[
        ("package.json", &named("pnpm@9.1.2+sha512.abc")),
        ("pnpm-lock.yaml", ""),
        ("package-lock.json", ""),
        server,
    ]);
    let pnpm = pnpm.unwrap();
    assert!(
        phases(&pnpm)[0].contains("pnpm@9.1.2 install"),
        "{:?}",
        pnpm.phases
    );
    assert!(
        pnpm.warnings
            .iter()
            .any(|warning| warning.contains("several lock files")),
        "{:?}",
        pnpm.warnings
    );
    let yarn = plan(&[
        ("package.json", &named("yarn@4.9.0")),
        ("yarn.lock", "__metadata:\n"),
        (
            ".yarnrc.yml",
            "nodeLinker: node-modules\n\nyarnPath: .yarn/releases/yarn-4.12.0.cjs\n",
        ),
        (".yarn/releases/yarn-4.12.0.cjs", ""),
        server,
    ]);
    assert_eq!(
        phases(&yarn.unwrap()),
        ["install: node .yarn/releases/yarn-4.12.0.cjs install --immutable"]
    );
    // A name that could be an option or a path to npx isn't used.
    let odd = plan(&[
        ("package.json", &named("pnpm@../../x")),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'"),
        server,
    ]);
    assert!(phases(&odd.unwrap())[0].contains("pnpm@9 "));
}

#[test]
fn a_node_app_is_started_by_script_main_or_server_file() {
    for (package, files, expected) in [
        (
            r#"{"scripts":{"start":"node dist/app.js"}}"#,
            &[][..],
            "exec node dist/app.js",
        ),
        (
            r#"{"scripts":{"start":"NODE_ENV=production node ."}}"#,
            &[],
            "exec env NODE_ENV=production node .",
        ),
        (
            r#"{"scripts":{"start":"node migrate && node ."}}"#,
            &[],
            "npm run start",
        ),
        (
            r#"{"scripts":{"start":"node .","prestart":"node prepare"}}"#,
            &[],
            "npm run start",
        ),
        (
            r#"{"main":"lib/main.js"}"#,
            &["lib/main.js"],
            "node lib/main.js",
        ),
        (r#"{"main":"missing.js"}"#, &["server.js"], "node server.js"),
        (
            r#"{"main":"dist/index.js","scripts":{"build":"tsc"}}"#,
            &[],
            "node dist/index.js",
        ),
        (
            r#"{"main":"../../evil.js"}"#,
            &["index.js"],
            "node index.js",
        ),
        (
            r#"{"scripts":{"build":"next build"},"dependencies":{"next":"15"}}"#,
            &[],
            "next start",
        ),
        (
            r#"{"scripts":{"build":"vite build","start":"vite"},"devDependencies":{"vite":"5"}}"#,
            &[],
            "static dist true",
        ),
        (
            r#"{"scripts":{"build":"x","start":"react-scripts start"},"dependencies":{"react-scripts":"5"}}"#,
            &[],
            "static build true",
        ),
    ] {
        let mut tree = vec![("package.json", package), ("package-lock.json", "{}")];
        tree.extend(files.iter().map(|file| (*file, "")));
        let plan = plan(&tree).unwrap_or_else(|error| panic!("{package}: {error}"));
        assert_eq!(start(&plan), expected, "{package}");
        assert_eq!(plan.provider, Provider::Node);
        assert!(
            plan.reasons[0].starts_with("package.json: found"),
            "{:?}",
            plan.reasons
        );
    }
}

#[test]
fn another_version_of_node_than_asked_for_is_a_warning() {
    let package = r#"{"main":"server.js","engines":{"node":"22.x"}}"#;
    let plan = plan(&[
        ("package.json", package),
        ("server.js", ""),
        ("package-lock.json", "{}"),
    ])
    .unwrap();
    assert_eq!(plan.warnings.len(), 1);
    assert!(
        plan.warnings[0].contains("22.x") && plan.warnings[0].contains("20.20.2"),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn a_medusa_store_is_built_and_run_in_its_output() {
    let package = r#"{"scripts":{"build":"medusa build","start":"medusa start"},"dependencies":{"@medusajs/medusa":"2.15.3"}}"#;
    let plan = plan(&[("package.json", package), ("package-lock.json", "{}")]).unwrap();
    assert_eq!(plan.provider, Provider::Medusa);
    assert_eq!(
        phases(&plan)[1..],
        [
            "build: medusa build",
            "link: ln -sfn ../../node_modules .medusa/server/node_modules"
        ]
    );
    let Web::Command(web) = &plan.web else {
        panic!("{:?}", plan.web)
    };
    assert_eq!(
        (web.to_string().as_str(), web.cwd.as_str()),
        ("medusa start", ".medusa/server")
    );
    assert_eq!(
        plan.release.as_ref().unwrap().to_string(),
        "medusa db:migrate"
    );
    assert_eq!(plan.generated_secrets, ["JWT_SECRET", "COOKIE_SECRET"]);
    assert_eq!(plan.health.as_deref(), Some("/health"));
    assert!(
        ["STORE_CORS", "ADMIN_CORS", "AUTH_CORS"]
            .iter()
            .all(|name| plan.run_env.contains_key(*name))
    );
    assert!(plan.needs_database);
    let missing = plan.missing(|name| name != "DATABASE_URL");
    assert!(missing[0].why.contains("--database"), "{missing:?}");
    assert!(plan.missing(|_| true).is_empty());
}

#[test]
fn static_files_and_rust_are_recognised() {
    for (file, dir) in [
        ("index.html", "."),
        ("public/index.html", "public"),
        ("dist/index.html", "dist"),
    ] {
        assert_eq!(
            start(&plan(&[(file, "")]).unwrap()),
            format!("static {dir} false")
        );
    }
    let cargo = plan(&[
        (
            "Cargo.toml",
            "[package]\nname = \"shop\"\nversion = \"0.1.0\"\n[dependencies]\nrocket = \"0.5\"\n",
        ),
        ("Cargo.lock", ""),
        ("src/main.rs", "fn main() {}"),
    ]);
    let cargo = cargo.unwrap();
    assert_eq!(
        phases(&cargo)[0],
        "build: cargo build --release --locked --bin shop"
    );
    assert_eq!(
        (start(&cargo).as_str(), cargo.port_variables[1].as_str()),
        (".slipway/bin/shop", "ROCKET_PORT")
    );
}

#[test]
fn what_cannot_be_run_is_said_plainly() {
    for (files, part) in [
        (&[][..], "nothing here tells how to run it"),
        (&[("Dockerfile", "FROM x")][..], "Dockerfile"),
        (&[("package.json", "{}")][..], "no start script"),
        (
            &[("package.json", "{\n \"name\": }")][..],
            "package.json, line 2",
        ),
        (
            &[("requirements.txt", "requests")][..],
            "no Flask, FastAPI, Django",
        ),
        (
            &[("slipway.toml", "[build]\nprovider = \"rust\"\n")][..],
            "needs a Cargo.toml",
        ),
        (
            &[("slipway.toml", "[build]\nroot = \"missing\"\n")][..],
            "no directory `missing`",
        ),
    ] {
        let error = plan(files).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_package_json_without_a_start_gives_way_to_python() {
    let plan = plan(&[
        ("package.json", r#"{"scripts":{"build":"tailwind"}}"#),
        ("requirements.txt", "flask\ngunicorn\n"),
        ("app.py", "from flask import Flask\napp = Flask(__name__)\n"),
    ])
    .unwrap();
    assert_eq!(plan.provider, Provider::Python);
    assert!(
        plan.reasons[0].contains("so the next kind is tried"),
        "{:?}",
        plan.reasons
    );
}

#[test]
fn a_link_out_of_the_tree_is_never_read() {
    let outside = Tree::new(&[("package.json", r#"{"scripts":{"start":"x"}}"#)]);
    let tree = Tree::new(&[]);
    tree.link(
        "package.json",
        outside.path().join("package.json").to_str().unwrap(),
    );
    assert!(matches!(
        detect(tree.path(), &Context::default()),
        Err(DetectError::Unknown { .. })
    ));
}

#[test]
fn the_bundled_repositories_need_no_settings() {
    let context = Context {
        node_version: Some("20.20.2".to_owned()),
        public_url: Some("http://x.localhost".to_owned()),
    };
    for (name, provider, install, command) in [
        ("fastify", Provider::Node, "npm ci", "exec node dist/app.js"),
        (
            "flask-hello-world",
            Provider::Python,
            "python3 -m venv",
            "-m gunicorn",
        ),
        (
            "medusa-starter-default",
            Provider::Medusa,
            "node .yarn/releases/yarn-4.12.0.cjs install --immutable",
            "medusa start",
        ),
    ] {
        let Some(tree) = bundle(name) else { return };
        let plan = detect(tree.path(), &context).unwrap();
        assert_eq!(plan.provider, provider, "{name}");
        assert!(
            phases(&plan)[0].contains(install),
            "{name}: {:?}",
            phases(&plan)
        );
        assert!(start(&plan).contains(command), "{name}: {}", start(&plan));
    }
}
