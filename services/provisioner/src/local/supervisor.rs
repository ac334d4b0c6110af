//! The object that owns all instances of this machine.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, oneshot};

use super::adopt;
use super::life::{self, Begin};
use super::output::OutputFile;
use super::ports::{Ports, Reserved};
use super::record::Shelf;
use super::settings::{LocalSettings, Sealer};
use super::slot::Slot;
use crate::driver::{
    Adopted, Driver, DriverError, Instance, InstanceEvent, InstanceSpec, OutputSlice, StartError,
};
use crate::process::{Group, Host, Usage};

/// How many events a receiver may lag behind.
const EVENTS: usize = 256;

/// The `local` driver. Dropping it ends no app; [`Driver::adopt_all`] of a later one takes them up.
#[derive(Clone, Debug)]
pub struct Supervisor {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) host: Arc<Host>,
    pub(crate) settings: LocalSettings,
    pub(crate) sealer: Arc<dyn Sealer>,
    pub(crate) shelf: Shelf,
    pub(crate) ports: Arc<Ports>,
    pub(crate) events: broadcast::Sender<InstanceEvent>,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    runtime: Handle,
}

impl Supervisor {
    /// A supervisor with no instances yet. Must be called within the Tokio runtime that is to look
    /// after them: one that lives as long as the process, not a web worker's.
    pub fn new(
        host: &Arc<Host>,
        settings: LocalSettings,
        sealer: Arc<dyn Sealer>,
    ) -> io::Result<Self> {
        let shared = Shared {
            host: Arc::clone(host),
            shelf: Shelf::open(&settings)?,
            ports: Ports::new(settings.ports.clone()),
            events: broadcast::channel(EVENTS).0,
            slots: Mutex::default(),
            runtime: Handle::current(),
            settings,
            sealer,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// What an instance's processes use now; `None` when none runs.
    pub fn usage(&self, id: &str) -> Option<Usage> {
        self.shared.slot(id)?.group().as_ref().map(Group::usage)
    }

    async fn start_instance(&self, spec: InstanceSpec) -> Result<Instance, StartError> {
        if !is_name(&spec.id) {
            return Err(StartError::BadId { id: spec.id });
        }
        let shared = &self.shared;
        let (first, last) = shared.ports.range();
        let port = shared
            .ports
            .reserve()
            .ok_or(StartError::NoPort { first, last })?;
        let slot = shared.add(spec, port)?;
        if let Err(error) = shared.shelf.make(&slot.spec.id) {
            shared.remove(&slot.spec.id);
            return Err(StartError::Files(error));
        }
        let (ready, answer) = oneshot::channel();
        shared.run(slot, Begin::Start(ready));
        answer.await.unwrap_or(Err(StartError::Closing))
    }

    async fn stop_instance(&self, id: &str) -> Result<(), DriverError> {
        let Some(slot) = self.shared.slot(id) else {
            return Ok(());
        };
        slot.ask_to_stop();
        Ok(slot.finished().await?)
    }

    async fn read_output(
        &self,
        id: &str,
        offset: u64,
        at_most: usize,
    ) -> Result<OutputSlice, DriverError> {
        let unknown = || DriverError::Unknown(id.to_owned());
        let output = self.output_file(id).ok_or_else(unknown)?;
        match output.read_or_wait(offset, at_most).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unknown()),
            other => Ok(other?),
        }
    }

    fn output_file(&self, id: &str) -> Option<OutputFile> {
        is_name(id).then(|| self.shared.shelf.output(id))
    }
}

impl Shared {
    pub(crate) fn slots(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn slot(&self, id: &str) -> Option<Arc<Slot>> {
        self.slots().get(id).cloned()
    }

    pub(crate) fn add(&self, spec: InstanceSpec, port: Reserved) -> Result<Arc<Slot>, StartError> {
        let mut slots = self.slots();
        if slots.contains_key(&spec.id) {
            return Err(StartError::Duplicate { id: spec.id });
        }
        let output = self.shelf.output(&spec.id);
        let slot = Arc::new(Slot::new(spec, output, port));
        slots.insert(slot.spec.id.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    pub(crate) fn remove(&self, id: &str) {
        self.slots().remove(id);
    }

    /// Begins the instance's own task, which looks after it until it is stopped.
    pub(crate) fn run(self: &Arc<Self>, slot: Arc<Slot>, begin: Begin) {
        self.runtime
            .spawn(life::live(Arc::clone(self), slot, begin));
    }

    pub(crate) fn tell(&self, event: InstanceEvent) {
        // No receiver is no error: whoever comes later lists the instances.
        let _ = self.events.send(event);
    }
}

impl Driver for Supervisor {
    fn name(&self) -> &'static str {
        "local"
    }

    fn start(&self, spec: InstanceSpec) -> BoxFuture<'_, Result<Instance, StartError>> {
        self.start_instance(spec).boxed()
    }

    fn stop<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), DriverError>> {
        self.stop_instance(id).boxed()
    }

    fn forget<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), DriverError>> {
        async move {
            if is_name(id) && self.shared.slot(id).is_none() {
                self.shared.shelf.remove(id)?;
            }
            Ok(())
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Vec<Instance>> {
        async {
            self.shared
                .slots()
                .values()
                .map(|slot| slot.instance())
                .collect()
        }
        .boxed()
    }

    fn adopt_all(&self) -> BoxFuture<'_, Result<Adopted, DriverError>> {
        adopt::adopt_all(&self.shared).boxed()
    }

    fn events(&self) -> broadcast::Receiver<InstanceEvent> {
        self.shared.events.subscribe()
    }

    fn output<'a>(
        &'a self,
        id: &'a str,
        offset: u64,
        at_most: usize,
    ) -> BoxFuture<'a, Result<OutputSlice, DriverError>> {
        self.read_output(id, offset, at_most).boxed()
    }
}

/// Whether it will do as the name of a directory and of a control group.
fn is_name(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
