//! API keys: made by a person or by another key, never able to do more than their maker.

pub(crate) mod events;
pub(crate) mod generate;
pub(crate) mod http;
mod refusal;
pub(crate) mod restrictions;
pub(crate) mod rotate;
pub(crate) mod store;
mod view;

use common::id::{AccountId, ApiKeyId, IdentityId, RealmId, UserId};
use common::names::DisplayName;
use common::scope::ScopeSet;
use common::time::{Span, Time};
use diesel::prelude::*;

use self::restrictions::{RestrictionChange, Restrictions};
use crate::limits;
use crate::schema::api_keys;

/// How long a key lives unless asked.
pub(crate) const DEFAULT_LIFETIME: Span = Span::days(90);
/// How long a key lives at most.
pub(crate) const LONGEST_LIFETIME: Span = Span::days(365);
/// How long a key lives at least.
pub(crate) const SHORTEST_LIFETIME: Span = Span::minutes(1);
/// How many keys one user may have that still work.
pub(crate) const MOST_KEYS: i64 = 500;

/// A key, without the key itself.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys)]
pub(crate) struct ApiKey {
    /// Its id, which is also its token's subject.
    pub(crate) id: ApiKeyId,
    /// Its token's `jti`.
    pub(crate) jti: String,
    /// Its maker.
    pub(crate) user_id: UserId,
    /// Its maker's identity.
    pub(crate) identity_id: IdentityId,
    /// The account it is confined to.
    pub(crate) account_id: Option<AccountId>,
    /// The realm whose clients it works with.
    pub(crate) realm_id: Option<RealmId>,
    /// What its maker calls it.
    pub(crate) name: Option<DisplayName>,
    /// What it may do at most.
    pub(crate) scopes: String,
    /// The namespace that it reaches.
    pub(crate) namespace: Option<String>,
    /// The key that it was made with.
    pub(crate) made_by_key: Option<String>,
    /// When it was made.
    pub(crate) created_at: Time,
    /// When it ends by itself.
    pub(crate) expires_at: Time,
    /// When it was revoked.
    pub(crate) revoked_at: Option<Time>,
    /// When it was last used.
    pub(crate) last_used_at: Option<Time>,
    /// Its version.
    pub(crate) version: i64,
    /// The networks that it may be used from, as JSON.
    pub(crate) allowed_addresses: String,
    /// The origins whose pages may use it, as JSON.
    pub(crate) allowed_origins: String,
    /// How often it may call, as JSON.
    pub(crate) limits: String,
    /// When its token was last replaced.
    pub(crate) rotated_at: Option<Time>,
    /// The last change that gateways have to know of; 0 for none.
    pub(crate) seq: i64,
}

impl ApiKey {
    /// What confines it beside its scopes.
    pub(crate) fn restrictions(&self) -> Restrictions {
        let list = |text: &str| serde_json::from_str(text).unwrap_or_default();
        Restrictions {
            addresses: list(&self.allowed_addresses),
            origins: list(&self.allowed_origins),
            limits: limits::from_text(&self.limits),
        }
    }

    /// Confines it to these from now on.
    pub(crate) fn restrict(&mut self, restrictions: &Restrictions) {
        self.allowed_addresses = serde_json::json!(restrictions.addresses).to_string();
        self.allowed_origins = serde_json::json!(restrictions.origins).to_string();
        self.limits = limits::to_text(&restrictions.limits);
    }

    /// Whether it still works.
    pub(crate) fn works(&self, now: Time) -> bool {
        self.revoked_at.is_none() && self.expires_at > now
    }

    /// Whether it can do nothing that another key can't, and reaches nothing beyond. Only then may that
    /// one be used to change it, or to get a token of it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let confined = |own: Option<&str>, other: Option<&str>| other.is_none() || own == other;
        self.scopes().beyond(&other.scopes()).is_empty()
            && self.namespace == other.namespace
            && confined(
                self.account_id.as_ref().map(AccountId::as_str),
                other.account_id.as_ref().map(AccountId::as_str),
            )
            && confined(
                self.realm_id.as_ref().map(RealmId::as_str),
                other.realm_id.as_ref().map(RealmId::as_str),
            )
            && self.expires_at <= other.expires_at
            && self.restrictions().is_within(&other.restrictions(), true)
    }

    /// Its scopes.
    pub(crate) fn scopes(&self) -> ScopeSet {
        self.scopes.parse().unwrap_or_default()
    }
}

