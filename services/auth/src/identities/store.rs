//! Queries of identities.

use chassis::db::Db;
use chassis::on_backend;
use common::id::{IdentityId, UserId};
use common::time::Time;
use common::token::ActorType;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::{Identity, Provider, Realm};
use crate::schema::{granted_actors, identities, provider_identities, verifications};

#[derive(Queryable, Selectable)]
#[diesel(table_name = identities)]
struct Row {
    id: IdentityId,
    realm: String,
    number: Option<i64>,
    public_id: Option<String>,
    email: Option<String>,
    email_verified_at: Option<Time>,
    generation: i64,
    user_id: Option<UserId>,
    user_metadata: String,
    disabled_at: Option<Time>,
    version: i64,
}

impl Row {
    fn with_actors(self, actors: Vec<ActorType>) -> QueryResult<Identity> {
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
            diesel::result::Error::DeserializationError(error)
        };
        Ok(Identity {
            realm: self
                .realm
                .parse()
                .map_err(|error: common::id::InvalidId| unreadable(error.into()))?,
            user_metadata: serde_json::from_str(&self.user_metadata)
                .map_err(|error| unreadable(error.into()))?,
            id: self.id,
            number: self.number,
            public_id: self.public_id,
            disabled_at: self.disabled_at,
            email: self.email,
            email_verified_at: self.email_verified_at,
            generation: self.generation,
            user_id: self.user_id,
            version: self.version,
            actors: actors.into_iter().collect(),
        })
    }
}

/// The identity of this id.
pub fn find(db: &mut Db, id: &IdentityId) -> QueryResult<Option<Identity>> {
    let row = identities::table
        .find(id)
        .select(Row::as_select())
        .first(db)
        .optional()?;
    row.map(|row| complete(db, row)).transpose()
}

/// The identity that signs in by this, and the secret's hash, where there is one.
pub fn by_provider(
    db: &mut Db,
    realm: &Realm,
    provider: Provider,
    entity_id: &str,
) -> QueryResult<Option<(Identity, Option<String>)>> {
    let found = provider_identities::table
        .find((realm.as_str(), provider, entity_id))
        .inner_join(identities::table)
        .select((Row::as_select(), provider_identities::secret_hash))
        .first::<(Row, Option<String>)>(db)
        .optional()?;
    found
        .map(|(row, hash)| Ok((complete(db, row)?, hash)))
        .transpose()
}

/// The identity of this number in a realm.
pub fn by_number(db: &mut Db, realm: &Realm, number: i64) -> QueryResult<Option<Identity>> {
    let row = identities::table
        .filter(
            identities::realm
                .eq(realm.as_str())
                .and(identities::number.eq(number)),
        )
        .select(Row::as_select())
        .first(db)
        .optional()?;
    row.map(|row| complete(db, row)).transpose()
}

/// Whether somebody of a realm is called this by its project's server.
pub fn has_public_id(db: &mut Db, realm: &Realm, public_id: &str) -> QueryResult<bool> {
    let found = identities::table
        .filter(
            identities::realm
                .eq(realm.as_str())
                .and(identities::public_id.eq(public_id)),
        )
        .select(identities::id)
        .first::<IdentityId>(db)
        .optional()?;
    Ok(found.is_some())
}

/// Up to `limit` identities of a realm, the newest first, below a number if there is one.
pub fn page(
    db: &mut Db,
    realm: &Realm,
    below: Option<i64>,
    limit: i64,
) -> QueryResult<Vec<(Identity, Time, Time)>> {
    let mut query = identities::table
        .filter(
            identities::realm
                .eq(realm.as_str())
                .and(identities::number.is_not_null()),
        )
        .order(identities::number.desc())
        .limit(limit)
        .select((
            Row::as_select(),
            identities::created_at,
            identities::updated_at,
        ))
        .into_boxed();
    if let Some(below) = below {
        query = query.filter(identities::number.lt(below));
    }
    let rows: Vec<(Row, Time, Time)> = query.load(db)?;
    rows.into_iter()
        .map(|(row, created_at, updated_at)| Ok((complete(db, row)?, created_at, updated_at)))
        .collect()
}

/// What part of the identities an operator asks for.
#[derive(Clone, Default)]
pub struct Wanted {
    /// Only those of this realm.
    pub realm: Option<Realm>,
    /// Only those whose address begins with this, in its [normal](common::email::normal) form.
    pub email: Option<String>,
    /// Only those made before this one.
    pub after: Option<IdentityId>,
}

