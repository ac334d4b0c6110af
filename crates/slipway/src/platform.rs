//! The whole platform in one process: which services, with which settings.

use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use chassis::Service;
use chassis::platform::{Launch, Platform};
use chassis::settings::{Named, Section, ServiceSettings, Settings, Sources};
use common::time::Clock;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::config;

/// The gateway's port, unless told.
const PORT: u16 = 8080;

/// The gateway's section, as far as it decides where to listen.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Gateway {
    public_url: Option<String>,
}

impl Section for Gateway {}

/// What the command line says beside the settings.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where everything is kept.
    pub data_dir: Option<PathBuf>,
    /// The public port.
    pub port: Option<u16>,
    /// File, environment and further values.
    pub sources: Sources,
}

/// A platform that is ready to be started.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// All settings, those of the command line among them.
    pub settings: Settings,
    /// Where people reach the platform, without a slash at the end.
    pub public_url: String,
}

/// All six services. auth goes first: the others ask it for their tokens.
pub fn services() -> Vec<Service> {
    vec![
        slipway_auth::service(),
        slipway_account::service(),
        slipway_github::service(),
        slipway_project::service(),
        slipway_provisioner::service(),
        slipway_v1api::service(),
    ]
}

/// Reads and checks the settings, and decides where the gateway listens: on this machine only,
/// unless `gateway.public_url` says that others reach it.
pub fn prepare(options: Options) -> anyhow::Result<Prepared> {
    let Options {
        data_dir,
        port,
        mut sources,
    } = options;
    if let Some(dir) = data_dir {
        sources
            .overrides
            .insert("data_dir".into(), dir.to_string_lossy().into_owned());
    }
    let plain = Settings::load(sources.clone())?;
    let place = Place::choose(&plain, port)?;
    sources
        .overrides
        .insert("gateway.public_url".into(), place.public_url.to_string());
    if let Some(listen) = place.listen {
        sources
            .overrides
            .insert("services.v1api.listen".into(), listen);
    }
    let settings = Settings::load(sources)?;
    config::effective(&settings)?;
    Ok(Prepared {
        settings,
        public_url: place.public_url.as_str().trim_end_matches('/').to_owned(),
    })
}

/// Starts all six services in this process.
///
/// # Errors
/// What can't be bound, opened or read; nothing is left running then.
pub async fn start(prepared: &Prepared, clock: Clock) -> anyhow::Result<Platform> {
    let launch = Launch {
        services: services(),
        settings: prepared.settings.clone(),
        clock,
        embedded: true,
    };
    chassis::platform::start(launch).await.map_err(|error| {
        let taken = error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|cause| cause.kind() == io::ErrorKind::AddrInUse);
        if taken {
            error.context("the port is taken by another program; choose one with --port")
        } else {
            error
        }
    })
}

/// Where the gateway is.
#[derive(Debug)]
struct Place {
    public_url: Url,
    /// Its address, where the settings don't say already.
    listen: Option<String>,
}

impl Place {
    fn choose(settings: &Settings, port: Option<u16>) -> anyhow::Result<Self> {
        let configured: Option<Url> = settings
            .section::<Gateway>("gateway")?
            .public_url
            .map(|url| {
                url.parse().with_context(|| {
                    format!("in section [gateway]: `public_url` `{url}` is no URL")
                })
            })
            .transpose()?;
        let services = settings.section::<Named<ServiceSettings>>("services")?;
        let told = services
            .0
            .get("v1api")
            .and_then(|gateway| gateway.listen.clone());
        let Some(url) = configured.filter(|url| !is_local(url)) else {
            return Self::local(port, settings, told);
        };
        // Something in front of us may hold the public port; what we listen on is our own affair.
        let listen = match (port, told) {
            (Some(port), Some(told)) => Some(with_port(&told, port)),
            (port, None) => Some(format!("0.0.0.0:{}", port.unwrap_or(PORT))),
            (None, Some(_)) => None,
        };
        Ok(Self {
            public_url: url,
            listen,
        })
    }

    /// A platform for this machine's own people: the URL's port is the one that is listened on.
    fn local(port: Option<u16>, settings: &Settings, told: Option<String>) -> anyhow::Result<Self> {
        let configured = settings.section::<Gateway>("gateway")?.public_url;
        let mut public_url: Url = configured
            .as_deref()
            .unwrap_or("http://localhost:8080")
            .parse()?;
        let port = port.or(public_url.port_or_known_default()).unwrap_or(PORT);
        // Fails only for URLs without a host, which is_local has sorted out.
        let _infallible = public_url.set_port(Some(port));
        let listen = told.map_or_else(
            || format!("127.0.0.1:{port}"),
            |told| with_port(&told, port),
        );
        Ok(Self {
            public_url,
            listen: Some(listen),
        })
    }
}

/// Whether only this machine's own people reach a URL.
fn is_local(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

/// The same address with another port.
fn with_port(address: &str, port: u16) -> String {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    format!("{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(values: &[(&str, &str)], port: Option<u16>) -> (String, Option<String>) {
        let overrides = values
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        let settings = Settings::load(Sources {
            overrides,
            ..Sources::default()
        })
        .unwrap();
        let place = Place::choose(&settings, port).unwrap();
        (place.public_url.to_string(), place.listen)
    }

    #[test]
    fn unless_told_only_this_machine_reaches_the_platform() {
        assert_eq!(
            place(&[], None),
            (
                "http://localhost:8080/".into(),
                Some("127.0.0.1:8080".into())
            )
        );
        assert_eq!(
            place(&[], Some(9000)),
            (
                "http://localhost:9000/".into(),
                Some("127.0.0.1:9000".into())
            )
        );
        let configured = [("gateway.public_url", "http://127.0.0.1:7000")];
        assert_eq!(
            place(&configured, None),
            (
                "http://127.0.0.1:7000/".into(),
                Some("127.0.0.1:7000".into())
            )
        );
    }

    #[test]
    fn a_public_name_is_reached_from_everywhere_whatever_stands_in_front() {
        let url = ("gateway.public_url", "https://slipway.example");
        assert_eq!(
            place(&[url], None),
            (
                "https://slipway.example/".into(),
                Some("0.0.0.0:8080".into())
            )
        );
        let told = [url, ("services.v1api.listen", "10.0.0.1:80")];
        assert_eq!(
            place(&told, None),
            ("https://slipway.example/".into(), None)
        );
        assert_eq!(
            place(&told, Some(81)),
            (
                "https://slipway.example/".into(),
                Some("10.0.0.1:81".into())
            )
        );
    }
}
