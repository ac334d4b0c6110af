//! Named points at which a test may kill the process, to show that nothing is lost there.
//!
//! `SLIPWAY_FAILPOINT=<name>` in the environment makes the process abort when it passes that
//! point. Without it a point costs one look at a static.

use std::sync::OnceLock;

/// Aborts the process if this is the point that the environment names.
#[doc(hidden)]
#[expect(
    clippy::disallowed_methods,
    reason = "a failpoint is no setting: it is for tests alone, and read before any settings are"
)]
pub fn pass(name: &str) {
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("SLIPWAY_FAILPOINT").ok());
    if chosen.as_deref() == Some(name) {
        tracing::error!(
            failpoint = name,
            "the process ends here, as it was asked to"
        );
        std::process::abort();
    }
}

/// Lists a crate's failpoints as constants, and all of them as `ALL`.
///
/// ```
/// chassis::failpoints! {
///     /// After the checkout, before anything is built.
///     AFTER_CHECKOUT = "build.after_checkout";
/// }
/// ```
#[macro_export]
macro_rules! failpoints {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$meta])* pub const $name: &str = $text;)+
        /// All of them, for the tests that visit each.
        pub const ALL: &[&str] = &[$($name),+];
    };
}
