//! What a repository's own `slipway.toml` and Procfile change about a plan.

use slipway_provisioner::detect::{Context, RelPath, Web, detect_by};

use crate::plans::{phases, plan, start};
use crate::tree::Tree;

#[test]
fn the_procfile_goes_before_what_is_found() {
    let plan = plan(&[
        ("package.json", r#"{"scripts":{"start":"node a.js"}}"#),
        ("package-lock.json", "{}"),
        ("Procfile", "# processes\nweb: node b.js --port $PORT\nrelease: node migrate.js && node seed.js\nworker: node w.js\n"),
    ])
    .unwrap();
    assert_eq!(start(&plan), "exec node b.js --port $PORT");
    assert_eq!(
        plan.release.unwrap().to_string(),
        "node migrate.js && node seed.js"
    );
    assert_eq!(plan.processes["worker"].to_string(), "exec node w.js");
    assert!(
        plan.reasons[0].starts_with("Procfile: "),
        "{:?}",
        plan.reasons
    );
    let error = crate::plans::plan(&[("Procfile", "web: x\nnonsense\n")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Procfile, line 2: a line reads `name: command`"
    );
}

#[test]
fn the_settings_go_before_everything() {
    let plan = plan(&[
        ("api/package.json", r#"{"scripts":{"start":"node a.js","build":"tsc"}}"#),
        ("api/package-lock.json", "{}"),
        ("api/Procfile", "web: node b.js\n"),
        (
            "slipway.toml",
            "[build]\nroot = \"api\"\ninstall = [\"npm\", \"ci\"]\ncommand = \"\"\ntimeout = 60\n[build.env]\nA = \"1\"\n\
             [run]\nstart = \"node c.js\"\ndirectory = \"out\"\nhealth = \"/up\"\ndatabase = true\nsecrets = [\"KEY\"]\n\
             port_variables = [\"APP_PORT\"]\n[run.env]\nB = \"2\"\n[run.processes]\nworker = [\"node\", \"w.js\"]\n",
        ),
    ])
    .unwrap();
    assert_eq!(plan.root, RelPath::parse("api").unwrap());
    assert_eq!(phases(&plan), ["install: npm ci"]);
    let Web::Command(web) = &plan.web else {
        panic!("{:?}", plan.web)
    };
    assert_eq!(
        (web.to_string().as_str(), web.cwd.as_str()),
        ("node c.js", "out")
    );
    assert_eq!(
        (plan.health.as_deref(), plan.phase_seconds),
        (Some("/up"), Some(60))
    );
    assert_eq!(plan.port_variables, ["PORT", "APP_PORT"]);
    assert_eq!(
        (plan.build_env["A"].as_str(), plan.run_env["B"].as_str()),
        ("1", "2")
    );
    assert_eq!(plan.processes["worker"].cwd.as_str(), "out");
    assert_eq!(
        (plan.generated_secrets, plan.needs_database),
        (vec!["KEY".to_owned()], true)
    );
    assert!(
        plan.reasons[0].starts_with("slipway.toml: found"),
        "{:?}",
        plan.reasons
    );
}

#[test]
fn the_settings_of_another_tree_go_before_the_trees_own() {
    let deciding = Tree::new(&[
        ("slipway.toml", "[build]\nroot = \"api\"\n"),
        ("api/Procfile", "web: node right.js\n"),
    ]);
    let strange = Tree::new(&[
        (
            "slipway.toml",
            "[run]\nstart = \"wrong\"\nrelease = \"wrong\"\n",
        ),
        ("Procfile", "web: wrong\n"),
        ("api/Procfile", "web: wrong\nrelease: wrong\n"),
        ("api/package.json", r#"{"scripts":{"start":"node a.js"}}"#),
    ]);
    let plan = detect_by(deciding.path(), strange.path(), &Context::default()).unwrap();
    assert_eq!(start(&plan), "exec node right.js");
    assert_eq!(plan.release, None);
    // Where the deciding tree says nothing, what is found holds, and not the other's Procfile.
    let silent = Tree::new(&[("README", "x")]);
    let strange = Tree::new(&[
        ("Procfile", "web: wrong\n"),
        ("package.json", r#"{"scripts":{"start":"node a.js"}}"#),
    ]);
    let plan = detect_by(silent.path(), strange.path(), &Context::default()).unwrap();
    assert!(!start(&plan).contains("wrong"), "{}", start(&plan));
}

#[test]
fn mistakes_in_the_settings_are_told_with_file_line_and_key() {
    for (text, parts) in [
        (
            "[build]\nroot = \".\"\n\n[run]\nstrat = \"x\"\n",
            ["line 5", "`run.strat`", "unknown field"],
        ),
        ("[deploy]\nx = 1\n", ["line 1", "`deploy`", "unknown field"]),
        (
            "[build]\ntimeout = \"long\"\n",
            ["line 2", "`build.timeout`", "invalid type"],
        ),
        ("[run]\nstart = 7\n", ["line 2", "`run.start`", "a command"]),
        (
            "[build]\nroot = \"../other\"\n",
            ["line 2", "`build.root`", "isn't inside"],
        ),
        (
            "[run]\nstart = \"x\"\nhealth = \"up\"\n",
            ["line 3", "`run.health`", "begins with"],
        ),
        (
            "[build]\nprovider = \"perl\"\n",
            ["line 2", "`build.provider`", "unknown variant"],
        ),
        ("[build\n", ["slipway.toml", "line 1", ""]),
    ] {
        let error = plan(&[("slipway.toml", text), ("index.html", "")])
            .unwrap_err()
            .to_string();
        for part in parts {
            assert!(error.contains(part), "{text:?}: {error:?} lacks {part:?}");
        }
    }
}