/// Up to `limit` identities with when they were made and last changed, newest first.
pub fn search(
    db: &mut Db,
    wanted: &Wanted,
    limit: i64,
) -> QueryResult<Vec<(Identity, Time, Time)>> {
    // Byte by byte, which is what the index is sorted by and what makes a range of a prefix.
    let bytewise = match db {
        Db::Postgres(_) => "email COLLATE \"C\"",
        Db::Sqlite(_) => "email COLLATE BINARY",
    };
    let mut query = identities::table
        .order(identities::id.desc())
        .limit(limit)
        .select((
            Row::as_select(),
            identities::created_at,
            identities::updated_at,
        ))
        .into_boxed();
    if let Some(realm) = &wanted.realm {
        query = query.filter(identities::realm.eq(realm.as_str()));
    }
    if let Some(after) = &wanted.after {
        query = query.filter(identities::id.lt(after));
    }
    if let Some(prefix) = &wanted.email {
        let above = format!("{prefix}{}", char::MAX);
        query = query
            .filter(sql::<Bool>(&format!("{bytewise} >= ")).bind::<Text, _>(prefix))
            .filter(sql::<Bool>(&format!("{bytewise} < ")).bind::<Text, _>(above));
    }
    let rows: Vec<(Row, Time, Time)> = query.load(db)?;
    rows.into_iter()
        .map(|(row, created_at, updated_at)| Ok((complete(db, row)?, created_at, updated_at)))
        .collect()
}

/// All of a realm.
pub fn all_of_realm(db: &mut Db, realm: &Realm) -> QueryResult<Vec<IdentityId>> {
    identities::table
        .filter(identities::realm.eq(realm.as_str()))
        .select(identities::id)
        .load(db)
}

/// By what an identity signs in: the provider, what that knows it by, and since when.
pub fn providers(db: &mut Db, id: &IdentityId) -> QueryResult<Vec<(Provider, String, Time)>> {
    provider_identities::table
        .filter(provider_identities::identity_id.eq(id))
        .order((
            provider_identities::created_at,
            provider_identities::provider,
        ))
        .select((
            provider_identities::provider,
            provider_identities::entity_id,
            provider_identities::created_at,
        ))
        .load(db)
}

/// Somebody else who isn't disabled and may act as this.
pub fn another(db: &mut Db, actor: ActorType, but: &IdentityId) -> QueryResult<Option<IdentityId>> {
    granted_actors::table
        .inner_join(identities::table)
        .filter(
            granted_actors::actor_type
                .eq(actor)
                .and(granted_actors::identity_id.ne(but))
                .and(identities::disabled_at.is_null()),
        )
        .order(granted_actors::identity_id)
        .select(granted_actors::identity_id)
        .first(db)
        .optional()
}

/// The identity that has become this user.
pub fn by_user(db: &mut Db, user: &UserId) -> QueryResult<Option<IdentityId>> {
    identities::table
        .filter(identities::user_id.eq(user))
        .select(identities::id)
        .first(db)
        .optional()
}

/// Notes that an identity is no user any more.
pub fn unset_user(db: &mut Db, id: &IdentityId, now: Time) -> QueryResult<usize> {
    diesel::update(identities::table.find(id))
        .set((
            identities::user_id.eq(None::<UserId>),
            identities::version.eq(identities::version + 1),
            identities::updated_at.eq(now),
        ))
        .execute(db)
}

/// When an identity was made and last changed.
pub fn times(db: &mut Db, id: &IdentityId) -> QueryResult<(Time, Time)> {
    identities::table
        .find(id)
        .select((identities::created_at, identities::updated_at))
        .first(db)
}

/// Gives an identity its number; answers how many rows that changed.
pub fn set_number(db: &mut Db, id: &IdentityId, number: i64) -> QueryResult<usize> {
    diesel::update(identities::table.find(id))
        .filter(identities::number.is_null())
        .set(identities::number.eq(number))
        .execute(db)
}

/// Notes what its project's own server calls an identity; it fails as a unique violation where
/// another of the realm is called so already.
pub fn set_public_id(db: &mut Db, id: &IdentityId, public_id: &str) -> QueryResult<()> {
    diesel::update(identities::table.find(id))
        .set(identities::public_id.eq(public_id))
        .execute(db)
        .map(drop)
}

