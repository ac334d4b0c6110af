//! AWS's Security Token Service, as far as credentials are checked with it. It verifies signatures by
//! itself, with nothing of the signer's, and as strictly as AWS does.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test can't go on without"
)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ring::{digest, hmac};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The number of the account that everybody here belongs to.
pub const AWS_ACCOUNT: &str = "123456789012";

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StsMood {
    /// As AWS does.
    #[default]
    Well,
    /// With 500, whoever asks.
    Failing,
    /// That it is asked too much.
    Throttling,
    /// With something that nobody can read.
    Confused,
}

#[derive(Clone, Debug)]
struct Key {
    secret: String,
    token: Option<String>,
    arn: String,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<String, Key>,
    /// By ARN: the external id that each asks for.
    roles: HashMap<String, String>,
    mood: StsMood,
    asked: Vec<String>,
}

/// The double; it ends when it is dropped.
#[derive(Debug)]
pub struct Sts {
    known: Arc<Mutex<Known>>,
    address: SocketAddr,
    running: JoinHandle<()>,
}

impl Sts {
    /// Starts one that knows nobody.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = Arc::<Mutex<Known>>::default();
        let serving = Arc::clone(&known);
        let running = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, Arc::clone(&serving)));
            }
        });
        Self {
            known,
            address,
            running,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Makes a user with a key.
    ///
    /// # Panics
    /// When the double did.
    pub fn user(&self, name: &str, access_key_id: &str, secret: &str) {
        let key = Key {
            secret: secret.to_owned(),
            token: None,
            arn: format!("arn:aws:iam::{AWS_ACCOUNT}:user/{name}"),
        };
        let mut known = self.known.lock().unwrap();
        known.keys.insert(access_key_id.to_owned(), key);
    }

    /// Ends a key.
    ///
    /// # Panics
    /// When the double did.
    pub fn end(&self, access_key_id: &str) {
        self.known.lock().unwrap().keys.remove(access_key_id);
    }

    /// Makes a role that whoever names this external id may take on.
    ///
    /// # Panics
    /// When the double did.
    pub fn role(&self, arn: &str, external_id: &str) {
        let mut known = self.known.lock().unwrap();
        known.roles.insert(arn.to_owned(), external_id.to_owned());
    }

    /// Has it answer otherwise.
    ///
    /// # Panics
    /// When the double did.
    pub fn mood(&self, mood: StsMood) {
        self.known.lock().unwrap().mood = mood;
    }

    /// What it was asked so far: actions, whether or not they were refused.
    ///
    /// # Panics
    /// When the double did.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.known.lock().unwrap().asked.clone()
    }
}

impl Drop for Sts {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// A request as it came.
struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next()?;
        // A header that is there twice could be read twice.
        found.next().is_none().then_some(value)
    }

    fn parameters(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .into_owned()
            .collect()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.lines();
    let line = lines.next()?.to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length")?;
    let length: usize = length.1.parse().ok()?;
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[end..].to_vec()).ok()?;
    Some(Request {
        line,
        headers,
        body,
    })
}

async fn answer(mut stream: TcpStream, known: Arc<Mutex<Known>>) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    let (status, body) = known.lock().unwrap().answer(&request);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // Whoever has gone needs no answer.
    let _gone = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

fn refused(status: u16, code: &str, message: &str) -> (u16, String) {
    let body = json!({ "Error": { "Code": code, "Message": message, "Type": "Sender" }, "RequestId": "1" });
    (status, body.to_string())
}

impl Known {
    fn answer(&mut self, request: &Request) -> (u16, String) {
        let parameters = request.parameters();
        let action = of(&parameters, "Action");
        self.asked.push(action.to_owned());
        match self.mood {
            StsMood::Well => {}
            StsMood::Failing => return (500, "{}".to_owned()),
            StsMood::Throttling => return refused(400, "Throttling", "Rate exceeded"),
            StsMood::Confused => return (200, "<html>".to_owned()),
        }
        if request.header("accept") != Some("application/json")
            || of(&parameters, "Version") != "2011-06-15"
        {
            return refused(400, "InvalidAction", "Could not find operation");
        }
        let who = match self.verify(request) {
            Ok(who) => who,
            Err(code) => {
                return refused(
                    403,
                    code,
                    "The request signature we calculated does not match",
                );
            }
        };
        match action {
            "GetCallerIdentity" => {
                let result = json!({ "Account": AWS_ACCOUNT, "Arn": who, "UserId": "AIDA" });
                let body =
                    json!({ "GetCallerIdentityResponse": { "GetCallerIdentityResult": result } });
                (200, body.to_string())
            }
            "AssumeRole" => self.assume(&parameters),
            _ => refused(400, "InvalidAction", "Could not find operation"),
        }
    }

