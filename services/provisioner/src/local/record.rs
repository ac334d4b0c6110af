//! What is kept of an instance on disk, so that it is found again after a restart of Slipway.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use super::output::OutputFile;
use super::settings::{LocalSettings, Sealer};
use crate::driver::InstanceSpec;
use crate::places::remove_tree;
use crate::process::{GroupRecord, Owner, chown};

const VERSION: u32 = 1;

/// One instance as its file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    spec: InstanceSpec,
    sealed_variables: String,
    pub(crate) group: GroupRecord,
    /// The port it was given.
    pub(crate) port: u16,
    /// Where it answers; `None`: it was not yet healthy.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) own_port: bool,
}

impl Record {
    pub(crate) fn new(
        spec: &InstanceSpec,
        group: GroupRecord,
        port: u16,
        sealer: &dyn Sealer,
    ) -> io::Result<Self> {
        let plain = serde_json::to_vec(&spec.variables)?;
        let sealed_variables = STANDARD_NO_PAD.encode(sealer.seal(&plain)?);
        let spec = InstanceSpec {
            variables: BTreeMap::new(),
            ..spec.clone()
        };
        Ok(Self {
            version: VERSION,
            spec,
            sealed_variables,
            group,
            port,
            address: None,
            own_port: false,
        })
    }

    pub(crate) fn answering_at(self, address: Option<SocketAddr>, own_port: bool) -> Self {
        Self {
            address,
            own_port,
            ..self
        }
    }

    /// What was to be run, with its variables.
    pub(crate) fn spec(&self, sealer: &dyn Sealer) -> io::Result<InstanceSpec> {
        let bytes = STANDARD_NO_PAD
            .decode(&self.sealed_variables)
            .map_err(io::Error::other)?;
        let variables = serde_json::from_slice(&sealer.open(&bytes)?)?;
        Ok(InstanceSpec {
            variables,
            ..self.spec.clone()
        })
    }
}

/// The directory of all instances: one directory each, with its record and its output. Elsewhere, for
/// the instance itself, one for what it needs only while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    directory: PathBuf,
    temporary: PathBuf,
}

impl Shelf {
    pub(crate) fn open(settings: &LocalSettings) -> io::Result<Self> {
        let directory = settings.state_directory.join("instances");
        let temporary = settings.temporary_directory.clone();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        fs::DirBuilder::new().recursive(true).create(&temporary)?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o711))?;
        Ok(Self {
            directory,
            temporary,
        })
    }

    /// Makes the instance's directory.
    pub(crate) fn make(&self, id: &str) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.directory.join(id))
    }

    /// The instance's own directory for what it needs only while it runs, made if it isn't there.
    pub(crate) fn temporary(&self, id: &str, owner: Option<Owner>) -> io::Result<PathBuf> {
        let directory = self.temporary.join(id);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)?;
        if let Some(owner) = owner {
            chown(&directory, owner)?;
        }
        Ok(directory)
    }

    pub(crate) fn output(&self, id: &str) -> OutputFile {
        OutputFile::at(self.directory.join(id).join("output.log"))
    }

    /// Writes the record: whole or not at all, whenever the machine stops.
    pub(crate) fn save(&self, record: &Record) -> io::Result<()> {
        let directory = self.directory.join(&record.spec.id);
        let new = directory.join("record.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.sync_all()?;
        fs::rename(&new, directory.join("record.json"))?;
        File::open(&directory)?.sync_all()
    }

    /// Removes the record but keeps the output.
    pub(crate) fn remove_record(&self, id: &str) -> io::Result<()> {
        self.remove_temporary(id)?;
        if_there(fs::remove_file(self.directory.join(id).join("record.json")))
    }

    /// Removes all that is kept of an instance.
    pub(crate) fn remove(&self, id: &str) -> io::Result<()> {
        self.remove_temporary(id)?;
        if_there(fs::remove_dir_all(self.directory.join(id)))
    }

    fn remove_temporary(&self, id: &str) -> io::Result<()> {
        remove_tree(&self.temporary.join(id))
    }

    /// All instances on the shelf, with what could be read of each.
    pub(crate) fn all(&self) -> io::Result<Vec<(String, io::Result<Record>)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let id = entry.file_name().to_string_lossy().into_owned();
            all.push((id.clone(), read(&entry.path(), &id)));
        }
        Ok(all)
    }
}

fn read(directory: &Path, id: &str) -> io::Result<Record> {
    let record: Record = serde_json::from_slice(&fs::read(directory.join("record.json"))?)?;
    if record.version != VERSION || record.spec.id != id {
        return Err(io::Error::other(
            "the record is of another version or of another instance",
        ));
    }
    Ok(record)
}

fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
