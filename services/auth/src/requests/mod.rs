//! Login requests: signing in that a browser answers.
//!
//! A program asks and polls while its person answers in a browser (a login request, the device
//! grant of RFC 8628), or a page sends its person to a provider and back. All of them are rows
//! of one table and follow the same stages:
//!
//! ```text
//! asked ── a browser takes it on ──> claimed ── the person answers ──> answered ── redeemed
//!                                       └────── she declines ────────> declined
//! ```
//!
//! Each step is one conditional update, so that of two at the same moment one comes through.

mod asking;
mod codes;
pub mod store;

use chassis::db::Db;
use common::id::IdentityId;
use common::time::{Span, Time};
use common::token::ActorType;
use diesel::prelude::*;

pub use asking::{Ask, AskError, ask, check_room};
pub use codes::{CODE_PREFIX, Code, UserCode};
pub use store::Trip;

use crate::schema::login_requests;

/// For how long a request can be answered.
pub const LIFETIME: Span = Span::minutes(10);
/// How many seconds a program waits between two polls.
pub const INTERVAL: i64 = 2;
/// For how long the one-time code is good, from when it was first shown.
pub const CODE_LIFETIME: Span = Span::seconds(60);
/// For how long one is told that a request has ended; after that it looks as if it had never been.
const REMEMBERED: Span = Span::hours(1);
/// How many requests of one address may wait for an answer: many people can share one, and an
/// application's server asks for all of its people.
pub const OPEN_BY_ADDRESS: i64 = 200;
/// How many may wait in all.
pub const OPEN_IN_ALL: i64 = 20_000;

common::text_enum! {
    /// What a request is for.
    pub enum Kind {
        /// A program polls; its person answers at GitHub.
        Login = "login",
        /// A device polls; its person answers by signing in here (RFC 8628).
        Device = "device",
        /// A page signs its person in by a provider.
        Redirect = "redirect",
        /// Somebody who is signed in links a provider.
        Link = "link",
    }
}

common::text_enum! {
    /// How far a request is.
    pub enum Stage {
        /// Nobody has taken it on.
        Asked = "asked",
        /// A browser has.
        Claimed = "claimed",
        /// The person has answered.
        Answered = "answered",
        /// What the answer was good for has been given out.
        Redeemed = "redeemed",
        /// The person doesn't want to.
        Declined = "declined",
    }
}

/// A request.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = login_requests)]
pub struct Request {
    /// Its number.
    pub id: i64,
    /// What it is for.
    pub kind: Kind,
    /// How far it is.
    pub stage: Stage,
    /// Names it in addresses of ours; no secret.
    pub reference: String,
    /// What a person compares or types, without the hyphen.
    pub user_code: Option<String>,
    /// The digest of the cookie of the browser that has taken it on.
    pub browser_digest: Option<String>,
    /// The digest of the OAuth state of the trip that is under way.
    pub state_digest: Option<String>,
    /// Where the provider sends the person back to.
    pub redirect_uri: Option<String>,
    /// The PKCE verifier under the master key.
    pub sealed_verifier: Option<Vec<u8>>,
    /// As what the person signs in.
    pub actor_type: Option<ActorType>,
    /// Who has answered, or who asks.
    pub identity_id: Option<IdentityId>,
    /// What the provider said of the person who answered: JSON.
    pub profile: Option<String>,
    /// When the one-time code ends, if one was shown.
    pub code_expires_at: Option<Time>,
    /// From where it was asked.
    pub client_address: Option<String>,
    /// How many seconds lie between two polls.
    pub interval_seconds: i64,
    /// When it was polled.
    pub last_polled_at: Option<Time>,
    /// When it was asked.
    pub created_at: Time,
    /// When it last moved on.
    pub updated_at: Time,
    /// When it ends.
    pub expires_at: Time,
}

impl Request {
    /// The code that a person compares, as it is shown.
    #[must_use]
    pub fn shown_code(&self) -> String {
        let code = self.user_code.as_deref().and_then(UserCode::typed);
        code.map(|code| code.to_string()).unwrap_or_default()
    }

    /// Whether it was taken on by the browser with this cookie.
    #[must_use]
    pub fn is_of_browser(&self, cookie: Option<&Code>) -> bool {
        let digest = cookie.map(Code::digest);
        digest.is_some() && digest == self.browser_digest
    }

    /// Whether it waits for an answer.
    #[must_use]
    pub fn is_open(&self, now: Time) -> bool {
        self.expires_at > now && matches!(self.stage, Stage::Asked | Stage::Claimed)
    }
}

/// Why a poll gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// There is no such request, or it has been forgotten.
    #[error("no such request")]
    Unknown,
    /// It has ended, or has been redeemed.
    #[error("the request has ended")]
    Expired,
    /// The person doesn't want to.
    #[error("the person has declined")]
    Declined,
    /// The last poll was a moment ago.
    #[error("polled too fast")]
    TooFast {
        /// In how many seconds one is answered.
        retry_after: u32,
    },
    /// The database failed.
    #[error("the request could not be read")]
    Db(#[from] diesel::result::Error),
}

