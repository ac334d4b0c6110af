//! What auth tells of those who made keys.

use chassis::audit::{self, Entry};
use chassis::db::Db;
use chassis::events::{HandlerError, emit};
use chassis::http::ClientAddress;
use common::event::{AuthEvent, Envelope, GatewayEvent};
use common::time::Time;
use common::token::ActorType;
use serde_json::json;

use super::view::state_of;
use super::{rotate, store};
use crate::rules::store::next_seq;

/// Revokes the keys of whoever may not sign in any more. auth has ended what they open already; here
/// it is written down, for good.
pub(crate) fn on_auth(
    db: &mut Db,
    envelope: &Envelope<AuthEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    let (AuthEvent::IdentityDisabled(identity) | AuthEvent::IdentityDeleted(identity)) =
        &envelope.event
    else {
        return Ok(());
    };
    let seq = next_seq(db)?;
    for mut key in store::working_of_identity(db, &identity.identity_id)? {
        rotate::end_retired(db, &key, now)?;
        let Some(version) = store::revoke(db, &key.id, seq, now)? else {
            continue;
        };
        key.revoked_at = Some(now);
        key.version = version;
        let entry = Entry {
            actor: "auth",
            actor_type: ActorType::Service,
            action: "api_key.revoked",
            subject: key.id.as_str(),
            account_id: key.account_id.as_ref(),
            address: ClientAddress(None),
            details: json!({ "because": "maker.gone" }),
        };
        audit::record(db, &entry, now)?;
        emit(
            db,
            GatewayEvent::ApiKeyRevoked(state_of(&key)),
            version,
            now,
        )?;
    }
    Ok(())
}
