//! Randomness, always the operating system's.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};

/// `N` random bytes.
///
/// # Panics
/// When the operating system has no randomness to give: nothing that needs it may go on then.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "without randomness no secret may be made"
)]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system gives random bytes");
    bytes
}

/// How many bytes a thread fetches at once for what only has to be unique.
const RESERVE: usize = 1024;

thread_local! {
    static UNIQUE: RefCell<([u8; RESERVE], usize)> = const { RefCell::new(([0; RESERVE], RESERVE)) };
}

/// `N` random bytes for an id, which has to be unique and is no secret: for many of them the
/// operating system is asked once.
///
/// # Panics
/// As [`bytes`].
#[must_use]
pub fn unique<const N: usize>() -> [u8; N] {
    UNIQUE.with_borrow_mut(|(reserve, used)| {
        if RESERVE - *used < N {
            *reserve = bytes();
            *used = 0;
        }
        let taken = reserve
            .get(*used..*used + N)
            .and_then(|piece| piece.try_into().ok());
        *used = (*used + N).min(RESERVE);
        // More than the reserve ever holds is fetched for itself.
        taken.unwrap_or_else(bytes)
    })
}

/// A secret of 256 random bits in URL-safe base64 (43 characters).
#[must_use]
pub fn token() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// A number in `0..bound`, for jitter: not perfectly even, which jitter doesn't need.
#[must_use]
pub fn below(bound: u64) -> u64 {
    if bound == 0 {
        0
    } else {
        u64::from_le_bytes(bytes()) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn what_is_unique_stays_so_across_many_reserves() {
        let ids: HashSet<[u8; 10]> = (0..10_000).map(|_| unique()).collect();
        assert_eq!(ids.len(), 10_000);
        assert_ne!(unique::<{ RESERVE + 1 }>(), unique());
    }
}
