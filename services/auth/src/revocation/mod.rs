//! Revocation of tokens: by token, by a subject's generation, by signing key.
//!
//! Entries go into the feed `revocations`, of which every process keeps a copy, and out as an
//! event. They live as long as the longest token they cover.

use chassis::db::Db;
use chassis::events::HandlerError;
use common::event::{AuthEvent, Envelope, GatewayEvent, TokensRevoked};
use common::time::{Span, Time};
use diesel::QueryResult;

/// The feed's name.
pub const FEED: &str = "revocations";

/// The longest that any token of ours lives: an API key of a year, and a day for clocks.
pub const LONGEST_LIFE: Span = Span::days(367);

/// Revokes tokens, from the moment that the transaction commits.
pub fn revoke(db: &mut Db, entry: TokensRevoked, version: i64, now: Time) -> QueryResult<()> {
    chassis::feed::append(db, FEED, &entry, Some(entry.until()), now)?;
    chassis::events::emit(db, AuthEvent::TokenRevoked(entry), version, now)
}

/// Revokes the token of an API key that was revoked at the gateway.
pub fn on_gateway_event(
    db: &mut Db,
    envelope: &Envelope<GatewayEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        GatewayEvent::ApiKeyRevoked(key) | GatewayEvent::ApiKeyTokenEnded(key) => {
            let entry = TokensRevoked::Token {
                jti: key.jti.clone(),
                until: key.expires_at,
            };
            Ok(revoke(db, entry, 1, now)?)
        }
        GatewayEvent::ApiKeyCreated(_) => Ok(()),
    }
}
