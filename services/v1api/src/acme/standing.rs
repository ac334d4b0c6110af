//! How it stands with certificates, for those who wait for one.

use std::collections::BTreeMap;

use chassis::db::Db;
use common::api::v1api::{CertificateProblem, CertificateStanding, CertificateState};
use common::id::EnvironmentId;
use common::time::Time;
use diesel::prelude::*;

use crate::schema::{acme_certificates, domain_routes};

/// A problem as the database has it.
pub(super) fn word_of(problem: CertificateProblem) -> Option<String> {
    serde_json::to_value(problem)
        .ok()
        .and_then(|word| word.as_str().map(str::to_owned))
}

/// How it stands with a host's certificate.
#[derive(Queryable)]
struct StandingRow {
    host: String,
    not_after: Option<Time>,
    due_at: Time,
    failures: i64,
    last_error: Option<String>,
}

impl StandingRow {
    fn standing(self) -> (String, CertificateStanding) {
        let has_failed = self.failures > 0;
        let state = match self.not_after {
            _ if has_failed => CertificateState::Failing,
            Some(_) => CertificateState::Ready,
            None => CertificateState::Pending,
        };
        // Words of other times are one of ours no more.
        let problem = self
            .last_error
            .map(|word| serde_json::from_value(word.into()).unwrap_or(CertificateProblem::Failed));
        let standing = CertificateStanding {
            state,
            problem: problem.filter(|_| has_failed),
            not_after: self.not_after,
            next_order_at: (state != CertificateState::Pending).then_some(self.due_at),
        };
        (self.host, standing)
    }
}

/// How it stands with the certificates of the domains that lead to an environment.
pub(super) fn of_environment(
    db: &mut Db,
    environment: &EnvironmentId,
) -> QueryResult<BTreeMap<String, CertificateStanding>> {
    let domains: Vec<String> = domain_routes::table
        .filter(domain_routes::environment_id.eq(environment))
        .filter(domain_routes::dropped.eq(false))
        .select(domain_routes::domain)
        .load(db)?;
    let rows = standings().filter(acme_certificates::host.eq_any(domains));
    let rows: Vec<StandingRow> = rows.load(db)?;
    Ok(rows.into_iter().map(StandingRow::standing).collect())
}

/// The hosts whose last order failed, in the order of their names.
pub(super) fn failing(db: &mut Db) -> QueryResult<BTreeMap<String, CertificateStanding>> {
    let rows = standings().filter(acme_certificates::failures.gt(0));
    let rows: Vec<StandingRow> = rows.load(db)?;
    Ok(rows.into_iter().map(StandingRow::standing).collect())
}

#[diesel::dsl::auto_type(no_type_alias)]
fn standings() -> _ {
    acme_certificates::table.select((
        acme_certificates::host,
        acme_certificates::not_after,
        acme_certificates::due_at,
        acme_certificates::failures,
        acme_certificates::last_error,
    ))
}

#[cfg(test)]
mod tests {
    use common::event::{DomainChallenge, DomainState};
    use common::id::AccountId;
    use common::names::DomainName;
    use testkit::on_both_backends;

    use super::*;
    use crate::acme::store::tests::database;
    use crate::acme::store::{Kept, add, put_certificate, put_failure};
    use crate::table::store::put_domain;

    on_both_backends! {
        async fn an_owner_sees_her_own_domains_alone_and_what_came_of_their_orders(backend: Backend) {
            let db = database(&backend).await;
            let at = Time::from_unix;
            let (own, other) = (EnvironmentId::new(at(1)), EnvironmentId::new(at(1)));
            let state = |domain: &str, environment: &EnvironmentId, dropped: bool| DomainState {
                domain: DomainName::parse(domain).unwrap(),
                account_id: AccountId::new(at(1)),
                environment_id: environment.clone(),
                challenge: DomainChallenge { name: "name".into(), content: "content".into() },
                dropped,
            };
            let domains = [
                state("new.example", &own, false), state("failing.example", &own, false), state("ready.example", &own, false),
                state("renewed.example", &own, false), state("gone.example", &own, true), state("theirs.example", &other, false),
                state("file.example", &own, false),
            ];
            let asked = own.clone();
            let seen = db.write(move |db| {
                for domain in &domains {
                    put_domain(db, domain)?;
                    if domain.domain.as_str() != "file.example" {
                        add(db, domain.domain.as_str(), at(1000))?;
                    }
                }
                let made = Kept { chain: "chain", sealed_key: b"sealed", not_after: at(9000), due_at: at(8000) };
                put_certificate(db, "ready.example", &made)?;
                put_certificate(db, "renewed.example", &made)?;
                put_failure(db, "renewed.example", 1, CertificateProblem::RateLimited, at(8500))?;
                put_failure(db, "failing.example", 0, CertificateProblem::NotLedHere, at(5000))?;
                put_failure(db, "theirs.example", 0, CertificateProblem::Refused, at(5000))?;
                assert_eq!(failing(db)?.into_keys().collect::<Vec<_>>(), ["failing.example", "renewed.example", "theirs.example"]);
                of_environment(db, &asked)
            }).await.unwrap();
            let standing = |state, problem, not_after: Option<i64>, next: Option<i64>| CertificateStanding {
                state, problem, not_after: not_after.map(at), next_order_at: next.map(at),
            };
            let expected = BTreeMap::from([
                ("failing.example".to_owned(), standing(CertificateState::Failing, Some(CertificateProblem::NotLedHere), None, Some(5000))),
                ("new.example".to_owned(), standing(CertificateState::Pending, None, None, None)),
                ("ready.example".to_owned(), standing(CertificateState::Ready, None, Some(9000), Some(8000))),
                ("renewed.example".to_owned(), standing(CertificateState::Failing, Some(CertificateProblem::RateLimited), Some(9000), Some(8500))),
            ]);
            assert_eq!(seen, expected);
        }
    }
}
