//! Codes to be written down, each good for one login.

use chassis::audit::{self, Entry};
use chassis::auth::Person;
use chassis::http::ClientAddress;
use common::digest::sha256_hex;
use common::random;
use serde_json::json;

use super::proof::{Allowance, allow};
use super::{MfaError, store};
use crate::state::State;

/// How many there are unless told, and at most.
const COUNT: usize = 10;
/// The most that can be asked for.
pub(super) const MOST: i64 = 50;
/// Letters and digits that nobody takes for others.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
/// How many of them a code has: 80 random bits, for which a fast digest is enough.
const LENGTH: usize = 16;
/// How many stand together.
const GROUP: usize = 4;

/// A new code, as it is shown once.
#[expect(
    clippy::indexing_slicing,
    reason = "the remainder is less than the alphabet's length"
)]
fn random_code() -> String {
    let letters = random::bytes::<LENGTH>().map(|byte| ALPHABET[usize::from(byte % 32)]);
    let groups: Vec<_> = letters
        .chunks(GROUP)
        .map(|group| group.iter().copied().map(char::from).collect::<String>())
        .collect();
    groups.join("-")
}

/// What is kept of a code, however it is typed.
pub(super) fn digest_of(code: &str) -> String {
    let letters: String = code
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .take(LENGTH + 1)
        .collect::<String>()
        .to_lowercase();
    sha256_hex(letters.as_bytes())
}

/// Makes new codes in the place of all earlier ones.
pub async fn generate(
    state: &State,
    person: Person,
    count: Option<usize>,
    allowance: Allowance,
    address: ClientAddress,
) -> Result<Vec<String>, MfaError> {
    let codes: Vec<_> = (0..count.unwrap_or(COUNT)).map(|_| random_code()).collect();
    let digests: Vec<_> = codes.iter().map(|code| digest_of(code)).collect();
    let (sealer, now) = (state.sealer.clone(), state.clock.now());
    state
        .db
        .write(move |db| {
            let identity = &person.identity_id;
            chassis::db::lock(db, &store::lock_name(identity))?;
            if store::enabled(db, identity)?.is_none() {
                return Err(MfaError::NothingEnabled);
            }
            if let Err(refused) = allow(db, &sealer, &person.claims, &allowance, address, now)? {
                return Ok(Err(refused));
            }
            store::replace_recovery_codes(db, identity, &digests, now)?;
            let entry = Entry::by(
                &person.claims,
                "mfa.recovery_codes_made",
                identity.as_str(),
                address,
            );
            audit::record(db, &entry.with(json!({ "count": digests.len() })), now)?;
            Ok(Ok(()))
        })
        .await??;
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_long_and_is_known_however_it_is_typed() {
        let code = random_code();
        assert_eq!(code.len(), LENGTH + LENGTH / GROUP - 1, "{code}");
        assert_ne!(code, random_code());
        let typed = format!(" {} ", code.replace('-', " ").to_uppercase());
        assert_eq!(digest_of(&typed), digest_of(&code));
        assert_ne!(digest_of(&format!("{code}x")), digest_of(&code));
        assert!(!digest_of(&code).contains(&code));
    }
}