/// Notes since when an identity can't sign in, or that it can.
pub fn set_disabled(
    db: &mut Db,
    id: &IdentityId,
    since: Option<Time>,
    now: Time,
) -> QueryResult<usize> {
    diesel::update(identities::table.find(id))
        .set((
            identities::disabled_at.eq(since),
            identities::version.eq(identities::version + 1),
            identities::updated_at.eq(now),
        ))
        .execute(db)
}

/// Removes an identity with all ways to sign in as it.
pub fn remove(db: &mut Db, id: &IdentityId) -> QueryResult<()> {
    diesel::delete(verifications::table.filter(verifications::identity_id.eq(id))).execute(db)?;
    diesel::delete(provider_identities::table.filter(provider_identities::identity_id.eq(id)))
        .execute(db)?;
    diesel::delete(granted_actors::table.filter(granted_actors::identity_id.eq(id))).execute(db)?;
    diesel::delete(identities::table.find(id)).execute(db)?;
    Ok(())
}

/// Whether anybody of the platform may act as this.
pub fn anybody_holds(db: &mut Db, actor: ActorType) -> QueryResult<bool> {
    let found = granted_actors::table
        .filter(granted_actors::actor_type.eq(actor))
        .select(granted_actors::identity_id)
        .first::<IdentityId>(db)
        .optional()?;
    Ok(found.is_some())
}

fn complete(db: &mut Db, row: Row) -> QueryResult<Identity> {
    let actors = granted_actors::table
        .filter(granted_actors::identity_id.eq(&row.id))
        .select(granted_actors::actor_type)
        .load::<ActorType>(db)?;
    row.with_actors(actors)
}

/// Keeps a new identity, without what it may act as.
pub fn insert(db: &mut Db, identity: &Identity, now: Time) -> QueryResult<()> {
    let metadata = serde_json::Value::Object(identity.user_metadata.clone()).to_string();
    diesel::insert_into(identities::table)
        .values((
            identities::id.eq(&identity.id),
            identities::realm.eq(identity.realm.as_str()),
            identities::public_id.eq(&identity.public_id),
            identities::email.eq(&identity.email),
            identities::email_verified_at.eq(identity.email_verified_at),
            identities::generation.eq(identity.generation),
            identities::user_id.eq(&identity.user_id),
            identities::user_metadata.eq(metadata),
            identities::version.eq(identity.version),
            identities::created_at.eq(now),
            identities::updated_at.eq(now),
        ))
        .execute(db)?;
    Ok(())
}

/// Lets an identity sign in by this; it fails as a unique violation where another does already.
pub fn add_provider(
    db: &mut Db,
    identity: &Identity,
    provider: Provider,
    entity_id: &str,
    secret_hash: Option<&str>,
    now: Time,
) -> QueryResult<()> {
    diesel::insert_into(provider_identities::table)
        .values((
            provider_identities::realm.eq(identity.realm.as_str()),
            provider_identities::provider.eq(provider),
            provider_identities::entity_id.eq(entity_id),
            provider_identities::identity_id.eq(&identity.id),
            provider_identities::secret_hash.eq(secret_hash),
            provider_identities::created_at.eq(now),
            provider_identities::updated_at.eq(now),
        ))
        .execute(db)?;
    Ok(())
}

/// Whether somebody of a realm has this address, verified or not.
pub fn email_is_known(db: &mut Db, realm: &Realm, email: &str) -> QueryResult<bool> {
    let found = identities::table
        .filter(
            identities::realm
                .eq(realm.as_str())
                .and(identities::email.eq(email)),
        )
        .select(identities::id)
        .first::<IdentityId>(db)
        .optional()?;
    Ok(found.is_some())
}

/// Whether an identity can sign in by this provider.
pub fn has_provider(db: &mut Db, id: &IdentityId, provider: Provider) -> QueryResult<bool> {
    let found = provider_identities::table
        .filter(
            provider_identities::identity_id
                .eq(id)
                .and(provider_identities::provider.eq(provider)),
        )
        .select(provider_identities::entity_id)
        .first::<String>(db)
        .optional()?;
    Ok(found.is_some())
}

/// Replaces the hash of an identity's secret; answers how many rows that changed.
pub fn set_secret(
    db: &mut Db,
    identity: &IdentityId,
    provider: Provider,
    secret_hash: &str,
    now: Time,
) -> QueryResult<usize> {
    diesel::update(provider_identities::table)
        .filter(
            provider_identities::identity_id
                .eq(identity)
                .and(provider_identities::provider.eq(provider)),
        )
        .set((
            provider_identities::secret_hash.eq(secret_hash),
            provider_identities::updated_at.eq(now),
        ))
        .execute(db)
}

