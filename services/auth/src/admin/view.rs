//! An identity as operators and the person herself see it: never with what she signs in by.

use chassis::db::Db;
use common::id::{IdentityId, RealmId, UserId};
use common::time::Time;
use diesel::QueryResult;
use serde::Serialize;

use crate::identities::{Identity, Provider, store};
use crate::realms;

/// A way to sign in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProviderView {
    /// The provider.
    #[schema(value_type = String)]
    provider: Provider,
    /// What that knows the person by: an address, a number.
    entity_id: String,
    created_at: Time,
}

/// An identity.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct IdentityView {
    id: IdentityId,
    /// `platform`, or the id of somebody's own realm.
    realm: String,
    /// By which older clients know it, within its realm.
    number: Option<i64>,
    email: Option<String>,
    /// Whether the person has shown that the address is hers.
    email_verified: bool,
    email_verified_at: Option<Time>,
    /// What it may act as.
    #[schema(value_type = Vec<String>)]
    actors: Vec<common::token::ActorType>,
    /// The user it has become.
    user_id: Option<UserId>,
    disabled: bool,
    disabled_at: Option<Time>,
    /// Tokens of an older generation are revoked.
    generation: i64,
    created_at: Time,
    updated_at: Time,
    /// How it signs in; told of one identity only.
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<Vec<ProviderView>>,
    /// The realms it owns; told of one identity only.
    #[serde(skip_serializing_if = "Option::is_none")]
    realms: Option<Vec<RealmId>>,
    /// What the person has told of herself; told of one identity only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    user_metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

impl IdentityView {
    /// What a list tells of one.
    #[must_use]
    pub fn brief(identity: Identity, created_at: Time, updated_at: Time) -> Self {
        Self {
            realm: identity.realm.as_str().to_owned(),
            id: identity.id,
            number: identity.number,
            email: identity.email,
            email_verified: identity.email_verified_at.is_some(),
            email_verified_at: identity.email_verified_at,
            actors: identity.actors.into_iter().collect(),
            user_id: identity.user_id,
            disabled: identity.disabled_at.is_some(),
            disabled_at: identity.disabled_at,
            generation: identity.generation,
            created_at,
            updated_at,
            providers: None,
            realms: None,
            user_metadata: None,
        }
    }

    /// All that there is to tell.
    pub fn whole(db: &mut Db, identity: Identity) -> QueryResult<Self> {
        let (created_at, updated_at) = store::times(db, &identity.id)?;
        let providers = store::providers(db, &identity.id)?.into_iter();
        let providers = providers.map(|(provider, entity_id, created_at)| ProviderView {
            provider,
            entity_id,
            created_at,
        });
        let providers = Some(providers.collect());
        let realms = Some(realms::store::all_of(db, &identity.id)?);
        let user_metadata = Some(identity.user_metadata.clone());
        Ok(Self {
            providers,
            realms,
            user_metadata,
            ..Self::brief(identity, created_at, updated_at)
        })
    }

    /// The id, by which a list goes on.
    #[must_use]
    pub fn id(&self) -> &IdentityId {
        &self.id
    }
}
