//! What somebody gets who has shown who she is: a token, or, where she has enabled a second factor, what
//! completes the login. Every way to sign in ends here, so that none goes around it.

use actix_web::HttpResponse;
use chassis::http::{ApiError, ClientAddress, unstored};
use common::token::InvalidKey;
use common::{ExposeSecret as _, SecretString};
use diesel::result::Error;
use serde::Serialize;

use crate::identities::Identity;
use crate::mfa::answer::ChallengeView;
use crate::mfa::proof::{self, Proof};
use crate::mfa::{Method, MfaError, challenges};
use crate::state::State;
use crate::tokens::{SignIn, Signed};

/// What a sign-in gives.
#[derive(Debug)]
pub struct Entered {
    /// The person's token; beside a challenge one that is good for completing that, and for nothing else.
    pub signed: Signed,
    /// What completes the login, where the second factor is pending.
    pub challenge: Option<ChallengeView>,
}

/// Why a sign-in gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// No token could be signed.
    #[error("the token could not be signed")]
    Key(#[from] InvalidKey),
    /// The database failed.
    #[error("the second factors could not be read, or the challenge kept")]
    Db(#[from] Error),
}

impl From<CompleteError> for ApiError {
    fn from(error: CompleteError) -> Self {
        match error {
            CompleteError::Key(error) => Self::internal(error),
            CompleteError::Db(error) => error.into(),
        }
    }
}

/// Lets somebody in who has shown her first factor, or has her login wait for the second.
pub async fn complete(
    state: &State,
    identity: &Identity,
    sign_in: &SignIn,
) -> Result<Entered, CompleteError> {
    let id = identity.id.clone();
    let methods = state
        .db
        .read(move |db| challenges::methods(db, &id))
        .await
        .map_err(CompleteError::Db)?;
    if methods.is_empty() {
        return Ok(Entered {
            signed: state.issuer.personal(identity, sign_in)?,
            challenge: None,
        });
    }
    let (whose, how, now) = (identity.clone(), *sign_in, state.clock.now());
    let challenge = state
        .db
        .write(move |db| challenges::begin(db, &whose, &how, now))
        .await
        .map_err(CompleteError::Db)?;
    let signed =
        state
            .issuer
            .pending(identity, sign_in, &challenge.id, None, challenge.expires_at)?;
    Ok(Entered {
        signed,
        challenge: Some(ChallengeView::new(&challenge, methods)),
    })
}

/// Asks for the second factor at once, where somebody shows both on one page. Any of her codes will do.
pub async fn show_code(
    state: &State,
    identity: &Identity,
    code: SecretString,
    address: ClientAddress,
) -> Result<(), MfaError> {
    let (sealer, id, now) = (state.sealer.clone(), identity.id.clone(), state.clock.now());
    let given = code.expose_secret().trim();
    let method = if given.bytes().all(|byte| byte.is_ascii_digit()) {
        Method::Totp
    } else {
        Method::RecoveryCode
    };
    let proof = (!given.is_empty()).then_some(Proof { method, code });
    let right = state
        .db
        .write(move |db| {
            if challenges::methods(db, &id)?.is_empty() {
                return Ok(true);
            }
            let proof = proof.ok_or(MfaError::NoCode)?;
            proof::check(db, &sealer, &id, &proof, address, now)
        })
        .await?;
    right.then_some(()).ok_or(MfaError::WrongChallengeCode)
}

/// A token, or a login to be completed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EnteredAnswer {
    /// A JWT, to be sent as `Authorization: Bearer …`.
    token: String,
    /// Whether it is good for completing the login only.
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_required: Option<bool>,
    /// What completes the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_challenge: Option<ChallengeView>,
}

impl From<Entered> for EnteredAnswer {
    fn from(entered: Entered) -> Self {
        Self {
            token: entered.signed.token.expose_secret().to_owned(),
            mfa_required: entered.challenge.is_some().then_some(true),
            mfa_challenge: entered.challenge,
        }
    }
}

/// The answer to somebody who signs in.
#[must_use]
pub fn show(entered: Entered) -> HttpResponse {
    unstored().json(EnteredAnswer::from(entered))
}
