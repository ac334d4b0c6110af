//! Certificates by ACME (RFC 8555) for domains of accounts' own, and for the platform's host.
//!
//! Each gateway looks again and again which hosts want a certificate: every domain that has been shown to be
//! its account's, unless the operator's files have one for it. When a host's time has come it enqueues a job.
//! One job runs at a time among all gateways, so that the maker sees one client in no hurry. What the maker
//! looks at is in the database, so that whichever gateway it asks answers; and so is what it makes, sealed,
//! which every gateway takes over at its next look. A domain that is dropped takes its certificate with it.

mod client;
pub(crate) mod http;
mod job;
mod order;
mod settings;
mod standing;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chassis::Context;
use chassis::db::{Database, Db};
use chassis::jobs::{NewJob, enqueue};
use common::api::v1api::CertificateStanding;
use common::time::{Span, Time};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::tls::Certificates;
use crate::tls::certificate::Certificate;
use client::{Client, ClientError};
use order::Orderer;
pub(crate) use settings::AcmeSettings;

/// The kind of job that orders a certificate.
pub(crate) const ORDER: &str = "acme.order";
/// How often an order is begun by a worker in the place of one that died.
pub(crate) const ATTEMPTS: u32 = 3;
/// When another order is enqueued in the place of one that hasn't begun: that one's job may have been lost.
const UNBEGUN: Span = Span::hours(6);
/// When another order is enqueued, if nothing is heard of one that has begun.
const UNHEARD: Span = Span::minutes(30);
/// The path of what a host shows to the maker, without the token.
const CHALLENGE: &str = "/.well-known/acme-challenge/";
/// How many challenges are looked for at once: the path is open to everybody.
const LOOKS: usize = 2;
/// For how long a look waits for its turn; then it is given up.
const LONGEST_TURN: Duration = Duration::from_secs(1);
/// How long after a host became known it is ordered for: by then every gateway's routes have it.
const SETTLED: Span = Span::milliseconds(500);
/// The longest token that is looked for.
const LONGEST_TOKEN: usize = 128;

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    host: String,
    /// An order of another round than the host's own is out of date.
    round: i64,
}

/// Gets certificates, and keeps those that were got; cheap to clone.
#[derive(Clone)]
pub(crate) struct Acme {
    context: Context,
    orderer: Orderer,
    certificates: Certificates,
    platform: Option<String>,
    retry: Span,
    look: Duration,
    looks: Arc<Semaphore>,
}

impl Acme {
    /// As the settings say; none if they name no maker.
    pub(crate) fn new(
        settings: &AcmeSettings,
        platform: Option<&str>,
        context: &Context,
        certificates: &Certificates,
    ) -> Result<Option<Self>, ClientError> {
        let Some(directory) = &settings.directory else {
            return Ok(None);
        };
        let contact = |address: &String| match address.strip_prefix("mailto:") {
            Some(_) => address.clone(),
            None => format!("mailto:{address}"),
        };
        let orderer = Orderer {
            context: context.clone(),
            client: Client::new(settings.authority.as_deref())?,
            directory: directory.to_string(),
            contact: settings.contact.0.iter().map(contact).collect(),
        };
        let platform = platform.filter(|_| settings.platform);
        Ok(Some(Self {
            context: context.clone(),
            orderer,
            certificates: certificates.clone(),
            platform: platform.map(str::to_ascii_lowercase),
            retry: Span::from_std(settings.retry.0).unwrap_or(job::LONGEST_WAIT),
            look: settings.look.0,
            looks: Arc::new(Semaphore::new(LOOKS)),
        }))
    }

