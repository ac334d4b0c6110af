//! Where a test may kill the process on a message's way.

pub use chassis::failpoint::pass;

chassis::failpoints! {
    /// The receiver has answered, and that isn't noted yet.
    SENT = "webhook.sent";
}