/// Answers a program that polls: the request as it is, at the request's pace.
pub fn poll(db: &mut Db, kind: Kind, code: &Code, now: Time) -> Result<Request, PollError> {
    let request = store::by_poll(db, kind, &code.digest())?.ok_or(PollError::Unknown)?;
    match request.stage {
        Stage::Declined => return Err(PollError::Declined),
        Stage::Redeemed => return Err(PollError::Expired),
        Stage::Asked | Stage::Claimed | Stage::Answered => {}
    }
    if request.expires_at <= now {
        return Err(PollError::Expired);
    }
    let interval = Span::seconds(request.interval_seconds);
    if store::note_poll(db, request.id, now - interval, now)? == 0 {
        let next = request.last_polled_at.unwrap_or(now) + interval;
        let seconds = ((next - now).num_milliseconds().max(1) + 999) / 1_000;
        return Err(PollError::TooFast {
            retry_after: u32::try_from(seconds).unwrap_or(u32::MAX),
        });
    }
    Ok(request)
}

/// The one-time code of an answered request, for the program that polls with `code`; none once
/// its time is over. That begins when it is first shown.
pub fn one_time(
    db: &mut Db,
    request: &Request,
    code: &Code,
    now: Time,
) -> QueryResult<Option<Code>> {
    let one_time = code.one_time();
    match request.code_expires_at {
        Some(ends) if ends <= now => return Ok(None),
        Some(_) => {}
        None => {
            let ends = now + CODE_LIFETIME;
            store::set_one_time(db, request.id, &one_time.digest(), ends)?;
        }
    }
    Ok(Some(one_time))
}

/// Lets a browser take a request on; answers whether it has it now.
pub fn claim(db: &mut Db, request: &Request, browser: &Code, now: Time) -> QueryResult<bool> {
    Ok(store::claim(db, request.id, &browser.digest(), now)? == 1)
}

/// Begins a trip to the provider for a request that a browser has taken on; answers whether it could.
pub fn begin_trip(db: &mut Db, request: &Request, trip: &Trip, now: Time) -> QueryResult<bool> {
    Ok(store::begin_trip(db, request.id, trip, now)? == 1)
}

/// Takes a person back from the trip of this state, if the request is open and good for whoever
/// comes. The state is spent then; of two who come with it one gets the request. A stranger's try
/// changes nothing.
pub fn take_back(
    db: &mut Db,
    state: &Code,
    is_good: impl FnOnce(&Request) -> bool,
    now: Time,
) -> QueryResult<Option<Request>> {
    let digest = state.digest();
    let found = store::by_state(db, &digest)?;
    let Some(request) = found.filter(|request| request.is_open(now) && is_good(request)) else {
        return Ok(None);
    };
    let spent = store::end_trip(db, &digest, now)? == 1;
    Ok(Some(request).filter(|_| spent))
}

/// Who has answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The identity, where it is known already.
    pub identity: Option<IdentityId>,
    /// What the provider said of her: JSON.
    pub profile: Option<String>,
}

/// Notes an answer to a request that a browser has taken on; answers whether it was the first
/// and in time. The program has at least [`CODE_LIFETIME`] from now to fetch it.
pub fn answer(db: &mut Db, request: &Request, answer: &Answer, now: Time) -> QueryResult<bool> {
    let in_time = request.expires_at > now;
    if !in_time || store::advance(db, request.id, (Stage::Claimed, Stage::Answered), now)? == 0 {
        return Ok(false);
    }
    let ends = request.expires_at.max(now + CODE_LIFETIME);
    let identity = answer.identity.as_ref().map(IdentityId::as_str);
    store::set_answer(db, request.id, identity, answer.profile.as_deref(), ends)?;
    Ok(true)
}

/// Notes that the person doesn't want to; answers whether it waited for her.
pub fn decline(db: &mut Db, request: &Request, now: Time) -> QueryResult<bool> {
    Ok(store::advance(db, request.id, (Stage::Claimed, Stage::Declined), now)? == 1)
}

/// Redeems an answered request; of two at once one does. What was known of the person is forgotten.
pub fn redeem(db: &mut Db, request: &Request, now: Time) -> QueryResult<bool> {
    if store::advance(db, request.id, (Stage::Answered, Stage::Redeemed), now)? == 0 {
        return Ok(false);
    }
    store::clear_profile(db, request.id)?;
    Ok(true)
}

/// Removes requests that ended a while ago, and at once what they knew of people.
pub fn clean_up(db: &mut Db, now: Time) -> QueryResult<usize> {
    store::forget_profiles(db, now)?;
    store::remove_before(db, now - REMEMBERED)
}