/// Replaces the hash of a secret that is still the same, by another of the same secret; answers how
/// many rows that changed.
pub fn renew_secret(
    db: &mut Db,
    identity: &IdentityId,
    provider: Provider,
    (before, after): (&str, &str),
) -> QueryResult<usize> {
    diesel::update(provider_identities::table)
        .filter(
            provider_identities::identity_id
                .eq(identity)
                .and(provider_identities::provider.eq(provider))
                .and(provider_identities::secret_hash.eq(before)),
        )
        .set(provider_identities::secret_hash.eq(after))
        .execute(db)
}

/// Notes the user of an identity that has none; answers how many rows that changed.
pub fn set_user(db: &mut Db, id: &IdentityId, user: &UserId, now: Time) -> QueryResult<usize> {
    diesel::update(identities::table.find(id))
        .filter(identities::user_id.is_null())
        .set((
            identities::user_id.eq(user),
            identities::version.eq(identities::version + 1),
            identities::updated_at.eq(now),
        ))
        .execute(db)
}

/// Notes that the person has shown that the address is hers.
pub fn set_email_verified(db: &mut Db, id: &IdentityId, now: Time) -> QueryResult<usize> {
    diesel::update(identities::table.find(id))
        .set((
            identities::email_verified_at.eq(now),
            identities::version.eq(identities::version + 1),
            identities::updated_at.eq(now),
        ))
        .execute(db)
}

/// Begins a new generation of tokens.
pub fn bump_generation(db: &mut Db, id: &IdentityId, now: Time) -> QueryResult<usize> {
    diesel::update(identities::table.find(id))
        .set((
            identities::generation.eq(identities::generation + 1),
            identities::version.eq(identities::version + 1),
            identities::updated_at.eq(now),
        ))
        .execute(db)
}

/// Begins the generation after this one, if that hasn't happened; answers how many rows that changed.
pub fn end_generation(
    db: &mut Db,
    id: &IdentityId,
    generation: i64,
    now: Time,
) -> QueryResult<usize> {
    diesel::update(identities::table.find(id))
        .filter(identities::generation.eq(generation))
        .set((
            identities::generation.eq(identities::generation + 1),
            identities::version.eq(identities::version + 1),
            identities::updated_at.eq(now),
        ))
        .execute(db)
}

/// By what an identity signs in at a provider, and the secret's hash, where there is one.
pub fn entity_of(
    db: &mut Db,
    id: &IdentityId,
    provider: Provider,
) -> QueryResult<Option<(String, Option<String>)>> {
    provider_identities::table
        .filter(provider_identities::identity_id.eq(id))
        .filter(provider_identities::provider.eq(provider))
        .select((
            provider_identities::entity_id,
            provider_identities::secret_hash,
        ))
        .first(db)
        .optional()
}

/// Gives an identity another address, which the person has shown to be hers, and has her sign in by
/// it; it fails as a unique violation where another does already.
pub fn set_email(db: &mut Db, id: &IdentityId, email: &str, now: Time) -> QueryResult<()> {
    diesel::update(provider_identities::table)
        .filter(provider_identities::identity_id.eq(id))
        .filter(provider_identities::provider.eq(Provider::Emailpass))
        .set((
            provider_identities::entity_id.eq(email),
            provider_identities::updated_at.eq(now),
        ))
        .execute(db)?;
    diesel::update(identities::table.find(id))
        .set((
            identities::email.eq(email),
            identities::email_verified_at.eq(now),
            identities::version.eq(identities::version + 1),
            identities::updated_at.eq(now),
        ))
        .execute(db)
        .map(drop)
}

/// Lets an identity act as this, if it may not already.
pub fn grant(db: &mut Db, identity: &IdentityId, actor: ActorType, now: Time) -> QueryResult<()> {
    let row = (
        granted_actors::identity_id.eq(identity),
        granted_actors::actor_type.eq(actor),
        granted_actors::granted_at.eq(now),
    );
    on_backend!(db, conn => diesel::insert_into(granted_actors::table).values(row).on_conflict_do_nothing().execute(conn))?;
    Ok(())
}

/// Takes an actor type from an identity; answers how many rows that changed.
pub fn withdraw(db: &mut Db, identity: &IdentityId, actor: ActorType) -> QueryResult<usize> {
    diesel::delete(granted_actors::table.find((identity, actor))).execute(db)
}
