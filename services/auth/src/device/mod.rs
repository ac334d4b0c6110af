//! The device grant (RFC 8628): a program without a browser asks, its person signs in on a page of
//! ours and lets it in, and the program, which polls meanwhile, gets its tokens.
//!
//! A request is one of the table of login requests, with their codes, pace and end. What the person
//! approves is bound to her generation: a program that fetches its tokens after she has ended all
//! of hers gets none.

pub mod http;
pub mod pages;

use chassis::audit::{self, Entry};
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::id::RefreshFamilyId;
use common::time::{Span, Time};
use common::token::ActorType;
use diesel::QueryResult;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::identities::{Identity, Provider, store as identities};
use crate::oauth::Client;
use crate::refresh::{self, Family, Link};
use crate::requests::{self, Answer, Ask, AskError, Code, Kind, LIFETIME, Request, UserCode};
use crate::requests::{PollError, Stage, store};
use crate::state::State;
use crate::tokens::SignIn;

/// By how many seconds more a program waits that has polled too fast (RFC 8628, section 3.5).
const SLOWER: i64 = 5;
/// How often another short code is tried where one is another request's already.
const TRIES: usize = 4;

/// What was approved, as the request keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Approval {
    generation: i64,
    signed_in_at: Time,
}

/// Takes a program's request; answers it with the code that polls it.
pub async fn ask(
    state: &State,
    actor: ActorType,
    address: ClientAddress,
) -> Result<(Request, Code), AskError> {
    let now = state.clock.now();
    let poll = Code::random();
    let mut tries = 0;
    loop {
        tries += 1;
        let ask = Ask {
            kind: Kind::Device,
            poll: Some(poll.clone()),
            user_code: Some(UserCode::random()),
            browser: None,
            actor: Some(actor),
            identity: None,
            address,
            lifetime: LIFETIME,
        };
        match state.db.write(move |db| requests::ask(db, &ask, now)).await {
            Err(AskError::Db(error))
                if chassis::db::is_unique_violation(&error) && tries < TRIES => {}
            asked => return Ok((asked?, poll)),
        }
    }
}

/// Notes that a person lets the program in; answers whether it still waited for her. `browser` is the
/// cookie of the page that she did it on.
pub fn approve(
    db: &mut Db,
    request: &Request,
    browser: &Code,
    identity: &Identity,
    address: ClientAddress,
    now: Time,
) -> QueryResult<bool> {
    if !requests::claim(db, request, browser, now)? {
        return Ok(false);
    }
    let approval = Approval {
        generation: identity.generation,
        signed_in_at: now,
    };
    let answer = Answer {
        identity: Some(identity.id.clone()),
        profile: serde_json::to_string(&approval).ok(),
    };
    if !requests::answer(db, request, &answer, now)? {
        return Ok(false);
    }
    let entry = Entry {
        actor: identity.id.as_str(),
        actor_type: request.actor_type.unwrap_or(ActorType::Euser),
        action: "device.approved",
        subject: identity.id.as_str(),
        account_id: None,
        address,
        details: json!({ "client_id": Client::Cli, "asked_from": request.client_address }),
    };
    audit::record(db, &entry, now)?;
    Ok(true)
}

/// What a poll comes to.
#[derive(Debug)]
pub enum Polled {
    /// The person has let the program in: its tokens are these.
    Given(Box<(Identity, Family, Link)>),
    /// She hasn't decided.
    Pending,
    /// The program polls too fast, and is to wait this many seconds between two polls from now on.
    TooFast(i64),
    /// She doesn't want to.
    Denied,
    /// It has ended, or has been used.
    Expired,
    /// There is no such code.
    Unknown,
}

/// Answers a program that polls; once its person has let it in, a chain of refresh tokens begins.
pub fn poll(
    db: &mut Db,
    code: &Code,
    lifetime: Span,
    access: Span,
    now: Time,
) -> QueryResult<Polled> {
    match requests::poll(db, Kind::Device, code, now) {
        Ok(request) if request.stage == Stage::Answered => {
            redeem(db, &request, lifetime, access, now)
        }
        Ok(_) => Ok(Polled::Pending),
        Err(PollError::TooFast { .. }) => {
            let Some(request) = store::by_poll(db, Kind::Device, &code.digest())? else {
                return Ok(Polled::Unknown);
            };
            store::slow_down(db, request.id, SLOWER)?;
            Ok(Polled::TooFast(request.interval_seconds + SLOWER))
        }
        Err(PollError::Declined) => Ok(Polled::Denied),
        Err(PollError::Expired) => Ok(Polled::Expired),
        Err(PollError::Unknown) => Ok(Polled::Unknown),
        Err(PollError::Db(error)) => Err(error),
    }
}

fn redeem(
    db: &mut Db,
    request: &Request,
    lifetime: Span,
    access: Span,
    now: Time,
) -> QueryResult<Polled> {
    let approval: Option<Approval> = request
        .profile
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok());
    if !requests::redeem(db, request, now)? {
        return Ok(Polled::Expired);
    }
    let (Some(id), Some(approval)) = (&request.identity_id, approval) else {
        return Ok(Polled::Expired);
    };
    let actor = request.actor_type.unwrap_or(ActorType::Euser);
    let identity = identities::find(db, id)?
        .filter(|identity| identity.generation == approval.generation && identity.holds(actor));
    let Some(identity) = identity else {
        return Ok(Polled::Denied);
    };
    let family = Family {
        id: RefreshFamilyId::new(now),
        identity_id: identity.id.clone(),
        client: Client::Cli,
        sign_in: SignIn {
            actor,
            provider: Provider::Emailpass,
            at: approval.signed_in_at,
        },
        generation: identity.generation,
        expires_at: approval.signed_in_at + lifetime,
        ended: false,
    };
    let link = Link::new(now + access, now);
    refresh::begin(db, &family, &link, now)?;
    Ok(Polled::Given(Box::new((identity, family, link))))
}
