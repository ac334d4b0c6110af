//! A service's listeners: one for what comes through the gateway, one for the other services
//! and the operator, and, at the gateway, one for TLS.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_server::{GracefulShutdownSignal, ServerHandle};
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpResponse, web};
use tokio::task::JoinHandle;

use super::front::LazyFront;
use super::middleware::around;
use super::operations::Description;
use super::tls::Tls;
use super::{MakeFront, Routes, guess, idempotency, routes, tls};
use crate::context::Context;
use crate::settings::HttpSettings;

/// What extractors need of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_body: usize,
}

/// How a request came in, for a [`Front`](super::Front) to ask the request's `app_data` for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In plain text.
    Plain,
    /// By TLS, which ended here.
    Tls,
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

/// Binds a socket; an error names the address.
pub(super) fn listen(address: &str) -> std::io::Result<TcpListener> {
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
    pub(crate) tls: Option<Tls>,
}

/// A running server.
pub(crate) struct Server {
    handle: ServerHandle,
    running: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Serves all listeners.
    pub(crate) fn start(parts: ServerParts, listeners: Listeners) -> std::io::Result<Self> {
        let settings = &parts.settings;
        let builder = actix_server::Server::build()
            .workers(settings.workers)
            .max_concurrent_connections(settings.max_connections)
            .backlog(1024)
            .shutdown_timeout(u64::try_from(settings.drain_timeout.as_secs()).unwrap_or(10))
            .disable_signals();
        let signal = builder.graceful_shutdown_signal();
        let ServerParts { front, tls, .. } = &parts;
        let public = Entrance::new(&parts, front.clone(), Tree::Public);
        let private = Entrance::new(&parts, None, Tree::Private);
        // Services behind the gateway are asked by HTTP/1.1 alone.
        let builder = if public.front.is_some() {
            let serve = guess::factory(public, signal.clone());
            builder.listen("public", listeners.api, serve)?
        } else {
            builder.listen("public", listeners.api, public.plain(signal.clone()))?
        };
        let mut builder =
            builder.listen("private", listeners.private, private.plain(signal.clone()))?;
        if let Some(tls) = tls {
            let entrance = Entrance::new(&parts, front.clone(), Tree::Public);
            let socket = tls.socket.try_clone()?;
            builder = builder.listen("tls", socket, tls::factory(tls.clone(), entrance, signal))?;
        }
        let server = builder.run();
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

/// Which of a service's two trees of routes a listener serves. Neither has anything of the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tree {
    Public,
    Private,
}

/// What a listener leads to, before a worker has made it its own.
#[derive(Clone)]
pub(super) struct Entrance {
    pub(super) context: Context,
    define: DefineRoutes,
    data: Vec<Configure>,
    description: Description,
    pub(super) settings: HttpSettings,
    front: Option<MakeFront>,
    tree: Tree,
}

impl Entrance {
    fn new(parts: &ServerParts, front: Option<MakeFront>, tree: Tree) -> Self {
        Self {
            context: parts.context.clone(),
            define: Arc::clone(&parts.define),
            data: parts.data.clone(),
            description: parts.description.clone(),
            settings: parts.settings.clone(),
            front,
            tree,
        }
    }

    /// A front for a worker's apps of this listener, which may share it.
    pub(super) fn front(&self) -> LazyFront {
        LazyFront::new(self.front.clone())
    }

    /// The app that answers.
    pub(super) fn app(
        self,
        front: LazyFront,
        transport: Transport,
    ) -> impl ServiceFactory<
        actix_http::Request,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = HttpResponse,
        InitError = (),
        Service = impl actix_service::Service<
            actix_http::Request,
            Response = ServiceResponse<BoxBody>,
            Error = HttpResponse,
            Future: 'static,
        > + 'static,
        Future: 'static,
    > + 'static {
        let (define, data, tree) = (self.define, self.data, self.tree);
        let limits = Limits {
            max_body: self.settings.max_body,
        };
        let app = App::new()
            .app_data(web::Data::new(self.context))
            .app_data(web::Data::new(self.description))
            .app_data(web::Data::new(limits))
            .app_data(transport)
            .configure(move |app| {
                for add in &data {
                    add(app);
                }
                Routes::of(&*define).register(tree == Tree::Private, app);
                app.default_service(web::to(routes::not_found));
            })
            .wrap(from_fn(idempotency::replay))
            .wrap(from_fn(around))
            .wrap(from_fn(move |request: ServiceRequest, next| {
                front.clone().handle(request, next)
            }))
            .into_factory()
            .map_err(|error: actix_web::Error| error.as_response_error().error_response());
        map_config(app, |()| AppConfig::default())
    }

    /// HTTP/1.1 as it comes.
    fn plain(
        self,
        signal: GracefulShutdownSignal,
    ) -> impl Fn() -> PlainService + Clone + Send + 'static {
        move || {
            let http1 = http1(&self.settings, &signal)
                .on_connect_ext({
                    let stall = self.settings.stall_timeout.0;
                    move |stream: &TcpStream, _| end_if_stalled(stream, stall)
                })
                // A streamed answer is written in pieces, of which none is to wait for an acknowledgement.
                .tcp_nodelay(true)
                .finish(self.clone().app(self.front(), Transport::Plain))
                .tcp();
            actix_service::boxed::factory(http1.map_err(|_logged_by_the_dispatcher| ()))
        }
    }
}

/// What a worker serves connections in plain text with.
pub(super) type PlainService = actix_service::boxed::BoxServiceFactory<(), TcpStream, (), (), ()>;

/// HTTP/1.1 with the time limits of the settings.
pub(super) fn http1<T, S>(
    settings: &HttpSettings,
    signal: &GracefulShutdownSignal,
) -> actix_http::HttpServiceBuilder<T, S>
where
    S: ServiceFactory<actix_http::Request, Config = ()>,
    S::Error: Into<actix_http::Response<BoxBody>> + 'static,
    S::InitError: std::fmt::Debug,
    <S::Service as actix_service::Service<actix_http::Request>>::Future: 'static,
{
    let signal = signal.clone();
    actix_http::HttpServiceBuilder::default()
        .graceful_shutdown_signal(move || {
            let signal = signal.clone();
            async move { signal.notified().await }
        })
        .client_request_timeout(settings.head_timeout.0)
        .client_disconnect_timeout(std::time::Duration::from_secs(5))
        .keep_alive(settings.keep_alive.0)
}

/// Leaves it to the kernel to end a connection whose client takes nothing for so long of what it has been sent
/// (RFC 5482): nothing of ours runs while such a client is waited for.
pub(super) fn end_if_stalled(stream: &TcpStream, limit: std::time::Duration) {
    let milliseconds = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds) {
        tracing::debug!(error = %error, "a connection's time limit can't be set");
    }
}
