//! Hashes that other systems have made: bcrypt, scrypt and PBKDF2 in the forms in which people bring
//! them along. They are only ever compared with; the first right password is hashed anew.
//!
//! | form | from |
//! |---|---|
//! | `$2a$`, `$2b$`, `$2y$` | bcrypt: `GoTrue`, Devise, PHP, better-auth, many others |
//! | `$scrypt$ln=…,r=…,p=…$salt$hash` | PHC |
//! | base64 of `scrypt\0…`, 96 bytes | Medusa's `emailpass` (the npm package `scrypt-kdf`) |
//! | `$fbscrypt$v=1,n=…,r=…,p=…,ss=…,sk=…$salt$hash` | Firebase, as `GoTrue` writes it |
//! | `$pbkdf2-sha256$i=…,l=…$salt$hash`, also with a bare number | PHC, passlib |
//! | `pbkdf2_sha256$…$salt$hash` | Django |
//! | `$argon2id$…` and its siblings | as it is |

use std::num::NonZeroU32;

use aes::Aes256;
use aes::cipher::{BlockEncrypt as _, KeyInit as _};
use argon2::Params as Argon2Params;
use argon2::password_hash::PasswordHash;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, general_purpose};
use ring::digest::SHA256;
use ring::{digest, hmac, pbkdf2};
use subtle::ConstantTimeEq as _;

use super::Password;

/// The most that one comparison may cost, whatever a hash says of itself: about a second. Hashing has
/// few turns, and nobody may take them all for a minute.
const MOST_BCRYPT: u32 = 14;
const MOST_PBKDF2: u32 = 2_000_000;
/// In bytes, and in blocks that are gone over.
const MOST_SCRYPT_MEMORY: u64 = 128 * 1024 * 1024;
const MOST_SCRYPT_WORK: u64 = 1 << 22;
/// In KiB, and in KiB that are gone over.
const MOST_ARGON2_MEMORY: u32 = 256 * 1024;
const MOST_ARGON2_WORK: u64 = 1024 * 1024;

/// The longest hash that is looked at.
const LONGEST: usize = 512;

/// Base64 as all of them write it, with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const BCRYPT: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, general_purpose::NO_PAD);

/// Why a hash isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// It is of no form that is known here.
    #[error("its form is not known")]
    Form,
    /// It is damaged.
    #[error("it can't be read")]
    Damaged,
    /// Comparing with it would take too long.
    #[error("it costs more than a sign-in may")]
    TooCostly,
}

