//! Taking a request, as long as there is room.

use chassis::db::Db;
use chassis::http::ClientAddress;
use common::id::IdentityId;
use common::time::{Span, Time};
use common::token::ActorType;

use super::store::{self, NewRow};
use super::{Code, INTERVAL, Kind, OPEN_BY_ADDRESS, OPEN_IN_ALL, Request, Stage, UserCode};
use crate::pacing::network;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What for.
    pub kind: Kind,
    /// What the program polls with, if it polls.
    pub poll: Option<Code>,
    /// What the person compares or types, if she does.
    pub user_code: Option<UserCode>,
    /// The cookie of the browser that has it from the beginning.
    pub browser: Option<Code>,
    /// As what the person signs in.
    pub actor: Option<ActorType>,
    /// Who asks, where that is somebody who is signed in.
    pub identity: Option<IdentityId>,
    /// From where.
    pub address: ClientAddress,
    /// For how long it can be answered.
    pub lifetime: Span,
}

/// Why a request isn't taken.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Too many of this address wait.
    #[error("too many requests of this address wait for an answer")]
    TooMany {
        /// In how many seconds the first of them ends.
        retry_after: u32,
    },
    /// Too many wait in all.
    #[error("too many requests wait for an answer")]
    Full,
    /// The database failed.
    #[error("the request could not be kept")]
    Db(#[from] diesel::result::Error),
}

/// Whether another request is taken from this address.
pub fn check_room(db: &mut Db, address: ClientAddress, now: Time) -> Result<(), AskError> {
    let (of_address, first_ends) = store::open(db, Some(&network_of(address)), now)?;
    if of_address >= OPEN_BY_ADDRESS {
        let seconds = first_ends.map_or(1, |ends| (ends - now).num_seconds().max(0) + 1);
        return Err(AskError::TooMany {
            retry_after: u32::try_from(seconds).unwrap_or(u32::MAX),
        });
    }
    if store::open(db, None, now)?.0 >= OPEN_IN_ALL {
        return Err(AskError::Full);
    }
    Ok(())
}

/// Takes a request, if there is room. Where the short code is another's already that is a unique
/// violation, and the caller asks with another one.
pub fn ask(db: &mut Db, ask: &Ask, now: Time) -> Result<Request, AskError> {
    check_room(db, ask.address, now)?;
    let row = NewRow {
        kind: ask.kind,
        // Whose browser has it from the beginning waits for no other.
        stage: if ask.browser.is_some() {
            Stage::Claimed
        } else {
            Stage::Asked
        },
        reference: hex::encode(common::random::bytes::<16>()),
        poll_digest: ask.poll.as_ref().map(Code::digest),
        user_code: ask.user_code.as_ref().map(|code| code.as_str().to_owned()),
        browser_digest: ask.browser.as_ref().map(Code::digest),
        actor_type: ask.actor.map(|actor| actor.to_string()),
        identity_id: ask.identity.as_ref().map(ToString::to_string),
        client_address: ask
            .address
            .0
            .map(|address| address.to_canonical().to_string()),
        client_network: network_of(ask.address),
        interval_seconds: INTERVAL,
        created_at: now,
        updated_at: now,
        expires_at: now + ask.lifetime,
    };
    Ok(store::insert(db, &row)?)
}

fn network_of(address: ClientAddress) -> String {
    ClientAddress(address.0.map(network)).to_string()
}