/// What a key is asked to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// What its maker calls it.
    pub(crate) name: Option<DisplayName>,
    /// What it shall do; none takes the default.
    pub(crate) scopes: Option<ScopeSet>,
    /// How long it shall live.
    pub(crate) lifetime: Option<Span>,
    /// The namespace.
    pub(crate) namespace: Option<String>,
    /// The account it shall be confined to.
    pub(crate) account_id: Option<AccountId>,
    /// The realm whose clients it shall work with; none takes its maker's.
    pub(crate) realm_id: Option<RealmId>,
    /// What shall confine it beside.
    pub(crate) restrictions: RestrictionChange,
}

/// What its maker may give away.
#[derive(Clone, Debug)]
pub(crate) struct Maker {
    /// What the maker may do.
    pub(crate) scopes: ScopeSet,
    /// The namespace that the maker reaches.
    pub(crate) namespace: Option<String>,
    /// The account that the maker is confined to.
    pub(crate) account_id: Option<AccountId>,
    /// The realm of the maker, if it is a key that names one.
    pub(crate) realm_id: Option<RealmId>,
    /// The maker's own end, if it is a key.
    pub(crate) expires_at: Option<Time>,
    /// What confines the maker beside, if it is a key.
    pub(crate) restrictions: Restrictions,
}

/// Why a key can't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// It would do what its maker may not.
    #[error("scopes beyond the maker's: {0}")]
    ScopeEscalation(ScopeSet),
    /// It would reach another namespace.
    #[error("another namespace than the maker's")]
    Namespace,
    /// It would reach beyond the account that its maker is confined to, or one that its maker is no
    /// member of.
    #[error("another account than the maker's")]
    Account,
    /// It would work with the clients of a realm that its maker may not use, or of none where its maker
    /// has none.
    #[error("no realm of the maker's")]
    Realm {
        /// Whether one was asked for.
        named: bool,
    },
    /// It would live too long or too short.
    #[error("a lifetime out of bounds")]
    Lifetime,
    /// It would be used where its maker can't be, or more often.
    #[error("restrictions beyond the maker's")]
    Restrictions,
    /// A list can't be one.
    #[error("`{0}` {1}")]
    Field(&'static str, String),
    /// There would be too many.
    #[error("too many keys")]
    TooMany,
    /// There is none of that user.
    #[error("there is no such key")]
    Missing,
    /// It is revoked or has ended.
    #[error("the key has ended")]
    Ended,
    /// It was changed while its new token was made.
    #[error("the key was changed meanwhile")]
    Changed,
    /// An old token would live too long.
    #[error("an overlap out of bounds")]
    Overlap,
    /// Too many of its old tokens live on.
    #[error("too many tokens of one key")]
    TooManyTokens,
    /// The key that is used for this can't do all that it can.
    #[error("a key that can do more than the one that is used")]
    Wider,
    /// The database.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

/// What a key will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// What it may do at most.
    pub(crate) scopes: ScopeSet,
    /// The namespace that it reaches.
    pub(crate) namespace: Option<String>,
    /// The account it is confined to.
    pub(crate) account_id: Option<AccountId>,
    /// The realm that was asked for, or its maker's own, if it is a key that names one.
    pub(crate) realm_id: Option<RealmId>,
    /// When it ends.
    pub(crate) expires_at: Time,
    /// What confines it beside.
    pub(crate) restrictions: Restrictions,
}

/// Grants what was asked for as far as its maker has it, or says what is too much. `default` are
/// the scopes for a key that asks for none in particular; `namespace` is everyone's.
pub(crate) fn grant(
    wanted: &Wanted,
    maker: &Maker,
    default: ScopeSet,
    namespace: &str,
    now: Time,
) -> Result<Granted, KeyError> {
    let scopes = match &wanted.scopes {
        Some(scopes) => scopes.clone(),
        None => default
            .iter()
            .filter(|scope| maker.scopes.covers(scope))
            .cloned()
            .collect(),
    };
    let beyond = scopes.beyond(&maker.scopes);
    if !beyond.is_empty() {
        return Err(KeyError::ScopeEscalation(beyond.into_iter().collect()));
    }
    let own = maker.namespace.as_deref().unwrap_or(namespace);
    if wanted
        .namespace
        .as_deref()
        .is_some_and(|wanted| wanted != own)
    {
        return Err(KeyError::Namespace);
    }
    let account_id = match (&wanted.account_id, &maker.account_id) {
        (Some(wanted), Some(own)) if wanted != own => return Err(KeyError::Account),
        (wanted, own) => wanted.clone().or_else(|| own.clone()),
    };
    let realm_id = match (&wanted.realm_id, &maker.realm_id) {
        (Some(wanted), Some(own)) if wanted != own => return Err(KeyError::Realm { named: true }),
        (wanted, own) => wanted.clone().or_else(|| own.clone()),
    };
    // Its places are its maker's unless it names some of them. Limits aren't handed down: its maker's go
    // on counting what it does.
    let inherited = Restrictions {
        limits: Vec::new(),
        ..maker.restrictions.clone()
    };
    let change = wanted.restrictions.clone();
    change
        .check()
        .map_err(|(field, why)| KeyError::Field(field, why))?;
    let restrictions = change.applied_to(&inherited);
    if !restrictions.is_within(&maker.restrictions, false) {
        return Err(KeyError::Restrictions);
    }
    Ok(Granted {
        restrictions,
        realm_id,
        scopes,
        namespace: maker.namespace.clone(),
        account_id,
        expires_at: ends(wanted, maker, now)?,
    })
}

