//! A name server and a web server of the test's own, which know what the test tells them.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, TXT};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

/// What the servers know, by name or path.
#[derive(Clone, Default)]
struct Zone {
    texts: Arc<Mutex<HashMap<String, Vec<String>>>>,
    addresses: Arc<Mutex<HashMap<String, Ipv4Addr>>>,
    files: Arc<Mutex<HashMap<String, String>>>,
}

/// The servers; they end when they are dropped.
pub(crate) struct Names {
    zone: Zone,
    pub(crate) server: SocketAddr,
    pub(crate) web: SocketAddr,
    running: [JoinHandle<()>; 2],
}

impl Names {
    pub(crate) async fn start() -> Self {
        let zone = Zone::default();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (server, web) = (socket.local_addr().unwrap(), listener.local_addr().unwrap());
        let running = [
            tokio::spawn(answer_names(socket, zone.clone())),
            tokio::spawn(answer_files(listener, zone.clone())),
        ];
        Self {
            zone,
            server,
            web,
            running,
        }
    }

    /// Gives a name these TXT records, of which each may be in several pieces.
    pub(crate) fn text(&self, name: &str, pieces: &[&str]) {
        let pieces = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        self.zone
            .texts
            .lock()
            .unwrap()
            .insert(format!("{name}."), pieces);
    }

    pub(crate) fn no_text(&self, name: &str) {
        self.zone.texts.lock().unwrap().remove(&format!("{name}."));
    }

    pub(crate) fn address(&self, name: &str, address: [u8; 4]) {
        let mut addresses = self.zone.addresses.lock().unwrap();
        addresses.insert(format!("{name}."), address.into());
    }

    /// Has the web server answer a path, on whatever host.
    pub(crate) fn file(&self, path: &str, content: &str) {
        let mut files = self.zone.files.lock().unwrap();
        files.insert(path.to_owned(), content.to_owned());
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for task in &self.running {
            task.abort();
        }
    }
}

async fn answer_names(socket: UdpSocket, zone: Zone) {
    let mut buffer = [0; 1_500];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let question = Message::from_vec(&buffer[..length]).unwrap();
        let answer = zone.answer(&question).to_vec().unwrap();
        socket.send_to(&answer, from).await.unwrap();
    }
}

impl Zone {
    fn answer(&self, question: &Message) -> Message {
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.metadata.recursion_available = true;
        let query = question.queries[0].clone();
        let name = query.name().to_string().to_ascii_lowercase();
        let text = self.texts.lock().unwrap().get(&name).cloned();
        let address = self.addresses.lock().unwrap().get(&name).copied();
        let data = match query.query_type() {
            RecordType::TXT => text.clone().map(|pieces| RData::TXT(TXT::new(pieces))),
            RecordType::A => address.map(|address| RData::A(A(address))),
            _ => None,
        };
        if text.is_none() && address.is_none() {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        if let Some(data) = data {
            answer.add_answer(Record::from_rdata(query.name().clone(), 0, data));
        }
        answer.add_query(query);
        answer
    }
}

async fn answer_files(listener: TcpListener, zone: Zone) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let zone = zone.clone();
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let file = zone.files.lock().unwrap().get(path).cloned();
            let (status, body) = match file {
                // Like a server that says of every path that it is there.
                Some(content) if content == "echo" => ("200 OK", path.to_owned()),
                Some(content) => ("200 OK", content),
                None => ("404 Not Found", String::new()),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            // A client that has gone needs no answer.
            let _gone = stream.write_all(answer.as_bytes()).await;
        });
    }
}
