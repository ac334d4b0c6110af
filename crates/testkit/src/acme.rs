//! A maker of certificates for tests: Pebble, with which Let's Encrypt tests clients, and its name server, by
//! whose word every name leads to this machine.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// Ports for the maker, which has to be told them, free a moment ago.
#[derive(Debug)]
struct Ports {
    directory: u16,
    management: u16,
    names: u16,
    names_management: u16,
}

/// A maker of certificates that hasn't begun to work, so that others can be told where it will be.
#[derive(Debug)]
pub struct Maker {
    ports: Ports,
    folder: TempDir,
}

/// One that works; it ends when it is dropped.
#[derive(Debug)]
pub struct RunningMaker {
    maker: Maker,
    processes: Vec<Child>,
}

impl Default for Maker {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::expect_used, reason = "a test can't go on without")]
impl Maker {
    /// A host that it makes no certificates for.
    pub const REFUSED: &str = "refused.example";

    /// Chooses where it will be.
    ///
    /// # Panics
    /// When there are no ports or no folder.
    #[must_use]
    pub fn new() -> Self {
        let [directory, management, names_management] = tcp_ports();
        let names = UdpSocket::bind("127.0.0.1:0").expect("a port");
        Self {
            ports: Ports {
                directory,
                management,
                names: names.local_addr().expect("an address").port(),
                names_management,
            },
            folder: tempfile::tempdir().expect("a folder"),
        }
        .with_certificate()
    }

    /// A certificate for the directory itself, by an authority of its own.
    fn with_certificate(self) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let own = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let own = own.signed_by(&key, &authority).expect("a certificate");
        self.write("authority.pem", &authority.pem());
        self.write("directory.crt", &own.pem());
        self.write("directory.key", &key.serialize_pem());
        self
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).expect("a file");
    }

    /// Its directory (RFC 8555, section 7.1.1).
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.ports.directory)
    }

    /// The file with the authority that its own certificate is from.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Begins to work: hosts are asked on this port whether they lead here. `variables` are Pebble's own.
    ///
    /// # Panics
    /// When its programs aren't there.
    #[must_use]
    pub fn start(self, http_port: u16, variables: &[(&str, &str)]) -> RunningMaker {
        let path = |name: &str| self.folder.path().join(name);
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.ports.directory),
            "managementListenAddress": format!("127.0.0.1:{}", self.ports.management),
            "certificate": path("directory.crt"), "privateKey": path("directory.key"),
            "httpPort": http_port, "tlsPort": 1, "ocspResponderURL": "", "externalAccountBindingRequired": false,
            "domainBlocklist": [Self::REFUSED],
        }});
        self.write("config.json", &config.to_string());
        let names = SocketAddr::from(([127, 0, 0, 1], self.ports.names));
        let management = SocketAddr::from(([127, 0, 0, 1], self.ports.names_management));
        let mut resolver = Command::new("pebble-challtestsrv");
        resolver
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-dns01", &names.to_string()])
            .args(["-management", &management.to_string()]);
        let mut pebble = Command::new("pebble");
        pebble
            .arg("-strict")
            .arg("-config")
            .arg(path("config.json"))
            .args(["-dnsserver", &names.to_string()])
            // It would otherwise think about each challenge for some seconds.
            .env("PEBBLE_VA_NOSLEEP", "1")
            .envs(variables.iter().copied());
        let processes = [resolver, pebble].map(|mut command| {
            let program = command.get_program().to_string_lossy().into_owned();
            let log = fs::File::create(path(&format!("{program}.log"))).expect("a file");
            command
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("a file"))
                .stderr(log);
            command.spawn().unwrap_or_else(|error| {
                panic!("{program}: {error} (scripts/prerequisites installs it)")
            })
        });
        RunningMaker {
            maker: self,
            processes: processes.into(),
        }
    }
}

impl RunningMaker {
    /// What it has said so far: the requests that it took, and what it thought of them.
    #[must_use]
    pub fn log(&self) -> String {
        let path = self.maker.folder.path().join("pebble.log");
        fs::read_to_string(path).unwrap_or_default()
    }
}

impl Drop for RunningMaker {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // One that has ended by itself needs no ending.
            let _ended = process.kill();
            let _reaped = process.wait();
        }
        if std::thread::panicking() {
            let mut log = self.log();
            let _infallible = writeln!(log, "(the maker's log)");
            #[expect(clippy::print_stderr, reason = "why a test failed may stand there")]
            {
                eprintln!("{log}");
            }
        }
    }
}

/// Ports that nobody has, all at once.
#[expect(clippy::expect_used, reason = "a test can't go on without")]
fn tcp_ports<const N: usize>() -> [u16; N] {
    let taken =
        std::array::from_fn::<_, N, _>(|_| TcpListener::bind("127.0.0.1:0").expect("a port"));
    taken.map(|listener| listener.local_addr().expect("an address").port())
}
