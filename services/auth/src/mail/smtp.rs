//! Handing mails to a mail server (RFC 5321).

use std::time::Duration;

use chassis::settings::Secret;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::Instant;
use url::{Host, Url};

use super::message::Mail;

/// How long a server may take to let us in, or to take one mail.
const PATIENCE: Duration = Duration::from_secs(30);

/// After how long no further mail of a batch is begun. With the one under way that is well within
/// the lease that the batch is held under.
const BEGIN_WITHIN: Duration = Duration::from_secs(40);

/// The port for mail from those who write it, with STARTTLS; and the one with TLS from the start
/// (RFC 8314, section 3.3).
const SUBMISSION: u16 = 587;
const SUBMISSIONS: u16 = 465;

/// How the way to the server is closed to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    /// From the start.
    Wrapped,
    /// By STARTTLS, before anything of worth is said; a server without it is refused.
    Started,
    /// Not at all.
    None,
}

/// A mail server, and what it knows us by.
#[derive(Clone, Debug)]
pub(super) struct Server {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<(String, Secret)>,
}

/// Why a mail was not taken, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(super) struct Failure {
    /// What happened. Never what the server said, for that repeats the address.
    pub(super) why: String,
    /// Whether the server won't take this mail at all.
    pub(super) refused: bool,
}

impl Server {
    /// Reads the setting's address. The complaint doesn't repeat it: there is a password in it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "is no address")?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or("names no host")?;
        let asked = url
            .query_pairs()
            .find(|(key, _)| key == "tls")
            .map(|(_, value)| value);
        let (tls, usual) = match (url.scheme(), asked.as_deref()) {
            ("smtps", None) => (Tls::Wrapped, SUBMISSIONS),
            ("smtp", None) if is_here(host) => (Tls::None, SUBMISSION),
            ("smtp", None | Some("required")) => (Tls::Started, SUBMISSION),
            ("smtp", Some("none")) => (Tls::None, SUBMISSION),
            ("smtp", Some(_)) => return Err("has another `tls` than `required` or `none`"),
            _ => return Err("must begin with smtp:// or smtps://"),
        };
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| "has a user or password that is not UTF-8")
        };
        let credentials = match url.password() {
            Some(password) => Some((decoded(url.username())?, Secret::new(decoded(password)?))),
            None if url.username().is_empty() => None,
            None => return Err("names a user but no password"),
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(usual),
            tls,
            credentials,
        })
    }
}

/// Whether a host is this machine, to which nobody listens in.
fn is_here(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(domain)) => domain == "localhost",
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Err(_) => false,
    }
}

/// Hands mails over.
#[derive(Clone)]
pub(super) struct Smtp {
    server: Server,
    tls: Option<TlsParameters>,
    hello: ClientId,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Smtp({:?})", self.server)
    }
}

impl Smtp {
    /// A way to this server. `name` is what we call ourselves there.
    pub(super) fn new(server: Server, name: &str) -> Result<Self, lettre::transport::smtp::Error> {
        let tls = match server.tls {
            Tls::None => None,
            Tls::Wrapped | Tls::Started => Some(TlsParameters::new(server.host.clone())?),
        };
        let hello = match name.parse() {
            Ok(std::net::IpAddr::V4(address)) => ClientId::Ipv4(address),
            Ok(std::net::IpAddr::V6(address)) => ClientId::Ipv6(address),
            Err(_) => ClientId::Domain(name.to_owned()),
        };
        Ok(Self { server, tls, hello })
    }

