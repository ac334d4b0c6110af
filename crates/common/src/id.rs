//! Identifiers: [TypeIDs](https://github.com/jetify-com/typeid), a prefix and a `UUIDv7` in base32.
//!
//! Each prefix is a Rust type of its own, so that an [`AccountId`] can't stand for a [`UserId`].

use uuid::Uuid;

use crate::random;
use crate::time::Time;

/// Why a text is not an identifier of the wanted type. It doesn't hold the text, which may be a secret
/// in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form `{prefix}_…`")]
pub struct InvalidId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX_LEN: usize = 26;

/// A `UUIDv7` (RFC 9562, section 5.7) of this time.
fn uuid_v7(now: Time) -> Uuid {
    let millis = u64::try_from(now.unix_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random::unique::<10>()).into_uuid()
}

/// The text of the lowest identifier of this millisecond: those of earlier ones sort before it.
#[doc(hidden)]
#[must_use]
pub fn lowest(prefix: &str, time: Time) -> String {
    let millis = u64::try_from(time.unix_millis()).unwrap_or(0);
    let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid();
    text(prefix, uuid)
}

fn text(prefix: &str, uuid: Uuid) -> String {
    let bits = uuid.as_u128();
    let mut text = String::with_capacity(prefix.len() + 1 + SUFFIX_LEN);
    text.push_str(prefix);
    text.push('_');
    text.extend((0..SUFFIX_LEN).rev().map(|place| {
        let digit = usize::try_from((bits >> (place * 5)) & 31).unwrap_or(0);
        char::from(ALPHABET.get(digit).copied().unwrap_or(b'0'))
    }));
    text
}

/// Whether `text` is `prefix_` and 26 base32 digits that fit 128 bits.
fn is_valid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .is_some_and(|suffix| {
            suffix.len() == SUFFIX_LEN
                && suffix.bytes().all(|byte| ALPHABET.contains(&byte))
                && suffix.bytes().next().is_some_and(|first| first <= b'7')
        })
}

/// The UUID that a valid identifier's text holds.
#[doc(hidden)]
#[must_use]
pub fn uuid(text: &str) -> Uuid {
    let suffix = text.rsplit('_').next().unwrap_or_default();
    let bits = suffix.bytes().fold(0_u128, |bits, byte| {
        let digit = ALPHABET.iter().position(|letter| *letter == byte);
        (bits << 5)
            | digit
                .and_then(|digit| u128::try_from(digit).ok())
                .unwrap_or(0)
    });
    Uuid::from_u128(bits)
}

/// A fresh identifier's text.
#[doc(hidden)]
#[must_use]
pub fn generate(prefix: &str, now: Time) -> String {
    text(prefix, uuid_v7(now))
}

/// Checks an identifier's text.
#[doc(hidden)]
pub fn parse(text: &str, prefix: &'static str) -> Result<String, InvalidId> {
    if is_valid(text, prefix) {
        Ok(text.to_owned())
    } else {
        Err(InvalidId { prefix })
    }
}

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$meta])*
        #[derive(
            Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize,
            diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
        )]
        #[serde(transparent)]
        #[diesel(sql_type = diesel::sql_types::Text)]
        pub struct $name(String);

        impl $name {
            /// What every id of this type begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id, sorted by `now`.
            #[must_use]
            pub fn new(now: Time) -> Self {
                Self(generate($prefix, now))
            }

            /// What sorts before every id of this millisecond or later, and after all earlier ones.
            #[must_use]
            pub fn lowest(time: Time) -> Self {
                Self(lowest($prefix, time))
            }

            /// The text form.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The UUID in it, for those who know no other form.
            #[must_use]
            pub fn uuid(&self) -> uuid::Uuid {
                $crate::id::uuid(&self.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text, $prefix).map(Self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": concat!("^", $prefix, "_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
                })
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some(concat!("^", $prefix, "_[0-7][0-9a-hjkmnp-tv-z]{25}$")))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}

        impl<DB> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                String::from_sql(bytes).map(Self)
            }
        }

        impl<DB> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, DB>) -> diesel::serialize::Result {
                self.0.as_str().to_sql(out)
            }
        }
    )+};
}

ids! {
    /// Someone who can authenticate (auth).
    IdentityId = "authid";
    /// The platform's record of a person (account).
    UserId = "user";
    /// An organisation or individual that owns projects (account).
    AccountId = "acc";
    /// An invitation to an account (account).
    InviteId = "invite";
    /// An identity's realm (auth).
    RealmId = "realm";
    /// A chain of refresh tokens (auth).
    RefreshFamilyId = "rtfam";
    /// A store or app (project).
    ProjectId = "proj";
    /// A place where a project runs (project).
    EnvironmentId = "projenv";
    /// One attempt to turn a commit into a release (project).
    BuildId = "build";
    /// A build's runnable result (provisioner).
    ReleaseId = "rel";
    /// A running copy of a release (provisioner).
    InstanceId = "inst";
    /// A key to call APIs with (v1api).
    ApiKeyId = "key";
    /// An event.
    EventId = "evt";
    /// A piece of durable work.
    JobId = "job";
    /// One HTTP request, in logs and answers.
    RequestId = "req";
    /// An entry of the audit log.
    AuditId = "audit";
    /// A token.
    TokenId = "tok";
    /// What came of a delivery of GitHub's for one account (github).
    DeliveryId = "dlv";
    /// An address that an account has its events told to (project).
    WebhookId = "whk";
    /// One event on its way to one such address (project).
    WebhookDeliveryId = "whd";
    /// A mail on its way out (auth).
    LetterId = "mail";
    /// A wish for a new password (auth).
    ResetRequestId = "reset";
    /// A code with which an address is verified (auth).
    VerificationId = "authver";
    /// A session by cookie (auth).
    SessionId = "sess";
    /// A second factor of an identity (auth).
    MfaFactorId = "mfa";
    /// A login that waits for its second factor (auth).
    MfaChallengeId = "mfachal";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_come_back_from_their_text() {
        let earlier = UserId::new(Time::from_unix(1_000));
        let later = UserId::new(Time::from_unix(2_000));
        assert!(earlier < later);
        assert_eq!(earlier.as_str().parse::<UserId>(), Ok(earlier));
    }

    #[test]
    fn a_times_lowest_id_divides_those_before_it_from_those_since() {
        let at = |millis: i64| Time::from_unix_micros(millis * 1_000 + 7);
        let bound = AuditId::lowest(at(5));
        assert!(AuditId::new(at(4)) < bound && bound <= AuditId::new(at(5)));
        assert_eq!(bound.as_str().parse::<AuditId>(), Ok(bound));
    }

    #[test]
    fn an_id_of_another_type_or_alphabet_is_refused() {
        let user = UserId::new(Time::from_unix(1_000));
        assert!(user.as_str().parse::<AccountId>().is_err());
        for text in [
            "",
            "user_",
            "user_l1h455vb4pex5vsknk084sn02q",
            "user_81h455vb4pex5vsknk084sn02q",
        ] {
            assert!(text.parse::<UserId>().is_err(), "{text}");
        }
        assert!(
            "projenv_01h455vb4pex5vsknk084sn02q"
                .parse::<EnvironmentId>()
                .is_ok()
        );
    }
}