    /// Looks again and again until the service stops.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut known = None;
        let mut failing = false;
        loop {
            let looked = match self.plan().await {
                Ok(()) => self.load(&mut known).await,
                Err(error) => Err(error),
            };
            match looked {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = %error, "certificates can't be looked after; those known go on");
                }
                Err(_still) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(self.look) => {}
            }
        }
    }

    /// Takes over which hosts want a certificate, and has those ordered whose time has come.
    async fn plan(&self) -> Result<(), diesel::result::Error> {
        let (acme, now) = (self.clone(), self.context.clock.now());
        let news = self
            .context
            .db
            .read(move |db| {
                let (wanted, known) = (acme.wanted(db)?, store::hosts(db)?);
                Ok::<_, diesel::result::Error>(wanted != known || !store::due(db, now)?.is_empty())
            })
            .await?;
        if !news {
            return Ok(());
        }
        let acme = self.clone();
        self.context.db.write(move |db| acme.plan_in(db, now)).await
    }

    /// The hosts that want a certificate.
    fn wanted(&self, db: &mut Db) -> Result<BTreeSet<String>, diesel::result::Error> {
        let mut wanted = store::verified_domains(db)?;
        wanted.extend(self.platform.clone());
        wanted.retain(|host| !self.certificates.in_files(host));
        Ok(wanted)
    }

    fn plan_in(&self, db: &mut Db, now: Time) -> Result<(), diesel::result::Error> {
        // Of gateways that look at once one plans, the others find it done.
        chassis::db::lock(db, "acme")?;
        let (wanted, known) = (self.wanted(db)?, store::hosts(db)?);
        for host in known.difference(&wanted) {
            store::remove(db, host)?;
        }
        for host in wanted.difference(&known) {
            store::add(db, host, now + SETTLED)?;
        }
        for (host, round) in store::due(db, now)? {
            let round = round + 1;
            let payload = serde_json::json!(Wanted {
                host: host.clone(),
                round,
            });
            enqueue(
                db,
                &NewJob {
                    kind: ORDER,
                    // A host that comes back begins to count anew, at another time.
                    key: format!("{host}/{round}/{}", now.unix_micros()),
                    group: Some(ORDER.into()),
                    payload,
                    run_at: now,
                    supersede: false,
                },
                now,
            )?;
            store::plan(db, &host, round, now + UNBEGUN)?;
        }
        Ok(())
    }

    /// Takes over what has been made or removed since.
    async fn load(
        &self,
        known: &mut Option<(Option<i64>, i64)>,
    ) -> Result<(), diesel::result::Error> {
        let before = *known;
        let news = self
            .context
            .db
            .read(move |db| {
                let state = store::state(db)?;
                if before == Some(state) {
                    return Ok::<_, diesel::result::Error>(None);
                }
                Ok(Some((state, store::certificates(db)?)))
            })
            .await?;
        let Some((state, rows)) = news else {
            return Ok(());
        };
        let now = self.context.clock.now();
        let made = rows.into_iter().filter_map(|row| {
            let key = self.context.sealer.open(&row.sealed_key, &place(&row.host));
            let certificate = key.map_err(|error| error.to_string()).and_then(|key| {
                Certificate::parse(row.chain.as_bytes(), &key, now)
                    .map_err(|error| error.to_string())
            });
            match certificate {
                Ok(certificate) => Some((row.host, certificate)),
                Err(error) => {
                    tracing::error!(
                        certificate.host = row.host,
                        error,
                        "a certificate can't be used"
                    );
                    None
                }
            }
        });
        self.certificates.put_made(made.collect());
        *known = Some(state);
        Ok(())
    }

    /// Whether this is the platform's host, and a certificate is got for it.
    pub(crate) fn is_platform(&self, host: &str) -> bool {
        self.platform.as_deref() == Some(host)
    }

    /// What a host shows to the maker of certificates for this token, if anything.
    pub(crate) async fn shown(&self, host: &str, token: &str) -> Option<String> {
        let turn = tokio::time::timeout(LONGEST_TURN, self.looks.acquire());
        let _turn = turn.await.ok()?.ok()?;
        let (host, token) = (host.to_owned(), token.to_owned());
        let found = self
            .context
            .db
            .read(move |db| store::challenge(db, &host, &token))
            .await;
        // The maker asks again; whoever else asks is answered by the app.
        found.ok().flatten()
    }
}

/// The hosts for which the last order of a certificate failed, with why and when it is made again: for who looks
/// from outside a gateway, into its database.
///
/// # Errors
/// When the database can't be read.
pub async fn failing(
    db: &Database,
) -> Result<BTreeMap<String, CertificateStanding>, diesel::result::Error> {
    db.read(standing::failing).await
}

/// The token that a path asks for (RFC 8555, section 8.3).
pub(crate) fn token(path: &str) -> Option<&str> {
    let token = path.strip_prefix(CHALLENGE)?;
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_token = (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(is_base64url);
    is_token.then_some(token)
}

fn place(host: &str) -> String {
    format!("acme_certificates/{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_as_it_stands_or_not_at_all() {
        assert_eq!(token("/.well-known/acme-challenge/aB-_9"), Some("aB-_9"));
        let long = format!("/.well-known/acme-challenge/{}", "a".repeat(129));
        for path in [
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/a/b",
            "/.well-known/acme-challenge/a%41",
            "/.well-known/acme-challenge/..",
            "/.well-known/acme-challenges/a",
            &long,
        ] {
            assert_eq!(token(path), None, "{path}");
        }
    }
}
