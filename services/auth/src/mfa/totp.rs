//! Codes of authenticator apps: TOTP (RFC 6238) as all of them know it, SHA-1, six digits, 30 s.

use common::random;
use common::time::Time;
use totp_rs::{Algorithm, Builder, Totp};

/// How many digits a code has.
const DIGITS: u8 = 6;
/// How long one lasts, in seconds.
const STEP: u64 = 30;
/// How many steps before and after this one are taken as well (RFC 6238, section 5.2).
const SKEW: u16 = 1;
/// 160 bits, as long as the digest (RFC 4226, section 4).
const SECRET_LENGTH: usize = 20;

/// A kept secret that is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSecret(String);

/// A new secret.
pub(super) fn new_secret() -> [u8; SECRET_LENGTH] {
    random::bytes()
}

/// What an app is set up with.
pub(super) struct Enrolment {
    /// The secret in base32, to be typed.
    pub(super) secret: String,
    /// All of it, to be shown as a QR code.
    pub(super) url: String,
}

/// What an app of this account at this issuer is set up with. A colon, which divides the two in the
/// address, is taken out of either.
pub(super) fn enrolment(
    secret: &[u8],
    issuer: &str,
    account: &str,
) -> Result<Enrolment, InvalidSecret> {
    let plain = |text: &str| text.replace(':', " ");
    let totp = builder(secret)
        .with_issuer(Some(plain(issuer)))
        .with_account_name(plain(account))
        .build()
        .map_err(invalid)?;
    Ok(Enrolment {
        secret: totp.secret().to_base32(),
        url: totp.to_url().map_err(invalid)?,
    })
}

/// The step of time whose code this is, if it is one of now.
pub(super) fn step_of(secret: &[u8], code: &str, now: Time) -> Result<Option<i64>, InvalidSecret> {
    let digits = code.trim();
    if digits.len() != usize::from(DIGITS) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let seconds = u64::try_from(now.unix()).unwrap_or(0);
    let step = reader(secret)?.check(digits, seconds);
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

fn builder(secret: &[u8]) -> Builder {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_skew(SKEW)
        .with_step_duration(STEP)
        .with_secret(secret)
}

fn reader(secret: &[u8]) -> Result<Totp, InvalidSecret> {
    // The name is not part of a code, and an app has none without it.
    builder(secret)
        .with_account_name("account")
        .build()
        .map_err(invalid)
}

fn invalid(error: impl std::fmt::Display) -> InvalidSecret {
    InvalidSecret(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B.
    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn the_codes_of_the_standard_are_known() {
        // The last six of the eight digits that the standard prints.
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let step = step_of(SECRET, code, Time::from_unix(time)).unwrap();
            assert_eq!(step, Some(time / 30), "{code}");
        }
    }

    #[test]
    fn a_code_is_taken_one_step_early_or_late_and_no_more() {
        let at = |seconds: i64| step_of(SECRET, "081804", Time::from_unix(seconds)).unwrap();
        let step = Some(1_111_111_109 / 30);
        assert_eq!((at(1_111_111_079), at(1_111_111_139)), (step, step));
        assert_eq!((at(1_111_111_049), at(1_111_111_169)), (None, None));
    }

    #[test]
    fn what_is_no_code_is_not_one() {
        for code in ["", "28708", "2870822", "28708x", "٢٨٧٠٨٢", "+87082"] {
            assert_eq!(
                step_of(SECRET, code, Time::from_unix(59)).unwrap(),
                None,
                "{code}"
            );
        }
    }

    #[test]
    fn an_app_is_told_all_it_needs() {
        let told = enrolment(SECRET, "slip:way", "seb@x.dev").unwrap();
        assert_eq!(told.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(told.url.starts_with("otpauth://totp/"), "{}", told.url);
        assert!(
            told.url.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
            "{}",
            told.url
        );
        assert!(told.url.contains("issuer=slip%20way"), "{}", told.url);
        assert_ne!(new_secret(), new_secret());
    }
}
