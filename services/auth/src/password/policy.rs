//! Which passwords are accepted (NIST SP 800-63B-4): length and a list of common ones, no
//! rules of composition.
//!
//! The list is the part of Django's from eight characters on (by Royce Williams, made of
//! leaked passwords; see `common.LICENSE`).

use super::Password;

/// Sorted, one to a line, in lower case.
const COMMON: &str = include_str!("common.txt");

/// The most that is accepted, in code points: far above the 64 that the standard asks for, and
/// little enough to hash at once.
const MAX_LENGTH: usize = 512;

common::text_enum! {
    /// Which rules hold.
    pub enum Policy {
        /// A least length, and no common password.
        Standard = "standard",
        /// Five characters and no list: as lax as older systems, for moving away from them.
        Seed = "seed",
    }
}

/// What a password must be like.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Which rules hold.
    pub policy: Policy,
    /// The least length under [`Policy::Standard`], in code points.
    pub min_length: usize,
}

/// Why a password isn't accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is shorter than this.
    #[error("Password should have at least {0} characters")]
    TooShort(usize),
    /// It is longer than this.
    #[error("Password should have at most {0} characters")]
    TooLong(usize),
    /// It is among those tried first.
    #[error("Password is one of the most common ones, which are tried first; choose another")]
    Common,
}

impl Rules {
    /// Checks a new password; one that is in use already is never checked again.
    pub fn check(&self, password: &Password) -> Result<(), Refused> {
        let least = match self.policy {
            Policy::Standard => self.min_length,
            Policy::Seed => 5,
        };
        let length = password.text().chars().count();
        if length < least {
            Err(Refused::TooShort(least))
        } else if length > MAX_LENGTH {
            Err(Refused::TooLong(MAX_LENGTH))
        } else if self.policy == Policy::Standard && is_common(password.text()) {
            Err(Refused::Common)
        } else {
            Ok(())
        }
    }
}

fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    COMMON.lines().any(|common| common == lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Rules = Rules {
        policy: Policy::Standard,
        min_length: 8,
    };
    const SEED: Rules = Rules {
        policy: Policy::Seed,
        min_length: 8,
    };

    fn check(rules: Rules, text: &str) -> Result<(), Refused> {
        rules.check(&Password::new(text))
    }

    #[test]
    fn a_password_is_measured_in_code_points_after_composition() {
        assert_eq!(check(STANDARD, "äöüßÄÖÜ"), Err(Refused::TooShort(8)));
        assert_eq!(check(STANDARD, "äöüßÄÖÜ€"), Ok(()));
        // Eight letters e, each with its accent as a code point of its own, are eight characters;
        // seven are too few, though they came as fourteen code points.
        assert_eq!(check(STANDARD, &"e\u{301}".repeat(8)), Ok(()));
        assert_eq!(
            check(STANDARD, &"e\u{301}".repeat(7)),
            Err(Refused::TooShort(8))
        );
    }

    #[test]
    fn at_least_sixty_four_characters_of_any_kind_are_accepted() {
        assert_eq!(check(STANDARD, &"correct horse 🐎 ".repeat(8)), Ok(()));
        assert_eq!(
            check(STANDARD, &"x".repeat(513)),
            Err(Refused::TooLong(512))
        );
    }

    #[test]
    fn a_common_password_is_refused_in_any_case_of_letters() {
        for text in [
            "password1",
            "PassWord1",
            "1234567890",
            "qwertyuiop",
            "iloveyou1",
        ] {
            assert_eq!(check(STANDARD, text), Err(Refused::Common), "{text}");
        }
    }

    #[test]
    fn no_composition_is_asked_for() {
        assert_eq!(check(STANDARD, "lowercase only words"), Ok(()));
    }

    #[test]
    fn the_lax_policy_takes_what_older_systems_took() {
        assert_eq!(check(SEED, "verte"), Ok(()));
        assert_eq!(check(SEED, "test1234"), Ok(()));
        assert_eq!(check(SEED, "four"), Err(Refused::TooShort(5)));
    }

    #[test]
    fn the_list_is_sorted_and_in_lower_case() {
        let lines: Vec<_> = COMMON.lines().collect();
        assert!(lines.len() > 3_000 && lines.is_sorted());
        assert!(
            lines
                .iter()
                .all(|line| line.to_lowercase() == *line && line.chars().count() >= 8)
        );
    }
}
