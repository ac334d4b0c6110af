//! Answers in the words of this interface: a refusal says `"cid": null`, by which a server knows that
//! the person is to be signed out.

use chassis::http::ApiError;
use common::ExposeSecret as _;
use common::problem::Problem;
use common::time::Time;
use serde::Serialize;
use serde_json::Value;

use super::{Client, ClientError, Purpose};
use crate::emailpass::SignInError;

crate::worded::worded_extractor! {
    /// An extractor whose refusals say `"cid": null` too.
    Express, refused
}

/// The same error, with `"cid": null` beside the problem's members. Not where nothing is known of the
/// client: a server that is asked to wait, or told of a failure here, is not to sign anybody out.
pub(super) fn refused(error: impl Into<ApiError>) -> ApiError {
    error.into().map_problem(|problem| {
        if problem.status == 429 || problem.status >= 500 {
            problem
        } else {
            problem.with("cid", Value::Null)
        }
    })
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> Self {
        let unknown = |detail: &'static str| Problem {
            detail: detail.into(),
            ..Problem::unauthorized()
        };
        let error: Self = match error {
            ClientError::Unknown => unknown("The client is unknown or has ended").into(),
            ClientError::NotExtendable => {
                let detail = "A client for a password reset can't be extended";
                Problem::forbidden("not_extendable", detail).into()
            }
            ClientError::NotForReset => {
                let detail = "This takes a client that POST /reset gave";
                Problem::forbidden("not_for_reset", detail).into()
            }
            ClientError::NoSuchEmail => Problem::not_found("person with this email").into(),
            ClientError::PidTaken => Problem::conflict("pid_taken", "The pid is taken").into(),
            ClientError::SignIn(SignInError::Taken) => {
                Problem::conflict("email_taken", "The email is taken").into()
            }
            ClientError::SignIn(error) => error.into(),
            ClientError::Seal(error) => Self::internal(error),
            ClientError::Db(error) => error.into(),
        };
        refused(error)
    }
}

/// Where somebody is signed in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ClientView {
    /// The person's address; told by a reset alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// What the server calls the person.
    pid: String,
    /// The client's public id, to be handed on.
    cid: String,
    /// Never to be handed on: what the server's own tokens or sessions are verified with.
    secret: String,
    /// When it ends unless it is extended.
    expires_at: Time,
    /// What it is for, where that isn't being signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<Purpose>,
}

impl ClientView {
    /// A client, without the person's address.
    pub(super) fn new(client: &Client) -> Self {
        Self {
            email: None,
            pid: client.pid.clone(),
            cid: client.cid.clone(),
            secret: client.secret.expose_secret().to_owned(),
            expires_at: client.expires_at,
            purpose: (client.purpose != Purpose::Session).then_some(client.purpose),
        }
    }

    /// With the person's address.
    pub(super) fn with_email(client: &Client) -> Self {
        Self {
            email: client.email.clone(),
            ..Self::new(client)
        }
    }
}
