//! Versions of what two people may edit: `ETag` (RFC 9110, section 8.8.3) and the problem of a stale one.

use common::problem::Problem;

/// The tag of a version.
pub(crate) fn tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// 412: somebody else was faster.
pub(crate) fn stale() -> Problem {
    Problem::new(
        412,
        "precondition_failed",
        "It was changed in the meantime; read it again and decide anew",
    )
}
