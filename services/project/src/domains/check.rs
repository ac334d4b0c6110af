//! Looking whether a domain's owner has shown what she was asked to show.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chassis::outbound::{LookUp, Outbound, read_limited};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use url::Url;

use super::{Domain, FILE_PREFIX, Method, RECORD_PREFIX};
use crate::settings::DomainsSection;

/// How long one question to a name server takes at most.
const NAME_SERVER: Duration = Duration::from_secs(3);
/// How long the file is waited for, redirects and all.
const FILE: Duration = Duration::from_secs(10);
/// The longest file that is read.
const LONGEST: usize = 4 * 1024;

/// What was looked for, and found neither here nor there.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{record}; {file}")]
pub(crate) struct Missing {
    record: String,
    file: String,
}

/// Asks name servers and web servers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Checker {
    names: TokioResolver,
    web: Outbound,
    port: u16,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Checker")
    }
}

impl Checker {
    /// One that asks whom the operator wants to be asked.
    pub(crate) fn new(settings: &DomainsSection) -> anyhow::Result<Self> {
        let names = resolver(&settings.name_servers()?)?;
        let for_web = names.clone();
        let web = Outbound::resolving(
            settings.allowed()?,
            Arc::new(move |name| Box::pin(addresses(for_web.clone(), name))),
        )?;
        Ok(Self {
            names,
            web,
            port: settings.file_port,
        })
    }

    /// How names that people give are looked up: as those of domains.
    pub(crate) fn look_up(&self) -> LookUp {
        let names = self.names.clone();
        Arc::new(move |name| Box::pin(addresses(names.clone(), name)))
    }

    /// Where the file that proves a domain has to be.
    pub(crate) fn file_url(&self, claim: &Domain) -> String {
        let name = claim.challenge().name;
        match self.port {
            80 => format!("http://{}{FILE_PREFIX}{name}", claim.domain),
            port => format!("http://{}:{port}{FILE_PREFIX}{name}", claim.domain),
        }
    }

    /// By what a claim is shown to be good: the record first, then the file.
    pub(crate) async fn find(&self, claim: &Domain) -> Result<Method, Missing> {
        let record = match self.record(claim).await {
            Ok(()) => return Ok(Method::Dns),
            Err(why) => why,
        };
        match self.file(claim).await {
            Ok(()) => Ok(Method::File),
            Err(file) => Err(Missing { record, file }),
        }
    }

    async fn record(&self, claim: &Domain) -> Result<(), String> {
        let name = format!("{RECORD_PREFIX}{}", claim.domain);
        // With the dot, so that no search domain of this host is tried.
        let found = match self.names.txt_lookup(format!("{name}.")).await {
            Ok(found) => found,
            Err(error) if is_absence(&error) => {
                return Err(format!("there is no TXT record at {name}"));
            }
            Err(error) => {
                tracing::debug!(%error, "a domain's name servers gave no answer");
                return Err(format!("the name servers don't answer for {name}"));
            }
        };
        let holds = |data: &RData| match data {
            RData::TXT(text) => text.txt_data.concat() == claim.proof.as_bytes(),
            _ => false,
        };
        if found.answers().iter().any(|record| holds(&record.data)) {
            Ok(())
        } else {
            Err(format!("the TXT record at {name} holds something else"))
        }
    }

    async fn file(&self, claim: &Domain) -> Result<(), String> {
        let address = self.file_url(claim);
        let url: Url = address
            .parse()
            .map_err(|_why| format!("{address} is no address"))?;
        let asked = self
            .web
            .request(reqwest::Method::GET, &url)
            .map_err(|why| why.to_string())?;
        let reading = async {
            let answer = asked.send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, read_limited(answer, LONGEST).await?))
        };
        let (status, body) = match tokio::time::timeout(FILE, reading).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a domain's web server gave no answer");
                return Err(format!("{address} can't be reached"));
            }
            Err(_elapsed) => return Err(format!("{address} doesn't answer")),
        };
        if status != reqwest::StatusCode::OK {
            return Err(format!("{address} answers {}", status.as_u16()));
        }
        let body = body.unwrap_or_default();
        if body.trim_ascii() == claim.proof.as_bytes() {
            Ok(())
        } else {
            Err(format!("{address} holds something else"))
        }
    }
}

/// Asks these, or whom the system asks. Nothing is kept: who has just changed a record wants to see
/// it at work.
fn resolver(servers: &[SocketAddr]) -> anyhow::Result<TokioResolver> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "the system names no name server: set `domains.resolvers`, or no domain can be checked");
            let none = ResolverConfig::from_name_servers(Vec::new());
            TokioResolver::builder_with_config(none, TokioRuntimeProvider::default())
        })
    } else {
        let servers = servers.iter().map(|server| name_server(*server)).collect();
        let config = ResolverConfig::from_name_servers(servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.cache_size = 0;
    options.timeout = NAME_SERVER;
    options.attempts = 2;
    Ok(builder.build()?)
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let at = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

async fn addresses(names: TokioResolver, name: String) -> std::io::Result<Vec<IpAddr>> {
    let found = names
        .lookup_ip(format!("{}.", name.trim_end_matches('.')))
        .await
        .map_err(std::io::Error::other)?;
    Ok(found.iter().collect())
}

fn is_absence(error: &NetError) -> bool {
    error.is_nx_domain() || error.is_no_records_found()
}
