//! A person's trip to GitHub and back: state and PKCE.
//!
//! The state goes with her, its digest stays; the verifier stays, sealed, and its digest goes
//! with her. So a code is of use only to us, once, and for the request it was asked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::seal::SealError;
use common::random;
use ring::digest::{SHA256, digest};
use url::Url;

use super::{GithubError, Profile};
use crate::requests::{self, Code, Request, Trip, store};
use crate::state::State;

/// Why a trip didn't come to a good end.
#[derive(Debug, thiserror::Error)]
pub enum TripError {
    /// GitHub said no, or nothing.
    #[error("GitHub didn't say who it is")]
    Github(#[from] GithubError),
    /// The verifier can't be kept or opened.
    #[error("the verifier can't be sealed or opened")]
    Seal(#[from] SealError),
}

/// Where the person goes, and what is kept meanwhile.
pub fn set_out(state: &State, redirect_uri: &str) -> Result<(Url, Trip), TripError> {
    let oauth_state = Code::random();
    let state_digest = oauth_state.digest();
    let verifier = random::token();
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    let github = &state.github;
    let location = github.authorize_url(redirect_uri, oauth_state.expose(), &challenge)?;
    let sealed_verifier = state
        .sealer
        .seal(verifier.as_bytes(), &place(&state_digest))?;
    let trip = Trip {
        state_digest,
        redirect_uri: redirect_uri.to_owned(),
        sealed_verifier,
    };
    Ok((location, trip))
}

/// The request that a person comes back for with this state, if it is open and good for her; the
/// state is spent then. One that nobody was given keeps no writer busy.
pub async fn take_back(
    state: &State,
    oauth_state: Option<&str>,
    is_good: impl FnOnce(&Request) -> bool + Send + 'static,
) -> Result<Option<Request>, diesel::result::Error> {
    let Some(oauth_state) = oauth_state.map(Code::given) else {
        return Ok(None);
    };
    let digest = oauth_state.digest();
    let known = state
        .db
        .read(move |db| store::by_state(db, &digest))
        .await?;
    if known.is_none() {
        return Ok(None);
    }
    let now = state.clock.now();
    state
        .db
        .write(move |db| requests::take_back(db, &oauth_state, is_good, now))
        .await
}

/// Who she is, by the code with which she came back. `request` is as it was before its trip ended.
pub async fn come_back(state: &State, request: &Request, code: &str) -> Result<Profile, TripError> {
    let (Some(digest), Some(sealed), Some(redirect_uri)) = (
        &request.state_digest,
        &request.sealed_verifier,
        &request.redirect_uri,
    ) else {
        return Err(GithubError::BadCode.into());
    };
    let verifier = state.sealer.open(sealed, &place(digest))?;
    let verifier = String::from_utf8(verifier).map_err(|_| SealError::NotText)?;
    Ok(state.github.exchange(code, redirect_uri, &verifier).await?)
}

/// What ties a sealed verifier to its trip.
fn place(state_digest: &str) -> String {
    format!("login_requests/{state_digest}")
}
