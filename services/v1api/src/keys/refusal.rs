//! What callers are told of a key that can't be had or changed.

use chassis::http::ApiError;
use common::problem::Problem;

use super::{KeyError, LONGEST_LIFETIME, MOST_KEYS, SHORTEST_LIFETIME, rotate};

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::ScopeEscalation(beyond) => {
                let names: Vec<String> = beyond.iter().map(ToString::to_string).collect();
                let detail = format!(
                    "A key can't do what its maker may not: {}",
                    names.join(", ")
                );
                Problem::forbidden("scope_escalation", detail)
                    .with("scopes", names)
                    .into()
            }
            KeyError::Namespace => Problem::forbidden(
                "namespace_not_allowed",
                "A key reaches its maker's own namespace only",
            )
            .into(),
            KeyError::Account => {
                let detail = "A key can be confined to an account of its maker only, and stays where its maker is confined to";
                Problem::forbidden("account_not_allowed", detail).into()
            }
            KeyError::Realm { named: true } => Problem::forbidden(
                "realm_not_allowed",
                "A key works with the clients of a realm of its maker's only",
            )
            .into(),
            KeyError::Realm { named: false } => Problem::unprocessable(
                "realm_required",
                "The scope `clients` needs a realm, and you have none yet: POST /v1/realms",
            )
            .into(),
            KeyError::Lifetime => {
                let (least, most) = (
                    SHORTEST_LIFETIME.num_seconds(),
                    LONGEST_LIFETIME.num_seconds(),
                );
                let rule = format!(
                    "must be {least} to {most} seconds, and end no later than the key it is made with"
                );
                Problem::invalid_field("expires_in", rule).into()
            }
            KeyError::Restrictions => Problem::forbidden(
                "restriction_escalation",
                "A key can't be used where its maker can't be, and a key can only be narrowed by a key",
            )
            .into(),
            KeyError::Field(field, why) => Problem::invalid_field(field, why).into(),
            KeyError::Missing => Problem::not_found("API key").into(),
            KeyError::Ended => {
                Problem::conflict("key_ended", "The key is revoked or has ended").into()
            }
            KeyError::Changed => {
                Problem::conflict("key_changed", "The key was changed meanwhile; try again").into()
            }
            KeyError::Overlap => {
                let most = rotate::LONGEST_OVERLAP.num_seconds();
                Problem::invalid_field("overlap", format!("must be 0 to {most} seconds")).into()
            }
            KeyError::TooManyTokens => Problem::conflict(
                "too_many_tokens",
                format!(
                    "{} earlier tokens of this key live on already; rotate with an `overlap` of 0 to end them",
                    rotate::MOST_RETIRED
                ),
            )
            .into(),
            KeyError::Wider => Problem::forbidden(
                "scope_escalation",
                "A key can be changed only by one that can do all that it can",
            )
            .into(),
            KeyError::TooMany => Problem::conflict(
                "too_many_keys",
                format!("There are {MOST_KEYS} keys already; revoke some first"),
            )
            .into(),
            KeyError::Db(error) => error.into(),
        }
    }
}
