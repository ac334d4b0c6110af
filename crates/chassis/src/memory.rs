//! Giving memory back to the system.

/// Has large pieces of memory returned to the system as soon as they are freed.
///
/// One password hash takes 19 MiB for some milliseconds. By default glibc takes the first such piece as a
/// sign that more will come, and keeps it: a process that has seen one login then holds half as
/// much again as one that has not.
pub fn return_large_pieces() {
    #[cfg(target_env = "gnu")]
    {
        /// In bytes: below what a hash takes, above what a request does.
        const LARGE: libc::c_int = 4 * 1024 * 1024;
        #[expect(unsafe_code, reason = "no safe wrapper for mallopt")]
        // SAFETY: mallopt may be called at any time by any thread (mallopt(3), MT-Safe), and takes
        // two numbers; it fails without effect where it doesn't know the first.
        let _kept_if_refused = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
    }
}
