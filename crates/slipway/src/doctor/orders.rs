//! Whether certificates that are got by ACME could be got.

use std::path::Path;

use chassis::db::{Database, Location};
use chassis::platform::location_of;
use chassis::settings::{DatabaseSettings, Settings};
use common::api::v1api::{CertificateProblem, CertificateStanding};
use slipway_v1api::failing_orders;

use super::Finding;

const SUBJECT: &str = "certificates";

/// Looks into the gateway's database for orders that failed. Where that can't be read there is nothing to say
/// here: another check does.
pub(super) async fn check(settings: &Settings, data_dir: &Path) -> Vec<Finding> {
    let Ok(database) = settings.section::<DatabaseSettings>("database") else {
        return Vec::new();
    };
    let location = location_of(&database, data_dir, slipway_v1api::NAME);
    if matches!(&location, Location::Sqlite(file) if !file.exists()) {
        return Vec::new();
    }
    let db = Database::new(location, tokio::runtime::Handle::current());
    let failing = failing_orders(&db).await.unwrap_or_default();
    failing.iter().map(finding).collect()
}

fn finding((host, standing): (&String, &CertificateStanding)) -> Finding {
    let (why, advice) = match standing.problem.unwrap_or(CertificateProblem::Failed) {
        CertificateProblem::NotLedHere => (
            "it was asked by HTTP on port 80 and didn't lead here",
            "have its records point to the gateway, and port 80 reach it",
        ),
        CertificateProblem::Refused => (
            "whoever makes certificates makes none for it",
            "look at its name and at its CAA records",
        ),
        CertificateProblem::RateLimited => (
            "there were too many orders",
            "wait: it is ordered again by itself",
        ),
        CertificateProblem::MakerUnreachable => (
            "whoever makes certificates doesn't answer",
            "see whether gateway.acme.directory can be reached from here",
        ),
        CertificateProblem::Failed => (
            "the order failed",
            "look at what the gateway writes: it names the cause",
        ),
    };
    let next = standing.next_order_at;
    let next = next.map_or_else(String::new, |next| format!("; ordered again at {next}"));
    Finding::warning(
        SUBJECT,
        format!("none is got for {host}: {why}{next}"),
        advice,
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chassis::settings::Sources;
    use diesel::RunQueryDsl as _;

    use super::super::Level;
    use super::*;

    #[tokio::test]
    async fn an_order_that_failed_is_told_with_why_and_when_it_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::load(Sources {
            overrides: BTreeMap::new(),
            ..Sources::default()
        })
        .unwrap();
        assert!(check(&settings, dir.path()).await.is_empty());
        assert!(
            !dir.path().join("v1api.db").exists(),
            "looking makes nothing"
        );
        let database = settings.section::<DatabaseSettings>("database").unwrap();
        let location = location_of(&database, dir.path(), "v1api");
        let db = Database::new(location, tokio::runtime::Handle::current());
        let migrations = chassis::migrations!(
            "../../migrations/v1api/postgres",
            "../../migrations/v1api/sqlite"
        );
        db.migrate(vec![migrations]).await.unwrap();
        db.write(|db| {
            diesel::sql_query(
                "INSERT INTO acme_certificates (host, due_at, round, failures, last_error, seq) VALUES \
                 ('fine.example', '2030-01-01 00:00:00', 1, 0, NULL, 1), \
                 ('shop.example', '2030-01-02 03:04:05', 3, 2, 'not_led_here', 2), \
                 ('old.example', '2030-01-02 03:04:05', 3, 2, 'words of another time', 3)",
            )
            .execute(db)
            .map(drop)
        })
        .await
        .unwrap();
        let findings = check(&settings, dir.path()).await;
        let [old, shop] = findings.as_slice() else {
            panic!("{findings:?}");
        };
        assert_eq!((old.level, shop.level), (Level::Warning, Level::Warning));
        let expected = "none is got for shop.example: it was asked by HTTP on port 80 and didn't lead here; \
                        ordered again at 2030-01-02T03:04:05";
        assert!(shop.finding.starts_with(expected), "{shop:?}");
        assert!(old.finding.contains("the order failed"), "{old:?}");
    }
}
