use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use secrecy::ExposeSecret as _;
use slipway_provisioner::appdb::{AppDatabase, AppDbError, DatabaseServer, Password};

use super::support::unique;

fn server_url() -> String {
    std::env::var("SLIPWAY_TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned())
}

fn server() -> DatabaseServer {
    DatabaseServer::new(server_url().into()).unwrap()
}

fn environment() -> String {
    unique("projenv").replace('-', "_")
}

fn connect(database: &AppDatabase) -> diesel::ConnectionResult<PgConnection> {
    PgConnection::establish(database.url.expose_secret())
}

/// The app's URL, but to another database.
fn url_to(database: &AppDatabase, other: &str) -> String {
    let mut url = url::Url::parse(database.url.expose_secret()).unwrap();
    url.set_path(other);
    url.into()
}

#[tokio::test]
async fn an_app_can_do_anything_in_its_own_database_and_nothing_elsewhere() {
    let (server, ours, theirs) = (server(), environment(), environment());
    let a = server.ensure(&ours, &Password::random()).await.unwrap();
    let b = server.ensure(&theirs, &Password::random()).await.unwrap();
    let mut own = connect(&a).unwrap();
    own.batch_execute(
        "CREATE TABLE t (x int); CREATE SCHEMA s; CREATE EXTENSION IF NOT EXISTS pgcrypto",
    )
    .unwrap();

    let refused = PgConnection::establish(&url_to(&a, b.name.as_str()))
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.contains("permission denied for database"),
        "{refused}"
    );
    for forbidden in [
        "CREATE DATABASE another",
        "CREATE ROLE another",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        &format!("SET ROLE \"{}\"", b.name),
        &format!("DROP DATABASE \"{}\"", b.name),
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
    ] {
        let refused = own.batch_execute(forbidden).unwrap_err().to_string();
        assert!(
            refused.contains("permission denied") || refused.contains("must be"),
            "{forbidden}: {refused}"
        );
    }
    drop(own);
    for environment in [ours, theirs] {
        server.remove(&environment).await.unwrap();
    }
}

#[tokio::test]
async fn asking_again_comes_to_the_same_end_also_after_a_crash_half_way() {
    let (server, environment) = (server(), environment());
    let password = Password::random();
    let name = format!("app_{environment}");
    // What a crash leaves: the role without a password, the database closed to all.
    let mut operator = PgConnection::establish(&server_url()).unwrap();
    operator
        .batch_execute(&format!("CREATE ROLE \"{name}\""))
        .unwrap();
    let half = format!(
        "CREATE DATABASE \"{name}\" OWNER \"{name}\" TEMPLATE template0 ALLOW_CONNECTIONS false"
    );
    operator.batch_execute(&half).unwrap();

    let first = server.ensure(&environment, &password).await.unwrap();
    connect(&first)
        .unwrap()
        .batch_execute("CREATE TABLE kept (x int)")
        .unwrap();
    let (again, at_once) = tokio::join!(
        server.ensure(&environment, &password),
        server.ensure(&environment, &password)
    );
    assert_eq!(
        again.unwrap().url.expose_secret(),
        first.url.expose_secret()
    );
    connect(&at_once.unwrap())
        .unwrap()
        .batch_execute("SELECT * FROM kept")
        .unwrap();

    server.remove(&environment).await.unwrap();
    server.remove(&environment).await.unwrap();
    assert!(connect(&first).is_err());
}

#[tokio::test]
async fn a_database_is_removed_while_its_app_is_connected() {
    let (server, environment) = (server(), environment());
    let database = server
        .ensure(&environment, &Password::random())
        .await
        .unwrap();
    let mut open = connect(&database).unwrap();
    server.remove(&environment).await.unwrap();
    open.batch_execute("SELECT 1").unwrap_err();
}

#[tokio::test]
async fn a_new_password_is_another_one_and_the_data_stays() {
    let (server, environment) = (server(), environment());
    let first = server
        .ensure(&environment, &Password::random())
        .await
        .unwrap();
    connect(&first)
        .unwrap()
        .batch_execute("CREATE TABLE kept (x int)")
        .unwrap();
    let kept = |name: &str| {
        let mut operator = PgConnection::establish(&server_url()).unwrap();
        let query = "SELECT rolpassword AS value FROM pg_authid WHERE rolname = $1";
        let query = diesel::sql_query(query).bind::<diesel::sql_types::Text, _>(name.to_owned());
        diesel::RunQueryDsl::get_result::<Value>(query, &mut operator)
            .unwrap()
            .value
    };
    let before = kept(first.name.as_str());
    assert!(before.starts_with("SCRAM-SHA-256$4096:"));
    let second = server
        .rotate(&environment, &Password::random())
        .await
        .unwrap();
    assert_ne!(first.url.expose_secret(), second.url.expose_secret());
    assert_ne!(before, kept(first.name.as_str()));
    connect(&second)
        .unwrap()
        .batch_execute("SELECT * FROM kept")
        .unwrap();
    server.remove(&environment).await.unwrap();
}

#[derive(diesel::QueryableByName)]
struct Value {
    #[diesel(sql_type = diesel::sql_types::Text)]
    value: String,
}

#[tokio::test]
async fn names_that_would_not_do_and_roles_that_are_not_ours_are_refused() {
    let server = server();
    for bad in ["", "x\"; DROP ROLE postgres; --", "Projenv_1"] {
        assert!(matches!(
            server.ensure(bad, &Password::random()).await,
            Err(AppDbError::Name(_))
        ));
    }
    let environment = environment();
    let mut operator = PgConnection::establish(&server_url()).unwrap();
    operator
        .batch_execute(&format!("CREATE ROLE app_{environment} CREATEDB"))
        .unwrap();
    let refused = server.ensure(&environment, &Password::random()).await;
    assert!(matches!(refused, Err(AppDbError::ForeignRole(_))));
    operator
        .batch_execute(&format!("DROP ROLE app_{environment}"))
        .unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_and_a_url_that_is_none_are_told_apart_and_no_password_is_told() {
    assert!(matches!(
        DatabaseServer::new("not a url".to_owned().into()),
        Err(AppDbError::Url)
    ));
    assert!(matches!(
        DatabaseServer::new("mysql://u:canary@h/d".to_owned().into()),
        Err(AppDbError::Url)
    ));
    let away = DatabaseServer::new("postgres://u:canary@127.0.0.1:1/d".to_owned().into()).unwrap();
    let error = away
        .ensure(&environment(), &Password::random())
        .await
        .unwrap_err();
    assert!(matches!(error, AppDbError::Connect(_)));
    assert!(!format!("{error:?} {away:?}").contains("canary"));
}

#[tokio::test]
async fn databases_open_to_every_role_are_listed_and_ours_are_not_among_them() {
    let (server, environment) = (server(), environment());
    let database = server
        .ensure(&environment, &Password::random())
        .await
        .unwrap();
    let open = server.open_databases().await.unwrap();
    assert!(!open.iter().any(|name| name == database.name.as_str()));
    server.remove(&environment).await.unwrap();
}