/// A hash that isn't argon2's.
pub(super) enum Foreign {
    Bcrypt {
        cost: u32,
        salt: [u8; 16],
        hash: Vec<u8>,
    },
    Scrypt {
        cost: scrypt::Params,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// The head of 64 bytes, and its authentication code under half of what scrypt gives.
    ScryptKdf {
        cost: scrypt::Params,
        head: Vec<u8>,
        code: Vec<u8>,
    },
    /// The signer's key, encrypted under what scrypt gives.
    Firebase {
        cost: scrypt::Params,
        salt: Vec<u8>,
        signer: Vec<u8>,
        hash: Vec<u8>,
    },
    Pbkdf2 {
        algorithm: pbkdf2::Algorithm,
        rounds: NonZeroU32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
}

/// Whether a hash from elsewhere can be compared with, at a bearable cost.
pub fn check_imported(text: &str) -> Result<(), Unsupported> {
    if text.len() > LONGEST {
        return Err(Unsupported::Damaged);
    }
    if Foreign::parse(text)?.is_some() {
        return Ok(());
    }
    if !text.starts_with("$argon2") {
        return Err(Unsupported::Form);
    }
    let hash = PasswordHash::new(text).map_err(|_| Unsupported::Damaged)?;
    let params = Argon2Params::try_from(&hash).map_err(|_| Unsupported::Damaged)?;
    if hash.hash.is_none() || hash.salt.is_none() {
        return Err(Unsupported::Damaged);
    }
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() > MOST_ARGON2_MEMORY || work > MOST_ARGON2_WORK {
        return Err(Unsupported::TooCostly);
    }
    Ok(())
}

impl Foreign {
    /// Reads a hash; none if its form is none of these. What it costs is looked at each time: a table
    /// may have been written by others.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, Unsupported> {
        let fields: Vec<&str> = text.split('$').collect();
        match fields.as_slice() {
            ["", "2a" | "2b" | "2y", cost, rest] => bcrypt_hash(cost, rest).map(Some),
            ["", "scrypt", cost, salt, hash] => {
                let [log_n, r, p] = numbers(cost, ["ln", "r", "p"])?;
                Ok(Some(Self::Scrypt {
                    cost: scrypt_cost(log_n, r, p)?,
                    salt: decode(salt)?,
                    hash: decode_hash(hash)?,
                }))
            }
            ["", "fbscrypt", cost, salt, hash] => firebase(cost, salt, hash).map(Some),
            ["", name, rounds, salt, hash] if name.starts_with("pbkdf2") => {
                let algorithm =
                    algorithm(name.trim_start_matches("pbkdf2").trim_start_matches('-'))?;
                let rounds = rounds
                    .split(',')
                    .find_map(|part| part.strip_prefix("i="))
                    .unwrap_or(rounds);
                // passlib writes `.` for `+`.
                let (salt, hash) = (salt.replace('.', "+"), hash.replace('.', "+"));
                pbkdf2_hash(algorithm, rounds, decode(&salt)?, &hash).map(Some)
            }
            [name, rounds, salt, hash] if name.starts_with("pbkdf2_") => {
                let algorithm = algorithm(name.trim_start_matches("pbkdf2_"))?;
                pbkdf2_hash(algorithm, rounds, salt.as_bytes().to_vec(), hash).map(Some)
            }
            // base64 of `scrypt\0`, as far as the letters are decided by that.
            [text] if text.starts_with("c2NyeXB0A") => scrypt_kdf(text).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether it is the hash of this password.
    pub(super) fn is_of(&self, password: &Password) -> bool {
        let typed = password.text().as_bytes();
        match self {
            Self::Bcrypt { cost, salt, hash } => {
                // What bcrypt has always done: a NUL at the end, and no more than 72 bytes.
                let mut input = typed.to_vec();
                input.push(0);
                input.truncate(72);
                let made = bcrypt::bcrypt(*cost, *salt, &input);
                made.get(..23).is_some_and(|made| same(made, hash))
            }
            Self::Scrypt { cost, salt, hash } => {
                let mut made = vec![0; hash.len()];
                derive(typed, salt, cost, &mut made) && same(&made, hash)
            }
            Self::ScryptKdf { cost, head, code } => {
                let mut made = [0; 64];
                let salt = head.get(16..48).unwrap_or_default();
                if !derive(typed, salt, cost, &mut made) {
                    return false;
                }
                let (_, key) = made.split_at(32);
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), head, code).is_ok()
            }
            Self::Firebase {
                cost,
                salt,
                signer,
                hash,
            } => {
                let mut key = [0; 32];
                derive(typed, salt, cost, &mut key) && same(&encrypted(key, signer), hash)
            }
            Self::Pbkdf2 {
                algorithm,
                rounds,
                salt,
                hash,
            } => pbkdf2::verify(*algorithm, *rounds, salt, typed, hash).is_ok(),
        }
    }
}

fn same(made: &[u8], kept: &[u8]) -> bool {
    made.ct_eq(kept).into()
}

fn derive(typed: &[u8], salt: &[u8], cost: &scrypt::Params, made: &mut [u8]) -> bool {
    scrypt::scrypt(typed, salt, cost, made).is_ok()
}

/// AES-256 in counter mode from zero on.
fn encrypted(key: [u8; 32], text: &[u8]) -> Vec<u8> {
    let cipher = Aes256::new(&key.into());
    let mut made = Vec::with_capacity(text.len());
    for (counter, chunk) in (0_u128..).zip(text.chunks(16)) {
        let mut block = counter.to_be_bytes().into();
        cipher.encrypt_block(&mut block);
        made.extend(chunk.iter().zip(block).map(|(text, mask)| text ^ mask));
    }
    made
}

fn bcrypt_hash(cost: &str, rest: &str) -> Result<Foreign, Unsupported> {
    let (salt, hash) = rest.split_at_checked(22).ok_or(Unsupported::Damaged)?;
    let decode = |text: &str| BCRYPT.decode(text).map_err(|_| Unsupported::Damaged);
    let (salt, hash) = (decode(salt)?, decode(hash)?);
    let cost = number(cost)?;
    if !(4..=31).contains(&cost) || hash.len() != 23 {
        return Err(Unsupported::Damaged);
    }
    if cost > MOST_BCRYPT {
        return Err(Unsupported::TooCostly);
    }
    Ok(Foreign::Bcrypt {
        cost,
        salt: salt.try_into().map_err(|_| Unsupported::Damaged)?,
        hash,
    })
}

fn scrypt_cost(log_n: u32, r: u32, p: u32) -> Result<scrypt::Params, Unsupported> {
    let log_n = u8::try_from(log_n).map_err(|_| Unsupported::TooCostly)?;
    let blocks = 1_u64
        .checked_shl(u32::from(log_n))
        .and_then(|n| n.checked_mul(u64::from(r)));
    let memory = blocks.and_then(|blocks| blocks.checked_mul(128));
    let work = blocks.and_then(|blocks| blocks.checked_mul(u64::from(p)));
    if memory.is_none_or(|memory| memory > MOST_SCRYPT_MEMORY)
        || work.is_none_or(|work| work > MOST_SCRYPT_WORK)
    {
        return Err(Unsupported::TooCostly);
    }
    scrypt::Params::new(log_n, r, p, 32).map_err(|_| Unsupported::Damaged)
}

fn scrypt_kdf(text: &str) -> Result<Foreign, Unsupported> {
    let bytes = STANDARD.decode(text).map_err(|_| Unsupported::Damaged)?;
    let (head, code) = bytes.split_at_checked(64).ok_or(Unsupported::Damaged)?;
    let sum = digest::digest(&SHA256, head.get(..48).unwrap_or_default());
    let (Some(log_n), Some(r), Some(p)) = (
        head.get(7),
        head.get(8..12).and_then(|bytes| bytes.try_into().ok()),
        head.get(12..16).and_then(|bytes| bytes.try_into().ok()),
    ) else {
        return Err(Unsupported::Damaged);
    };
    if code.len() != 32 || sum.as_ref().get(..16) != head.get(48..) {
        return Err(Unsupported::Damaged);
    }
    Ok(Foreign::ScryptKdf {
        cost: scrypt_cost(
            u32::from(*log_n),
            u32::from_be_bytes(r),
            u32::from_be_bytes(p),
        )?,
        head: head.to_vec(),
        code: code.to_vec(),
    })
}

fn firebase(cost: &str, salt: &str, hash: &str) -> Result<Foreign, Unsupported> {
    let [version, log_n, r, p] = numbers(cost, ["v", "n", "r", "p"])?;
    if version != 1 {
        return Err(Unsupported::Form);
    }
    let mut salt = decode(salt)?;
    salt.extend(decode(member(cost, "ss")?)?);
    Ok(Foreign::Firebase {
        cost: scrypt_cost(log_n, r, p)?,
        salt,
        signer: decode(member(cost, "sk")?)?,
        hash: decode_hash(hash)?,
    })
}

fn algorithm(name: &str) -> Result<pbkdf2::Algorithm, Unsupported> {
    match name {
        "" | "sha1" => Ok(pbkdf2::PBKDF2_HMAC_SHA1),
        "sha256" => Ok(pbkdf2::PBKDF2_HMAC_SHA256),
        "sha512" => Ok(pbkdf2::PBKDF2_HMAC_SHA512),
        _ => Err(Unsupported::Form),
    }
}

fn pbkdf2_hash(
    algorithm: pbkdf2::Algorithm,
    rounds: &str,
    salt: Vec<u8>,
    hash: &str,
) -> Result<Foreign, Unsupported> {
    let rounds = number(rounds)?;
    if rounds > MOST_PBKDF2 {
        return Err(Unsupported::TooCostly);
    }
    Ok(Foreign::Pbkdf2 {
        algorithm,
        rounds: NonZeroU32::new(rounds).ok_or(Unsupported::Damaged)?,
        salt,
        hash: decode_hash(hash)?,
    })
}

fn number(text: &str) -> Result<u32, Unsupported> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unsupported::Damaged);
    }
    // So many digits that they fit no number are no smaller cost.
    text.parse().map_err(|_| Unsupported::TooCostly)
}