/// A lifetime that was asked for is granted or refused; the default one is cut to the maker's.
fn ends(wanted: &Wanted, maker: &Maker, now: Time) -> Result<Time, KeyError> {
    let latest = maker.expires_at.unwrap_or(now + LONGEST_LIFETIME);
    let Some(lifetime) = wanted.lifetime else {
        return Ok(latest.min(now + DEFAULT_LIFETIME));
    };
    if !(SHORTEST_LIFETIME..=LONGEST_LIFETIME).contains(&lifetime) || now + lifetime > latest {
        return Err(KeyError::Lifetime);
    }
    Ok(now + lifetime)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::EPOCH;

    fn set(text: &str) -> ScopeSet {
        text.parse().unwrap()
    }

    fn maker() -> Maker {
        Maker {
            scopes: set("projects:write usage:read"),
            namespace: None,
            account_id: None,
            realm_id: None,
            expires_at: None,
            restrictions: Restrictions::default(),
        }
    }

    fn granted(wanted: &Wanted, maker: &Maker) -> Result<Granted, KeyError> {
        grant(wanted, maker, set("usage:read services:read"), "micro", NOW)
    }

    #[test]
    fn a_key_can_do_no_more_than_its_maker_and_the_excess_is_named() {
        let wanted = Wanted {
            scopes: Some(set("projects:read builds:read projects:admin")),
            ..Wanted::default()
        };
        match granted(&wanted, &maker()) {
            Err(KeyError::ScopeEscalation(beyond)) => {
                assert_eq!(beyond, set("builds:read projects:admin"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(
            granted(&Wanted::default(), &maker()).unwrap().scopes,
            set("usage:read")
        );
    }

    #[test]
    fn a_key_made_by_a_key_ends_no_later_than_that_one() {
        let by_key = Maker {
            expires_at: Some(NOW + Span::days(10)),
            ..maker()
        };
        assert_eq!(
            granted(&Wanted::default(), &by_key).unwrap().expires_at,
            NOW + Span::days(10)
        );
        let wanted = Wanted {
            lifetime: Some(Span::days(11)),
            ..Wanted::default()
        };
        assert!(matches!(granted(&wanted, &by_key), Err(KeyError::Lifetime)));
        for lifetime in [Span::seconds(1), Span::days(366), Span::seconds(-5)] {
            let wanted = Wanted {
                lifetime: Some(lifetime),
                ..Wanted::default()
            };
            assert!(
                matches!(granted(&wanted, &maker()), Err(KeyError::Lifetime)),
                "{lifetime}"
            );
        }
    }

    #[test]
    fn a_key_made_by_one_that_names_a_realm_stays_with_that_realm() {
        let own = RealmId::new(NOW);
        let by_key = Maker {
            realm_id: Some(own.clone()),
            ..maker()
        };
        let granted_realm = granted(&Wanted::default(), &by_key).unwrap().realm_id;
        assert_eq!(granted_realm, Some(own));
        let other = Wanted {
            realm_id: Some(RealmId::new(NOW)),
            ..Wanted::default()
        };
        let refused = granted(&other, &by_key);
        assert!(matches!(refused, Err(KeyError::Realm { named: true })));
        assert!(granted(&other, &maker()).is_ok());
    }

    #[test]
    fn a_key_stays_in_its_makers_namespace_and_account() {
        let mine = AccountId::new(NOW);
        let confined = Maker {
            account_id: Some(mine.clone()),
            ..maker()
        };
        assert_eq!(
            granted(&Wanted::default(), &confined).unwrap().account_id,
            Some(mine)
        );
        let other = Wanted {
            account_id: Some(AccountId::new(NOW)),
            ..Wanted::default()
        };
        assert!(matches!(granted(&other, &confined), Err(KeyError::Account)));
        assert!(granted(&other, &maker()).is_ok());
        let namespace = |name: &str| Wanted {
            namespace: Some(name.into()),
            ..Wanted::default()
        };
        assert!(granted(&namespace("micro"), &maker()).is_ok());
        assert!(matches!(
            granted(&namespace("other"), &maker()),
            Err(KeyError::Namespace)
        ));
    }
}
