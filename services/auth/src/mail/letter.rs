//! The kinds of letters and what stands in them.

use common::time::{Span, Time};
use common::token::ActorType;
use serde::{Deserialize, Serialize};

use crate::identities::Provider;

common::text_enum! {
    /// What a letter is about.
    pub enum Kind {
        /// A code with which the reader shows that the address is hers.
        Verification = "verification",
        /// A link to choose a new password.
        ResetPassword = "reset_password",
        /// That the password is another.
        PasswordChanged = "password_changed",
        /// To the old address: that another is to take its place.
        EmailChangeRequested = "email_change_requested",
        /// To the old address: that another has taken its place.
        EmailChanged = "email_changed",
    }
}

/// A letter before it is put into words. Codes and tokens in it are secrets: it is kept sealed, and
/// `Debug` shows its kind only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Letter {
    /// A code with which the reader shows that the address is hers.
    Verification {
        /// The code.
        code: String,
        /// When it ends.
        ends_at: Time,
    },
    /// A link to choose a new password.
    ResetPassword {
        /// The token that is in it.
        token: String,
        /// When it ends.
        ends_at: Time,
        /// What the person wants to act as.
        actor: ActorType,
        /// How she signs in.
        provider: Provider,
        /// When she asked.
        requested_at: Time,
    },
    /// That the password is another.
    PasswordChanged {
        /// Since when.
        at: Time,
    },
    /// To the old address: that another is to take its place.
    EmailChangeRequested {
        /// The other.
        new_email: String,
        /// When that was asked for.
        at: Time,
    },
    /// To the old address: that another has taken its place.
    EmailChanged {
        /// The other.
        new_email: String,
        /// Since when.
        at: Time,
    },
}

impl Letter {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Verification { .. } => Kind::Verification,
            Self::ResetPassword { .. } => Kind::ResetPassword,
            Self::PasswordChanged { .. } => Kind::PasswordChanged,
            Self::EmailChangeRequested { .. } => Kind::EmailChangeRequested,
            Self::EmailChanged { .. } => Kind::EmailChanged,
        }
    }

    /// When what stands in it is of no use any more.
    #[must_use]
    pub fn ends_at(&self) -> Option<Time> {
        match self {
            Self::Verification { ends_at, .. } | Self::ResetPassword { ends_at, .. } => {
                Some(*ends_at)
            }
            Self::PasswordChanged { .. }
            | Self::EmailChangeRequested { .. }
            | Self::EmailChanged { .. } => None,
        }
    }
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Letter({})", self.kind())
    }
}

/// A span as people say it: `15 minutes`, `24 hours`.
pub(super) fn in_words(span: Span) -> String {
    let (count, unit) = match span.num_minutes() {
        minutes if minutes % 60 == 0 => (minutes / 60, "hour"),
        minutes => (minutes, "minute"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_shows_nothing_of_what_stands_in_it() {
        let letter = Letter::Verification {
            code: "hunter2".into(),
            ends_at: Time::EPOCH,
        };
        assert_eq!(format!("{letter:?}"), "Letter(verification)");
    }

    #[test]
    fn spans_are_said_in_the_unit_that_people_would_use() {
        assert_eq!(in_words(Span::minutes(15)), "15 minutes");
        assert_eq!(in_words(Span::hours(1)), "1 hour");
        assert_eq!(in_words(Span::days(1)), "24 hours");
    }
}