/// What `name=` stands before, among parts divided by commas.
fn member<'a>(text: &'a str, name: &str) -> Result<&'a str, Unsupported> {
    text.split(',')
        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        .ok_or(Unsupported::Damaged)
}

fn numbers<const N: usize>(text: &str, names: [&str; N]) -> Result<[u32; N], Unsupported> {
    let mut found = [0; N];
    for (place, name) in found.iter_mut().zip(names) {
        *place = number(member(text, name)?)?;
    }
    Ok(found)
}

fn decode(text: &str) -> Result<Vec<u8>, Unsupported> {
    LENIENT.decode(text).map_err(|_| Unsupported::Damaged)
}

/// A hash of a few bytes would be anybody's.
fn decode_hash(text: &str) -> Result<Vec<u8>, Unsupported> {
    let hash = decode(text)?;
    if (16..=64).contains(&hash.len()) {
        Ok(hash)
    } else {
        Err(Unsupported::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse battery";

    /// Made by glibc, PostgreSQL's pgcrypto and Python's hashlib.
    const KNOWN: [&str; 9] = [
        "$2b$06$abcdefghijklmnopqrstuu50eFBEC8vQwBnuFXMHE45jBnqvQ8xz.",
        "$2y$06$abcdefghijklmnopqrstuu50eFBEC8vQwBnuFXMHE45jBnqvQ8xz.",
        "$2a$06$xMFsfiGs49S0Jveoy75AOuVPHzIYSOngr8DkwuDSmm/29Y/8YG9fu",
        "c2NyeXB0AAwAAAAIAAAAAQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fFGS2WqpQoYsa6sYq5waurxp6OZa99Vs5F8rA0RcOzm0upiP/vZoPkRSW9qyKwaU/",
        "$scrypt$ln=12,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$1NdiUFsPOMLP4vAV72BPXbc2QAIqjCpT3FqIc76ESZc",
        "$pbkdf2-sha256$i=20000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$YZPUgXYPKMyKakj2x5HB6c9KWXQgYCsDV54RnJ+S4jo",
        "$pbkdf2-sha512$i=20000,l=64$MDEyMzQ1Njc4OWFiY2RlZg$oVjNezIoqhFXTVTneIrDbwMbzWVL1HEFMmErgc2YtNSW3ZchyTpxPh2rMRT+o17uC3tQ9bv7Od3LfSJG4lMShA",
        "$pbkdf2-sha256$20000$MDEyMzQ1Njc4OWFiY2RlZg$YZPUgXYPKMyKakj2x5HB6c9KWXQgYCsDV54RnJ.S4jo",
        "pbkdf2_sha256$20000$saltysalt$JuwnnYHYfIuFzH6iX1EaDZbOk+C/VcfyRSiadryA4Vs=",
    ];

    #[test]
    fn the_right_password_is_known_by_each_form_and_no_other_one() {
        for hash in KNOWN {
            assert_eq!(check_imported(hash), Ok(()), "{hash}");
            let foreign = Foreign::parse(hash).unwrap().expect(hash);
            assert!(foreign.is_of(&Password::new(PASSWORD)), "{hash}");
            let wrong = Password::new("correct horse batterz");
            assert!(!foreign.is_of(&wrong), "{hash}");
        }
    }

    #[test]
    fn firebases_own_example_is_right() {
        let hash = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,\
            sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==\
            $42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
        assert_eq!(check_imported(hash), Ok(()));
        let foreign = Foreign::parse(hash).unwrap().unwrap();
        assert!(foreign.is_of(&Password::new("user1password")));
    }

    #[test]
    fn bcrypt_looks_at_no_more_than_72_bytes_as_it_always_has() {
        let hash = |typed: &str| {
            let mut input = typed.as_bytes().to_vec();
            input.push(0);
            input.truncate(72);
            let made = bcrypt::bcrypt(4, [7; 16], &input);
            format!(
                "$2b$04${}{}",
                BCRYPT.encode([7; 16]),
                BCRYPT.encode(&made[..23])
            )
        };
        let long = "x".repeat(100);
        let foreign = Foreign::parse(&hash(&long)).unwrap().unwrap();
        assert!(foreign.is_of(&Password::new(&long)));
        assert!(!foreign.is_of(&Password::new(&"x".repeat(71))));
    }

    #[test]
    fn what_would_cost_too_much_is_refused_before_it_is_tried() {
        for hash in [
            "$2b$31$abcdefghijklmnopqrstuu50eFBEC8vQwBnuFXMHE45jBnqvQ8xz.",
            "$2b$15$abcdefghijklmnopqrstuu50eFBEC8vQwBnuFXMHE45jBnqvQ8xz.",
            "$scrypt$ln=20,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$1NdiUFsPOMLP4vAV72BPXbc2QAIqjCpT3FqIc76ESZc",
            "$scrypt$ln=63,r=4294967295,p=4294967295$MDEyMzQ1Njc4OWFiY2RlZg$1NdiUFsPOMLP4vAV72BPXbc2QAIqjCpT3FqIc76ESZc",
            "$scrypt$ln=4,r=1,p=1073741823$MDEyMzQ1Njc4OWFiY2RlZg$1NdiUFsPOMLP4vAV72BPXbc2QAIqjCpT3FqIc76ESZc",
            "$pbkdf2-sha256$i=2147483648,l=32$MDEyMzQ1Njc4OWFiY2RlZg$YZPUgXYPKMyKakj2x5HB6c9KWXQgYCsDV54RnJ+S4jo",
            "pbkdf2_sha256$99999999999999999999$saltysalt$JuwnnYHYfIuFzH6iX1EaDZbOk+C/VcfyRSiadryA4Vs=",
            "$argon2id$v=19$m=4194304,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$1NdiUFsPOMLP4vAV72BPXbc2QAIqjCpT3FqIc76ESZc",
            "$argon2id$v=19$m=19456,t=4294967295,p=1$MDEyMzQ1Njc4OWFiY2RlZg$1NdiUFsPOMLP4vAV72BPXbc2QAIqjCpT3FqIc76ESZc",
        ] {
            assert_eq!(check_imported(hash), Err(Unsupported::TooCostly), "{hash}");
        }
    }

    #[test]
    fn what_is_no_hash_or_a_broken_one_is_refused() {
        for (hash, why) in [
            ("", Unsupported::Form),
            ("correct horse battery", Unsupported::Form),
            ("5f4dcc3b5aa765d61d8327deb882cf99", Unsupported::Form),
            ("$1$salt$hash", Unsupported::Form),
            ("$pbkdf2-md5$1000$c2FsdA$aGFzaA", Unsupported::Form),
            ("$2b$06$short", Unsupported::Damaged),
            (
                "$2b$03$abcdefghijklmnopqrstuu50eFBEC8vQwBnuFXMHE45jBnqvQ8xz.",
                Unsupported::Damaged,
            ),
            // A hash of nothing, which any password would have.
            (
                "$scrypt$ln=12,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$",
                Unsupported::Damaged,
            ),
            ("pbkdf2_sha256$20000$saltysalt$", Unsupported::Damaged),
            (
                "$pbkdf2-sha256$0$MDEyMw$YZPUgXYPKMyKakj2x5HB6c9KWXQgYCsDV54RnJ.S4jo",
                Unsupported::Damaged,
            ),
            (
                "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg",
                Unsupported::Damaged,
            ),
            ("c2NyeXB0AAwAAAAIAAAAAQABAgME", Unsupported::Damaged),
        ] {
            assert_eq!(check_imported(hash), Err(why), "{hash}");
        }
        assert_eq!(
            check_imported(&"$".repeat(100_000)),
            Err(Unsupported::Damaged)
        );
    }
}