    /// Hands over each, on one connection as long as that holds.
    pub(super) async fn deliver(&self, mails: &[Mail]) -> Vec<Result<(), Failure>> {
        let mut connection = None;
        let mut results = Vec::new();
        let begun = Instant::now();
        for mail in mails {
            if begun.elapsed() > BEGIN_WITHIN {
                results.push(Err(too_slow()));
                continue;
            }
            let open = match still_there(connection.take()).await {
                Some(open) => open,
                None => match within(self.connect()).await {
                    Ok(open) => open,
                    Err(failure) => {
                        // It wouldn't take the others either.
                        results.resize(
                            mails.len(),
                            Err(Failure {
                                refused: false,
                                ..failure
                            }),
                        );
                        return results;
                    }
                },
            };
            let (result, open) = send(open, mail).await;
            results.push(result);
            connection = open;
        }
        if let Some(mut open) = connection {
            // They are taken; whether the server says goodbye changes nothing.
            let _unheard = within(open.quit()).await;
        }
        results
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, lettre::transport::smtp::Error> {
        let Server { host, port, .. } = &self.server;
        let wrapped = self.tls.clone().filter(|_| self.server.tls == Tls::Wrapped);
        let mut open = AsyncSmtpConnection::connect_tokio1(
            (host.as_str(), *port),
            Some(PATIENCE),
            &self.hello,
            wrapped,
            None,
        )
        .await?;
        if self.server.tls == Tls::Started
            && let Some(tls) = self.tls.clone()
        {
            open.starttls(tls, &self.hello).await?;
        }
        if let Some((user, password)) = &self.server.credentials {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            open.auth(&mechanisms, &credentials).await?;
        }
        Ok(open)
    }
}

/// The connection, if the server hasn't closed it: some do after each mail.
async fn still_there(connection: Option<AsyncSmtpConnection>) -> Option<AsyncSmtpConnection> {
    let mut open = connection?;
    let answers = tokio::time::timeout(PATIENCE, open.test_connected()).await;
    answers.is_ok_and(|answers| answers).then_some(open)
}

/// Hands one over; gives the connection back if it can be used again.
async fn send(
    mut open: AsyncSmtpConnection,
    mail: &Mail,
) -> (Result<(), Failure>, Option<AsyncSmtpConnection>) {
    let (envelope, bytes) = (mail.message.envelope().clone(), mail.bytes());
    let result = within(open.send(&envelope, &bytes)).await.map(drop);
    let whole = result.is_ok() && !open.has_broken();
    (result, whole.then_some(open))
}

/// Waits as long as a server may take.
async fn within<T>(
    work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result.map_err(|error| failure(&error)),
        Err(_elapsed) => Err(too_slow()),
    }
}

fn too_slow() -> Failure {
    Failure {
        why: "the mail server took too long".into(),
        refused: false,
    }
}

fn failure(error: &lettre::transport::smtp::Error) -> Failure {
    let why = match error.status() {
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_response() => "the mail server broke off or spoke no SMTP".to_owned(),
        None => error.to_string(),
    };
    Failure {
        why,
        refused: error.is_permanent(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<(u16, Tls, Option<String>), &'static str> {
        let server = Server::parse(url)?;
        let user = server.credentials.map(|(user, _)| user);
        Ok((server.port, server.tls, user))
    }

    #[test]
    fn only_a_server_on_this_machine_is_spoken_to_in_the_clear() {
        let none = None::<String>;
        assert_eq!(
            parse("smtp://mail.example.com"),
            Ok((587, Tls::Started, none.clone()))
        );
        assert_eq!(
            parse("smtps://mail.example.com"),
            Ok((465, Tls::Wrapped, none.clone()))
        );
        assert_eq!(
            parse("smtp://localhost:25"),
            Ok((25, Tls::None, none.clone()))
        );
        assert_eq!(
            parse("smtp://127.0.0.1:25"),
            Ok((25, Tls::None, none.clone()))
        );
        assert_eq!(parse("smtp://[::1]:25"), Ok((25, Tls::None, none.clone())));
        assert_eq!(
            parse("smtp://localhost?tls=required"),
            Ok((587, Tls::Started, none.clone()))
        );
        assert_eq!(
            parse("smtp://relay.internal?tls=none"),
            Ok((587, Tls::None, none))
        );
        assert_eq!(
            parse("smtps://seb%40x.dev:p%2Fw@mail.example.com:2465"),
            Ok((2465, Tls::Wrapped, Some("seb@x.dev".into())))
        );
    }

    #[test]
    fn what_is_no_mail_server_is_refused() {
        for url in [
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp://seb@mail.example.com",
            "smtp://mail.example.com?tls=maybe",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let server = Server::parse("smtps://seb:hunter2@mail.example.com").unwrap();
        assert!(!format!("{server:?}").contains("hunter2"));
    }
}
