//! The command lines of all processes of the machine, looked at all the time.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks; a process that lives shorter is seen in most of a test's many.
const PAUSE: Duration = Duration::from_millis(2);

/// Notes every command line until it is asked.
pub(super) struct Watch {
    over: Arc<AtomicBool>,
    watching: JoinHandle<HashSet<String>>,
}

impl Watch {
    pub(super) fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&over);
        let watching = std::thread::spawn(move || {
            let mut seen = HashSet::new();
            while !until.load(Ordering::Relaxed) {
                seen.extend(command_lines());
                std::thread::sleep(PAUSE);
            }
            seen
        });
        Self { over, watching }
    }

    /// All that were seen.
    pub(super) fn seen(self) -> HashSet<String> {
        self.over.store(true, Ordering::Relaxed);
        self.watching.join().unwrap()
    }
}

fn command_lines() -> impl Iterator<Item = String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|words| String::from_utf8_lossy(&words).replace('\0', " "))
}
