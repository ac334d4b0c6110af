//! The end of a login: what shows who it is becomes an identity and its token.

use chassis::db::Db;
use chassis::http::ClientAddress;
use common::token::ActorType;
use common::{ExposeSecret as _, SecretString};

use crate::github::sign_in::{self, EnterError};
use crate::github::{GithubError, Profile};
use crate::identities::Identity;
use crate::pacing::{self, Blocked, Subjects};
use crate::realms;
use crate::requests::{self, CODE_PREFIX, Code, Kind, Stage, store};
use crate::state::State;

/// The longest token that GitHub might give.
const MAX_TOKEN: usize = 255;

/// Why a login isn't completed.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// The code or token is nobody's, or has been used.
    #[error("the code or token is not good")]
    Wrong,
    /// The code's time is over.
    #[error("the code is too old")]
    Expired,
    /// The token isn't this app's.
    #[error("the token was not issued to this app")]
    OtherApp,
    /// Too many wrong tries.
    #[error("wrong tries are paced")]
    Blocked(#[from] Blocked),
    /// GitHub failed.
    #[error("GitHub didn't say whose token it is")]
    Github(#[source] GithubError),
    /// She isn't let in.
    #[error("the person isn't let in")]
    Enter(#[from] EnterError),
    /// The database failed.
    #[error("the login could not be read or kept")]
    Db(#[from] diesel::result::Error),
}

/// Somebody who has logged in.
#[derive(Debug)]
pub struct Completed {
    /// She.
    pub identity: Identity,
    /// Her number.
    pub number: i64,
    /// What GitHub says of her.
    pub profile: Profile,
}

/// Completes a login by a one-time code of ours, or by a person's token of this app at GitHub.
pub async fn complete(
    state: &State,
    token: &SecretString,
    address: ClientAddress,
) -> Result<Completed, CompleteError> {
    let now = state.clock.now();
    let subjects = Subjects::of_address(address);
    let paced = subjects.clone();
    state
        .db
        .read(move |db| Ok::<_, CompleteError>(pacing::check(db, &paced, now)??))
        .await?;
    let result = if token.expose_secret().starts_with(CODE_PREFIX) {
        by_code(state, Code::given(token.expose_secret()), address).await
    } else {
        by_github_token(state, token, address).await
    };
    if matches!(result, Err(CompleteError::Wrong | CompleteError::OtherApp)) {
        tracing::info!("a login was not completed");
        state
            .db
            .write(move |db| pacing::failed(db, &subjects, now))
            .await?;
    }
    result
}

async fn by_code(
    state: &State,
    code: Code,
    address: ClientAddress,
) -> Result<Completed, CompleteError> {
    let now = state.clock.now();
    state
        .db
        .write(move |db| {
            let request = store::by_one_time(db, &code.digest())?
                .filter(|request| request.kind == Kind::Login && request.stage == Stage::Answered)
                .ok_or(CompleteError::Wrong)?;
            if request.code_expires_at.is_none_or(|ends| ends <= now) {
                return Err(CompleteError::Expired);
            }
            let profile = request
                .profile
                .as_deref()
                .and_then(|profile| serde_json::from_str(profile).ok())
                .ok_or(CompleteError::Wrong)?;
            if !requests::redeem(db, &request, now)? {
                return Err(CompleteError::Wrong);
            }
            entered(db, profile, address, now)
        })
        .await
}

async fn by_github_token(
    state: &State,
    token: &SecretString,
    address: ClientAddress,
) -> Result<Completed, CompleteError> {
    let text = token.expose_secret();
    let is_shaped = (1..=MAX_TOKEN).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if !is_shaped {
        return Err(CompleteError::Wrong);
    }
    let profile = state
        .github
        .owner_of(token)
        .await
        .map_err(|error| match error {
            GithubError::BadToken => CompleteError::OtherApp,
            other => CompleteError::Github(other),
        })?;
    let now = state.clock.now();
    state
        .db
        .write(move |db| entered(db, profile, address, now))
        .await
}

fn entered(
    db: &mut Db,
    profile: Profile,
    address: ClientAddress,
    now: common::time::Time,
) -> Result<Completed, CompleteError> {
    let mut identity = sign_in::enter(db, &profile, ActorType::Euser, address, now)?;
    let number = realms::number_of(db, &mut identity)?;
    Ok(Completed {
        identity,
        number,
        profile,
    })
}
