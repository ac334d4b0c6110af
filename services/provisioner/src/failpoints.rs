//! The points of a build, a switch and a removal at which a test may kill the process.

pub use chassis::failpoint::pass;

chassis::failpoints! {
    /// A worker has taken the build.
    CLAIMED = "build.claimed";
    /// The build is noted as being prepared.
    STARTED = "build.started";
    /// It is known which commit to fetch.
    CHECKOUT_KNOWN = "build.checkout_known";
    /// The commit's files are there.
    CHECKED_OUT = "build.checked_out";
    /// It is known how to build them.
    DETECTED = "build.detected";
    /// The first lines of the log are kept.
    LOG_FLUSHED = "build.log_flushed";
    /// The password of the environment's database is kept, the database not yet made.
    BEFORE_DATABASE = "build.before_database";
    /// The environment's database is there.
    AFTER_DATABASE = "build.after_database";
    /// The build's commands are about to run.
    BEFORE_PHASES = "build.before_phases";
    /// The build's commands have run.
    AFTER_PHASES = "build.after_phases";
    /// The release is on record.
    RELEASE_KEPT = "build.release_kept";
    /// The release command is about to run.
    BEFORE_RELEASE_COMMAND = "build.before_release_command";
    /// The release command has run.
    AFTER_RELEASE_COMMAND = "build.after_release_command";
    /// The new instance is on record, not yet started.
    INSTANCE_KEPT = "switch.instance_kept";
    /// The new instance is healthy.
    HEALTHY = "switch.healthy";
    /// The switch is about to be committed.
    BEFORE_SWITCH = "switch.before_commit";
    /// The switch is committed.
    AFTER_SWITCH = "switch.after_commit";
    /// The build is about to be noted as done.
    BEFORE_DONE = "build.before_done";
    /// An old instance is about to be stopped.
    BEFORE_RETIRED = "retire.before_stop";
    /// An old instance has stopped, and is still on record.
    AFTER_RETIRED = "retire.after_stop";
    /// An old release's directory is about to be removed.
    BEFORE_REMOVED = "retire.before_removal";
}

/// Those of a wake and of all other adjustments, which no build passes.
pub mod wake {
    chassis::failpoints! {
        /// An instance is about to be started.
        WAKING = "wake.before_start";
        /// It is live, and the job not yet done.
        AWAKE = "wake.after_commit";
    }
}
