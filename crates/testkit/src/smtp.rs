//! A mail server that speaks the protocol (RFC 5321) and keeps what it is given.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How a mail server is disposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It takes every mail.
    Takes,
    /// It asks to come back for every recipient (451).
    PutsOff,
    /// It knows no recipient (550).
    Refuses,
    /// It takes a mail, says so, and is gone.
    DiesAfterTaking,
    /// It takes a mail, and is gone before it says so.
    DiesBeforeAnswering,
}

/// A mail that a server was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// From whom, as the server was told.
    pub from: String,
    /// To whom, as the server was told.
    pub to: Vec<String>,
    /// The mail, to the byte.
    pub content: String,
}

impl Received {
    /// The first header field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (headers, _) = self.content.split_once("\r\n\r\n")?;
        headers.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The mail with quoted-printable read (RFC 2045, section 6.7).
    #[must_use]
    pub fn text(&self) -> String {
        let joined = self.content.replace("=\r\n", "");
        let mut bytes = Vec::new();
        let mut rest = joined.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            let hex = after.get(..2).filter(|_| *first == b'=');
            let byte =
                hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
            bytes.push(byte.unwrap_or(*first));
            rest = after
                .get(if byte.is_some() { 2 } else { 0 }..)
                .unwrap_or_default();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[derive(Debug)]
struct Inner {
    mood: Mood,
    login: Option<(String, String)>,
    received: Vec<Received>,
    commands: Vec<String>,
}

/// A mail server of a test's own. It ends when it is dropped.
#[derive(Debug)]
pub struct MailServer {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

impl MailServer {
    /// Starts one that takes every mail from everybody.
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same, at this address.
    ///
    /// # Panics
    /// When it can't be had.
    #[expect(clippy::expect_used, reason = "a test can't go on without")]
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let inner = Arc::new(Mutex::new(Inner {
            mood: Mood::Takes,
            login: None,
            received: Vec::new(),
            commands: Vec::new(),
        }));
        let shared = Arc::clone(&inner);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                // Whoever breaks off has broken off.
                tokio::spawn(async move {
                    let _ended = converse(stream, &shared).await;
                });
            }
        });
        Self {
            address,
            inner,
            task,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `smtp://…` of it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Changes its mood.
    pub fn set_mood(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// From now on only who signs in is served.
    pub fn require_login(&self, user: &str, password: &str) {
        self.lock().login = Some((user.to_owned(), password.to_owned()));
    }

    /// What it was given so far, also where it died before it said so.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// All commands so far, without what credentials follow.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.lock().commands.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One client's conversation.
async fn converse(stream: TcpStream, inner: &Mutex<Inner>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let (mut mail, mut known) = (None::<Received>, false);
    write.write_all(b"220 test ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let argument = address_in(&line);
        let (mood, login) = {
            let mut inner = lock(inner);
            inner.commands.push(verb.clone());
            (inner.mood, inner.login.clone())
        };
        let welcome = known || login.is_none();
        let answer = match verb.as_str() {
            "EHLO" if login.is_some() => "250-test\r\n250-AUTH PLAIN\r\n250 8BITMIME",
            "EHLO" => "250-test\r\n250-SMTPUTF8\r\n250 8BITMIME",
            "AUTH" if login.is_some_and(|login| is_login(&line, &login)) => {
                known = true;
                "235 welcome"
            }
            "AUTH" => "535 who?",
            "MAIL" if welcome => {
                mail = Some(Received {
                    from: argument,
                    to: Vec::new(),
                    content: String::new(),
                });
                "250 go on"
            }
            "RCPT" if mood == Mood::PutsOff => "451 later",
            "RCPT" if mood == Mood::Refuses => "550 unknown",
            "RCPT" => match &mut mail {
                Some(mail) => {
                    mail.to.push(argument);
                    "250 go on"
                }
                None => "503 not now",
            },
            "DATA" if mail.is_some() => {
                write.write_all(b"354 go on\r\n").await?;
                let mut content = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    content += line.strip_prefix('.').unwrap_or(&line);
                    content += "\r\n";
                }
                let taken = mail.take().map(|mail| Received { content, ..mail });
                lock(inner).received.extend(taken);
                if mood == Mood::DiesBeforeAnswering {
                    return Ok(());
                }
                if mood == Mood::DiesAfterTaking {
                    return write.write_all(b"250 taken\r\n").await;
                }
                "250 taken"
            }
            "QUIT" => return write.write_all(b"221 bye\r\n").await,
            "RSET" | "NOOP" => "250 well",
            "STARTTLS" => "502 no",
            _ => "503 not now",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// What stands between the angle brackets.
fn address_in(line: &str) -> String {
    let (_, after) = line.split_once('<').unwrap_or_default();
    after.split('>').next().unwrap_or_default().to_owned()
}

/// Whether `AUTH PLAIN …` (RFC 4616) says this user and password.
fn is_login(line: &str, (user, password): &(String, String)) -> bool {
    let said = line.split(' ').nth(2).unwrap_or_default();
    let expected = STANDARD.encode(format!("\0{user}\0{password}"));
    said == expected
}
