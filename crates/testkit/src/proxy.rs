//! Something to stand between a program and its server, and to be cut.

use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes connections on to a server, unless it is cut. It ends with its runtime.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    cut: Arc<watch::Sender<bool>>,
}

impl Proxy {
    /// A proxy before the server of this URL.
    ///
    /// # Panics
    /// When the URL names no server.
    #[expect(clippy::expect_used, reason = "a test can't go on without")]
    pub async fn before(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (login, rest) = rest.split_once('@').unwrap_or(("", rest));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (server, path) = rest.split_at(end);
        let port = if scheme.starts_with("amqp") {
            5672
        } else {
            5432
        };
        let target = match server.rsplit_once(':') {
            Some(_) => server.to_owned(),
            None => format!("{server}:{port}"),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let cut = Arc::new(watch::Sender::new(false));
        tokio::spawn(accept(listener, target, Arc::clone(&cut)));
        Self {
            url: format!("{scheme}://{login}@{address}{path}"),
            cut,
        }
    }

    /// The server's URL with the proxy in its place.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends all connections and takes no more, or takes them again.
    pub fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

async fn accept(listener: TcpListener, target: String, cut: Arc<watch::Sender<bool>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mut is_cut = cut.subscribe();
        let target = target.clone();
        tokio::spawn(async move {
            if *is_cut.borrow() {
                return;
            }
            let Ok(mut server) = TcpStream::connect(target).await else {
                return;
            };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                _ = is_cut.wait_for(|cut| *cut) => {}
            }
        });
    }
}
