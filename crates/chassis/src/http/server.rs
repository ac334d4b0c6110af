//! A service's listeners: one for what comes through the gateway, one for the other services
//! and the operator.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpServer, web};
use tokio::task::JoinHandle;

use super::front::LazyFront;
use super::middleware::around;
use super::operations::Description;
use super::{MakeFront, Routes, idempotency, routes};
use crate::context::Context;
use crate::settings::HttpSettings;

/// What extractors need of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_body: usize,
}

/// The two sockets of a service, bound before anything starts so that everybody's address is known.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) api: TcpListener,
    pub(crate) private: TcpListener,
}

impl Listeners {
    /// Binds both.
    pub(crate) fn bind(api: &str, private: &str) -> std::io::Result<Self> {
        Ok(Self {
            api: listen(api)?,
            private: listen(private)?,
        })
    }

    pub(crate) fn api_address(&self) -> std::io::Result<SocketAddr> {
        self.api.local_addr()
    }

    pub(crate) fn private_address(&self) -> std::io::Result<SocketAddr> {
        self.private.local_addr()
    }
}

fn listen(address: &str) -> std::io::Result<TcpListener> {
    TcpListener::bind(address)
        .map_err(|error| std::io::Error::new(error.kind(), format!("{address}: {error}")))
}

/// Registers things on each worker's app.
pub(crate) type Configure = Arc<dyn Fn(&mut web::ServiceConfig) + Send + Sync>;
/// Lists a service's routes.
pub(crate) type DefineRoutes = Arc<dyn Fn(&mut Routes) + Send + Sync>;

/// All that a server is made of.
pub(crate) struct ServerParts {
    pub(crate) context: Context,
    pub(crate) define: DefineRoutes,
    pub(crate) data: Vec<Configure>,
    pub(crate) description: Description,
    pub(crate) settings: HttpSettings,
    pub(crate) front: Option<MakeFront>,
}

/// A running server.
pub(crate) struct Server {
    handle: ServerHandle,
    running: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Serves both listeners.
    pub(crate) fn start(parts: ServerParts, listeners: Listeners) -> std::io::Result<Self> {
        let private_port = listeners.private_address()?.port();
        let ServerParts {
            context,
            define,
            data,
            description,
            settings,
            front,
        } = parts;
        let limits = Limits {
            max_body: settings.max_body,
        };
        let stall_timeout = u32::try_from(settings.stall_timeout.0.as_millis()).unwrap_or(u32::MAX);
        let server = HttpServer::new(move || {
            let (context, description) = (context.clone(), description.clone());
            let (define, data) = (Arc::clone(&define), data.clone());
            let front = LazyFront::new(front.clone(), private_port);
            App::new()
                .app_data(web::Data::new(context))
                .app_data(web::Data::new(description))
                .app_data(web::Data::new(limits))
                .configure(move |app| {
                    for add in &data {
                        add(app);
                    }
                    // Two routing trees under one app, told apart by the socket a request came in by.
                    app.service(
                        web::scope("")
                            .guard(OnPort(private_port))
                            .configure(|app| tree(&*define, true, app)),
                    );
                    app.service(web::scope("").configure(|app| tree(&*define, false, app)));
                })
                .wrap(from_fn(idempotency::replay))
                .wrap(from_fn(mark_port))
                .wrap(from_fn(around))
                .wrap(from_fn(move |request, next| {
                    front.clone().handle(request, next)
                }))
        })
        .workers(settings.workers)
        .max_connections(settings.max_connections)
        .backlog(1024)
        .client_request_timeout(settings.head_timeout.0)
        .on_connect(move |stream, _| end_if_stalled(stream, stall_timeout))
        .client_disconnect_timeout(std::time::Duration::from_secs(5))
        .keep_alive(settings.keep_alive.0)
        // A streamed answer is written in pieces, of which none is to wait for an acknowledgement.
        .tcp_nodelay(true)
        .shutdown_timeout(u64::try_from(settings.drain_timeout.as_secs()).unwrap_or(10))
        .disable_signals()
        .listen(listeners.api)?
        .listen(listeners.private)?
        .run();
        let handle = server.handle();
        Ok(Self {
            handle,
            running: tokio::spawn(server),
        })
    }

    /// Stops accepting and waits, within the drain time, for what is under way.
    pub(crate) async fn stop(self) {
        self.handle.stop(true).await;
        match self.running.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = %error, "the server ended badly"),
            Err(error) => tracing::warn!(error = %error, "the server's task ended badly"),
        }
    }
}

/// Leaves it to the kernel to end a connection whose client takes nothing for so long of what it has been sent
/// (RFC 5482): nothing of ours runs while such a client is waited for.
fn end_if_stalled(stream: &dyn std::any::Any, milliseconds: u32) {
    let Some(stream) = stream.downcast_ref::<actix_web::rt::net::TcpStream>() else {
        return;
    };
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds) {
        tracing::debug!(error = %error, "a connection's time limit can't be set");
    }
}

/// The local port of a request's connection.
#[derive(Clone, Copy)]
struct LocalPort(u16);

/// Guards can't see the connection; this tells them.
async fn mark_port(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    use actix_web::HttpMessage as _;
    let port = request.app_config().local_addr().port();
    request.extensions_mut().insert(LocalPort(port));
    next.call(request).await
}

struct OnPort(u16);

impl actix_web::guard::Guard for OnPort {
    fn check(&self, context: &actix_web::guard::GuardContext<'_>) -> bool {
        context
            .req_data()
            .get::<LocalPort>()
            .is_some_and(|port| port.0 == self.0)
    }
}

fn tree(define: &(dyn Fn(&mut Routes) + Send + Sync), private: bool, app: &mut web::ServiceConfig) {
    Routes::of(define).register(private, app);
    app.default_service(web::to(routes::not_found));
}
