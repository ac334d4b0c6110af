//! Each app reaches its own database and no other.

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use testkit::Backend;
use url::Url;

use super::server::Server;
use super::teller;
use crate::harness::Up;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_can_not_open_another_apps_database_nor_read_the_platforms() {
    let backend = Backend::distributed().await;
    backend.clean_up_queues_of(&[
        "auth",
        "account",
        "project",
        "github",
        "provisioner",
        "v1api",
    ]);
    let server = Server::new(backend.postgres_url());
    let (apps, platform) = (server.url(), server.platform_url().unwrap());
    let (amqp, prefix) = backend.amqp().unwrap();
    let up = Up::start_with(&[
        ("SLIPWAY_APPS__POSTGRES_URL", &apps),
        ("SLIPWAY_DATABASE__URL", &platform),
        ("SLIPWAY_AMQP__URL", &amqp),
        ("SLIPWAY_AMQP__PREFIX", &prefix),
    ])
    .await;
    let [one, other] = [
        teller::deploy_with_database(&up, "one").await,
        teller::deploy_with_database(&up, "other").await,
    ];
    for url in [&one, &other] {
        server.will_forget(url.path().trim_start_matches("/app_"));
        let mut own = PgConnection::establish(url.as_str()).unwrap();
        own.batch_execute("CREATE TABLE kept (secret text); INSERT INTO kept VALUES ('mine')")
            .unwrap();
    }
    for (mine, theirs) in [(&one, &other), (&other, &one)] {
        let refused = PgConnection::establish(to(mine, theirs.path()).as_str())
            .err()
            .unwrap();
        assert!(
            refused
                .to_string()
                .contains("permission denied for database"),
            "{refused}"
        );
        let mut own = PgConnection::establish(mine.as_str()).unwrap();
        let role = theirs.username();
        let refused = own
            .batch_execute(&format!("SET ROLE \"{role}\""))
            .unwrap_err();
        assert!(
            refused.to_string().contains("permission denied"),
            "{refused}"
        );
    }
    // PostgreSQL lets every role into a database that its owner hasn't closed; but no further.
    let platform: Url = platform.parse().unwrap();
    if let Ok(mut inside) = PgConnection::establish(to(&one, platform.path()).as_str()) {
        for table in [
            "auth.identities",
            "project.variables",
            "project.outbox",
            "v1api.api_keys",
        ] {
            let refused = inside
                .batch_execute(&format!("SELECT * FROM {table}"))
                .unwrap_err();
            assert!(
                refused.to_string().contains("permission denied for schema"),
                "{table}: {refused}"
            );
        }
    }
}

fn to(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url
}
