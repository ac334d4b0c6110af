//! What is found in Python repositories.

use crate::plans::{phases, plan, start};

#[test]
fn the_application_is_found_wherever_it_usually_is() {
    let flask = "import flask\n\napp = flask.Flask(__name__)\n";
    for (requirements, files, target, server) in [
        (
            "Flask\nGunicorn\n",
            &[("app.py", flask)][..],
            "'app:app'",
            "gunicorn",
        ),
        (
            "flask",
            &[("shop/__init__.py", "def create_app(config=None):\n  pass\n")],
            "'shop:create_app()'",
            "gunicorn",
        ),
        (
            "flask",
            &[
                ("shop/__init__.py", "def create_app():\n  pass\n"),
                (
                    "wsgi.py",
                    "from shop import create_app\napp = create_app()\n",
                ),
            ],
            "'wsgi:app'",
            "gunicorn",
        ),
        (
            "fastapi\nuvicorn[standard]>=0.2",
            &[("app/main.py", "api: FastAPI = FastAPI(title='x')\n")],
            "'app.main:api'",
            "uvicorn",
        ),
        (
            "fastapi",
            &[("main.py", "def create_app():\n  return 1\n")],
            "--factory 'main:create_app'",
            "uvicorn",
        ),
        (
            "falcon",
            &[("src/things/app.py", "import falcon\napp = falcon.App()\n")],
            "'things.app:app'",
            "gunicorn",
        ),
        (
            "flask",
            &[("tests/app.py", flask), ("web.py", "server = Flask('x')\n")],
            "'web:server'",
            "gunicorn",
        ),
    ] {
        let mut tree = vec![("requirements.txt", requirements)];
        tree.extend_from_slice(files);
        let plan = plan(&tree).unwrap_or_else(|error| panic!("{files:?}: {error}"));
        let command = start(&plan);
        assert!(
            command.contains(target) && command.contains(&format!("-m {server} ")),
            "{command}"
        );
        let asked = requirements.to_lowercase().contains(server);
        let installed = phases(&plan)
            .iter()
            .any(|phase| phase.starts_with("server: ") && phase.ends_with(server));
        assert_eq!(installed, !asked, "{requirements:?}");
        assert_eq!(
            plan.run_env.get("PYTHONPATH").map(String::as_str),
            target.contains("things").then_some("src")
        );
    }
}

#[test]
fn dependencies_are_installed_by_what_the_project_uses() {
    let app = ("app.py", "app = Flask(__name__)\n");
    for (files, step) in [
        (
            &[
                ("requirements.txt", "-r base.txt\n"),
                ("base.txt", "flask\ngunicorn"),
            ][..],
            "pip install --no-input --disable-pip-version-check -r requirements.txt",
        ),
        (
            &[(
                "pyproject.toml",
                "[project]\nname='x'\nversion='1'\ndependencies=['flask>=2','gunicorn']\n",
            )],
            "version-check flask>=2 gunicorn",
        ),
        (
            &[(
                "pyproject.toml",
                "[project]\nname='x'\ndependencies=['flask']\n[build-system]\nrequires=[]\n",
            )],
            "version-check .",
        ),
        (
            &[
                (
                    "pyproject.toml",
                    "[project]\nname='x'\ndependencies=['flask']\n",
                ),
                ("uv.lock", ""),
            ],
            "uv sync --frozen",
        ),
        (
            &[(
                "pyproject.toml",
                "[tool.poetry]\nname='x'\n[tool.poetry.dependencies]\nflask='^3'\n",
            )],
            "poetry install --only main",
        ),
    ] {
        let mut tree = files.to_vec();
        tree.push(app);
        let plan = plan(&tree).unwrap();
        let phases = phases(&plan);
        assert!(
            phases.iter().any(|phase| phase.contains(step)),
            "{files:?}: {phases:?}"
        );
        assert!(
            plan.reasons
                .iter()
                .any(|reason| reason.contains("`app` is a Flask application")),
            "{:?}",
            plan.reasons
        );
    }
}

#[test]
fn a_django_project_is_collected_migrated_and_served() {
    let plan = plan(&[
        ("requirements.txt", "django\ngunicorn\n"),
        (
            "manage.py",
            "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
        ),
        ("shop/wsgi.py", "application = get_wsgi_application()\n"),
        (
            "shop/settings.py",
            "SECRET_KEY = os.environ['SECRET_KEY']\nSTATIC_ROOT = 'static'\n",
        ),
    ])
    .unwrap();
    assert!(
        start(&plan).contains("'shop.wsgi:application'"),
        "{}",
        start(&plan)
    );
    assert_eq!(
        plan.release.as_ref().unwrap().to_string(),
        ".venv/bin/python manage.py migrate --noinput"
    );
    assert!(
        phases(&plan)
            .iter()
            .any(|phase| phase.contains("collectstatic"))
    );
    assert_eq!(plan.generated_secrets, ["SECRET_KEY"]);
}
