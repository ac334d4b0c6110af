//! Where a test may kill the process on a letter's way.

pub use chassis::failpoint::pass;

chassis::failpoints! {
    /// The worker has letters in hand.
    CLAIMED = "mail.claimed";
    /// The letters are out, and that isn't noted yet.
    HANDED_OVER = "mail.handed_over";
    /// It is noted.
    NOTED = "mail.noted";
}
