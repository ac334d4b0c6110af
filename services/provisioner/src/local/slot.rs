//! One instance in the supervisor's memory.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::output::OutputFile;
use super::ports::Reserved;
use crate::driver::{Instance, InstanceSpec, InstanceState};
use crate::process::{Group, Survivors};

/// What one instance is and does. Its own task changes it; everyone may look.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) spec: InstanceSpec,
    pub(crate) output: OutputFile,
    live: Mutex<Live>,
    stop: watch::Sender<bool>,
    done: watch::Sender<Option<Result<(), Vec<u32>>>>,
}

/// What changes about an instance.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) state: InstanceState,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) own_port: bool,
    pub(crate) crashes: u32,
    pub(crate) group: Option<Group>,
    pub(crate) port: Reserved,
}

impl Slot {
    pub(crate) fn new(spec: InstanceSpec, output: OutputFile, port: Reserved) -> Self {
        let live = Live {
            state: InstanceState::Starting,
            address: None,
            own_port: false,
            crashes: 0,
            group: None,
            port,
        };
        Self {
            spec,
            output,
            live: Mutex::new(live),
            stop: watch::channel(false).0,
            done: watch::channel(None).0,
        }
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_state(&self, state: InstanceState) {
        self.live().state = state;
    }

    pub(crate) fn group(&self) -> Option<Group> {
        self.live().group.clone()
    }

    pub(crate) fn instance(&self) -> Instance {
        let live = self.live();
        Instance {
            id: self.spec.id.clone(),
            environment_id: self.spec.environment_id.clone(),
            release_id: self.spec.release_id.clone(),
            address: live.address,
            own_port: live.own_port,
            state: live.state,
            restarts: live.crashes,
            pid: live.group.as_ref().map(|group| group.record().leader.pid()),
        }
    }

    /// Asks the instance's task to end it.
    pub(crate) fn ask_to_stop(&self) {
        self.set_state(InstanceState::Stopping);
        self.stop.send_replace(true);
    }

    pub(crate) fn is_asked_to_stop(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until the instance is asked to stop.
    pub(crate) async fn asked_to_stop(&self) {
        // The sender is ours, so it can't be gone.
        let _ = self.stop.subscribe().wait_for(|asked| *asked).await;
    }

    /// Says that the instance's task has ended.
    pub(crate) fn finish(&self, result: Result<(), Survivors>) {
        self.done
            .send_replace(Some(result.map_err(|survivors| survivors.pids)));
    }

    /// Waits until the instance's task has ended.
    pub(crate) async fn finished(&self) -> Result<(), Survivors> {
        let mut done = self.done.subscribe();
        let result = done
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|done| done.clone());
        result.unwrap_or(Ok(())).map_err(|pids| Survivors {
            id: self.spec.id.clone(),
            pids,
        })
    }
}
