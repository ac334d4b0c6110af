//! A maker of certificates for tests: Pebble, with which Let's Encrypt tests clients, and its name server, by
//! whose word every name leads to this machine.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::task::AbortHandle;

const PEBBLE: &str = "pebble";
const RESOLVER: &str = "pebble-challtestsrv";

/// How often it is begun anew where somebody else was quicker to take its ports.
const TRIES: usize = 5;

/// A maker of certificates that hasn't begun to work, so that others can be told where it will be.
#[derive(Debug)]
pub struct Maker {
    /// Where it is reached. Pebble can't be given this very socket: what comes is passed on to it.
    front: TcpListener,
    folder: TempDir,
}

/// One that works; it ends when it is dropped.
#[derive(Debug)]
pub struct RunningMaker {
    folder: TempDir,
    // In its own place, so that those of a failed beginning end as well.
    _processes: Processes,
    front: AbortHandle,
}

/// Its programs, which end when they are dropped.
#[derive(Debug)]
struct Processes(Vec<Child>);

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
        Self {
            front: TcpListener::bind("127.0.0.1:0").expect("a port"),
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
    ///
    /// # Panics
    /// When it has no address.
    #[must_use]
    pub fn directory(&self) -> String {
        let address = self.front.local_addr().expect("an address");
        format!("https://localhost:{}/dir", address.port())
    }

    /// The file with the authority that its own certificate is from.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Begins to work: hosts are asked on this port whether they lead here. `variables` are Pebble's own.
    ///
    /// # Panics
    /// When its programs aren't there, or don't begin.
    pub async fn start(self, http_port: u16, variables: &[(&str, &str)]) -> RunningMaker {
        for _ in 0..TRIES {
            // Free a moment ago: that is all that can be known before Pebble has it.
            let port = TcpListener::bind("127.0.0.1:0").expect("a port");
            let pebble = port.local_addr().expect("an address");
            drop(port);
            let mut processes = self.spawn(pebble, http_port, variables);
            if !self.is_reached(pebble, &mut processes).await {
                continue;
            }
            self.front.set_nonblocking(true).expect("a socket");
            let front = tokio::net::TcpListener::from_std(self.front).expect("a socket");
            return RunningMaker {
                folder: self.folder,
                _processes: processes,
                front: tokio::spawn(pass_on(front, pebble)).abort_handle(),
            };
        }
        panic!("the maker doesn't begin: {}", read(&self.folder, PEBBLE));
    }

    /// Begins Pebble on this port, and its name server.
    fn spawn(&self, port: SocketAddr, http_port: u16, variables: &[(&str, &str)]) -> Processes {
        let path = |name: &str| self.folder.path().join(name);
        let config = serde_json::json!({ "pebble": {
            "listenAddress": port.to_string(), "managementListenAddress": "",
            "certificate": path("directory.crt"), "privateKey": path("directory.key"),
            "httpPort": http_port, "tlsPort": 1, "ocspResponderURL": "", "externalAccountBindingRequired": false,
            "domainBlocklist": [Self::REFUSED],
        }});
        self.write("config.json", &config.to_string());
        let names = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let names = names.local_addr().expect("an address").to_string();
        let mut resolver = Command::new(RESOLVER);
        resolver
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-dns01", &names])
            // Nobody asks there, and it can't be left out.
            .args(["-management", "127.0.0.1:0"]);
        let mut pebble = Command::new(PEBBLE);
        pebble
            .arg("-strict")
            .arg("-config")
            .arg(path("config.json"))
            .args(["-dnsserver", &names])
            // It would otherwise think about each challenge for some seconds.
            .env("PEBBLE_VA_NOSLEEP", "1")
            .envs(variables.iter().copied());
        let mut processes = Processes(Vec::new());
        for mut command in [resolver, pebble] {
            let program = command.get_program().to_string_lossy().into_owned();
            let log = fs::File::create(path(&format!("{program}.log"))).expect("a file");
            command
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("a file"))
                .stderr(log);
            let process = command.spawn().unwrap_or_else(|error| {
                panic!("{program}: {error} (scripts/prerequisites installs it)")
            });
            processes.0.push(process);
        }
        processes
    }

    /// Whether it is Pebble that answers on its port, with the certificate that it was given, and the name server
    /// got its own. A program that can't have its port ends, or says so and goes on without.
    async fn is_reached(&self, port: SocketAddr, processes: &mut Processes) -> bool {
        let authority = fs::read(self.authority()).expect("a file");
        let authority = reqwest::Certificate::from_pem(&authority).expect("a certificate");
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([authority])
            .resolve("localhost", port);
        let client = client.build().expect("a client");
        let url = format!("https://localhost:{}/dir", port.port());
        crate::eventually_async("Pebble answers or ends", || {
            let ended = processes.have_ended();
            let asked = client.get(&url).send();
            async move {
                match asked.await {
                    Ok(_) => Some(true),
                    Err(_) if ended => Some(false),
                    Err(_) => None,
                }
            }
        })
        .await
            && !read(&self.folder, RESOLVER).contains("address already in use")
    }
}

impl Processes {
    /// Whether one has ended by itself.
    fn have_ended(&mut self) -> bool {
        let mut processes = self.0.iter_mut();
        processes.any(|process| !matches!(process.try_wait(), Ok(None)))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // One that has ended by itself needs no ending.
            let _ended = process.kill();
            let _reaped = process.wait();
        }
    }
}

impl RunningMaker {
    /// What it has said so far: the requests that it took, and what it thought of them.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.folder, PEBBLE)
    }
}

impl Drop for RunningMaker {
    fn drop(&mut self) {
        self.front.abort();
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

/// What one of its programs has said so far.
fn read(folder: &TempDir, program: &str) -> String {
    let path = folder.path().join(format!("{program}.log"));
    fs::read_to_string(path).unwrap_or_default()
}

/// Passes connections on until it is ended.
async fn pass_on(front: tokio::net::TcpListener, to: SocketAddr) {
    while let Ok((mut client, _)) = front.accept().await {
        tokio::spawn(async move {
            if let Ok(mut server) = tokio::net::TcpStream::connect(to).await {
                // Who goes first is theirs to settle.
                let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
