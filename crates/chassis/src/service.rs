//! How a service declares itself, in one place.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::web;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::db::Migrations;
use crate::events::Handlers;
use crate::http::{Configure, DefineRoutes};
use crate::http::{Front, MakeFront, Routes, Tls};
use crate::jobs::Workers;
use crate::members::Members;
use crate::settings::{Section, Settings, SettingsError};

type Assembling = Pin<Box<dyn Future<Output = anyhow::Result<Assembly>> + Send>>;
type Task = Box<dyn FnOnce(CancellationToken) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;
type Show = Arc<dyn Fn(&Settings) -> Result<serde_json::Value, SettingsError> + Send + Sync>;

/// A service before it runs.
pub struct Service {
    pub(crate) name: &'static str,
    pub(crate) migrations: Migrations,
    pub(crate) assemble: Box<dyn FnOnce(Context) -> Assembling + Send>,
    pub(crate) issues_tokens: bool,
    pub(crate) sections: Vec<(&'static str, Show)>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service({})", self.name)
    }
}

impl Service {
    /// A service of this name, with its tables, and how it is put together once these are there.
    pub fn new<F, R>(name: &'static str, migrations: Migrations, assemble: F) -> Self
    where
        F: FnOnce(Context) -> R + Send + 'static,
        R: Future<Output = anyhow::Result<Assembly>> + Send + 'static,
    {
        let assemble = Box::new(move |context| Box::pin(assemble(context)) as Assembling);
        Self {
            name,
            migrations,
            assemble,
            issues_tokens: false,
            sections: Vec::new(),
        }
    }

    /// The service gives the verifier its keys itself, and follows its own list of revocations.
    #[must_use]
    pub fn issues_tokens(mut self) -> Self {
        self.issues_tokens = true;
        self
    }

    /// A section of the settings that the service reads; it is checked before the start and shown
    /// to operators.
    #[must_use]
    pub fn section<T: Section>(mut self, name: &'static str) -> Self {
        self.sections
            .push((name, Arc::new(move |settings| settings.show::<T>(name))));
        self
    }

    /// The sections that the service reads, as JSON with secrets redacted.
    pub fn show_settings(
        &self,
        settings: &Settings,
    ) -> Result<Vec<(&'static str, serde_json::Value)>, SettingsError> {
        self.sections
            .iter()
            .map(|(name, show)| Ok((*name, show(settings)?)))
            .collect()
    }

    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// What a service is made of.
#[derive(Default)]
pub struct Assembly {
    pub(crate) data: Vec<Configure>,
    pub(crate) routes: Option<DefineRoutes>,
    pub(crate) handlers: Handlers,
    pub(crate) workers: Workers,
    pub(crate) openapi: Option<utoipa::openapi::OpenApi>,
    pub(crate) feeds: &'static [&'static str],
    pub(crate) tasks: Vec<(&'static str, Task)>,
    pub(crate) members: Option<Members>,
    pub(crate) front: Option<MakeFront>,
    pub(crate) tls: Option<Tls>,
}

impl std::fmt::Debug for Assembly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Assembly")
    }
}

impl Assembly {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A value for handlers, which take it as `web::Data<T>`.
    #[must_use]
    pub fn data<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        let data = web::Data::new(value);
        self.data.push(Arc::new(move |app| {
            app.app_data(data.clone());
        }));
        self
    }

    /// The service's URL tree.
    #[must_use]
    pub fn routes(mut self, define: impl Fn(&mut Routes) + Send + Sync + 'static) -> Self {
        self.routes = Some(Arc::new(define));
        self
    }

    /// What it does on events.
    #[must_use]
    pub fn handlers(mut self, handlers: Handlers) -> Self {
        self.handlers = handlers;
        self
    }

    /// Its durable work.
    #[must_use]
    pub fn workers(mut self, workers: Workers) -> Self {
        self.workers = workers;
        self
    }

    /// Its API document.
    #[must_use]
    pub fn openapi(mut self, document: utoipa::openapi::OpenApi) -> Self {
        self.openapi = Some(document);
        self
    }

    /// The feeds that it serves to followers.
    #[must_use]
    pub fn feeds(mut self, feeds: &'static [&'static str]) -> Self {
        self.feeds = feeds;
        self
    }

    /// Work that goes on as long as the service runs, and ends when the token fires.
    #[must_use]
    pub fn task<F, R>(mut self, name: &'static str, run: F) -> Self
    where
        F: FnOnce(CancellationToken) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.tasks
            .push((name, Box::new(move |shutdown| Box::pin(run(shutdown)))));
        self
    }

    /// What answers before the service's own routes on its public listener; made once for each
    /// worker thread, on that thread.
    #[must_use]
    pub fn front(mut self, make: impl Fn() -> Rc<dyn Front> + Send + Sync + 'static) -> Self {
        self.front = Some(Arc::new(make));
        self
    }

    /// A further public listener, by TLS.
    #[must_use]
    pub fn tls(mut self, tls: Option<Tls>) -> Self {
        self.tls = tls;
        self
    }

    /// Where it learns roles from, if not from the copy that events keep.
    #[must_use]
    pub fn members(mut self, members: Members) -> Self {
        self.members = Some(members);
        self
    }
}