    fn assume(&mut self, parameters: &HashMap<String, String>) -> (u16, String) {
        let (arn, session) = (of(parameters, "RoleArn"), of(parameters, "RoleSessionName"));
        if self.roles.get(arn).map(String::as_str) != Some(of(parameters, "ExternalId")) {
            return refused(
                403,
                "AccessDenied",
                "User is not authorized to perform: sts:AssumeRole",
            );
        }
        let role = arn.rsplit('/').next().unwrap_or_default();
        let id = format!("ASIA{:016X}", self.asked.len());
        let key = Key {
            secret: format!("{:040}", self.asked.len()),
            token: Some(format!("token+of/{role}==")),
            arn: format!("arn:aws:sts::{AWS_ACCOUNT}:assumed-role/{role}/{session}"),
        };
        let credentials = json!({
            "AccessKeyId": id, "SecretAccessKey": key.secret, "SessionToken": key.token, "Expiration": 0,
        });
        self.keys.insert(id, key);
        let body: Value =
            json!({ "AssumeRoleResponse": { "AssumeRoleResult": { "Credentials": credentials } } });
        (200, body.to_string())
    }

    /// Signature Version 4, from the request as it came; who signed.
    fn verify(&self, request: &Request) -> Result<String, &'static str> {
        const MISSING: &str = "IncompleteSignature";
        if request.line != "POST / HTTP/1.1" {
            return Err(MISSING);
        }
        let authorization = request.header("authorization").ok_or(MISSING)?;
        let rest = authorization
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .ok_or(MISSING)?;
        let parts: HashMap<_, _> = rest
            .split(", ")
            .filter_map(|part| part.split_once('='))
            .collect();
        let of = |name: &str| parts.get(name).copied().ok_or(MISSING);
        let (credential, signed, given) =
            (of("Credential")?, of("SignedHeaders")?, of("Signature")?);
        let (id, scope) = credential.split_once('/').ok_or(MISSING)?;
        let steps: Vec<_> = scope.split('/').collect();
        let [day, _region, "sts", "aws4_request"] = steps.as_slice() else {
            return Err(MISSING);
        };
        let time = request.header("x-amz-date").ok_or(MISSING)?;
        if !time.starts_with(day) || time.len() != 16 {
            return Err(MISSING);
        }
        let names: Vec<_> = signed.split(';').collect();
        let is_sorted = names.windows(2).all(|pair| pair[0] < pair[1]);
        let key = self.keys.get(id).ok_or("InvalidClientTokenId")?;
        let mut needed = vec!["host", "x-amz-date", "content-type"];
        if key.token.is_some() {
            needed.push("x-amz-security-token");
        }
        if !is_sorted || needed.iter().any(|name| !names.contains(name)) {
            return Err(MISSING);
        }
        if key.token.as_deref() != request.header("x-amz-security-token") {
            return Err("InvalidClientTokenId");
        }
        let mut canonical = String::from("POST\n/\n\n");
        for name in &names {
            let value = request.header(name).ok_or(MISSING)?;
            canonical.push_str(&format!("{name}:{value}\n"));
        }
        canonical.push_str(&format!("\n{signed}\n{}", sha256(&request.body)));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(&canonical));
        let mut signing = format!("AWS4{}", key.secret).into_bytes();
        for step in steps {
            signing = sign(&signing, step);
        }
        if hex(&sign(&signing, &text)) == given {
            Ok(key.arn.clone())
        } else {
            Err("SignatureDoesNotMatch")
        }
    }
}

fn of<'a>(parameters: &'a HashMap<String, String>, name: &str) -> &'a str {
    parameters.get(name).map_or("", String::as_str)
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
