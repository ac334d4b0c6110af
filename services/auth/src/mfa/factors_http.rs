//! `/auth/mfa/factors` and `/auth/mfa/recovery-codes`

use actix_web::{HttpResponse, web};
use chassis::Context;
use chassis::auth::Person;
use chassis::http::{ApiError, ClientAddress, Json, Path, unstored};
use common::id::MfaFactorId;
use common::problem::Problem;
use common::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::answer::{FactorView, unsupported};
use super::factors::{self, LONGEST_NAME, Wish, of_app};
use super::proof::{Allowance, Proof};
use super::{FactorProvider, Method, recovery, store};
use crate::medusa::{Medusa, slugged};
use crate::state::State;

/// Asks for a new factor; other fields are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct NewFactor {
    /// `totp`.
    provider: String,
    /// What to call it.
    #[serde(default)]
    label: Option<String>,
    /// Under which name an app shows it.
    #[serde(default)]
    issuer: Option<String>,
    #[serde(flatten)]
    proof: GivenProof,
}

/// A code that allows a change where the sign-in is too long ago.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
pub struct GivenProof {
    /// What the code is: `totp` unless told.
    #[serde(default)]
    method: Option<String>,
    /// The code.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    code: Option<SecretString>,
}

/// A code.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Code {
    /// As the app shows it.
    #[schema(value_type = String)]
    code: SecretString,
}

/// Asks for recovery codes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct NewCodes {
    /// How many: 1 to 50, 10 unless told.
    #[serde(default)]
    count: Option<i64>,
    #[serde(flatten)]
    proof: GivenProof,
}

/// One's factors.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FactorsAnswer {
    mfa_factors: Vec<FactorView>,
}

/// One factor.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FactorAnswer {
    mfa_factor: FactorView,
}

/// A factor to be enabled.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StartedAnswer {
    mfa_factor: FactorView,
    /// In base32, to be typed. Shown once.
    secret: String,
    /// The same, to be shown as a QR code.
    otpauth_url: String,
}

/// New recovery codes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CodesAnswer {
    /// Each good for one login. Shown once.
    recovery_codes: Vec<String>,
}

impl GivenProof {
    fn read(self) -> Result<Allowance, Problem> {
        let Some(code) = self.code.filter(|code| !code.expose_secret().is_empty()) else {
            return Ok(None);
        };
        let method = match self.method.as_deref() {
            Some(text) => text.parse().map_err(|_| unsupported(text))?,
            None => Method::Totp,
        };
        Ok(Some(Proof { method, code }))
    }
}

impl NewFactor {
    fn read(self) -> Result<(Wish, Allowance), Problem> {
        if self.provider.parse::<FactorProvider>().is_err() {
            return Err(Problem::bad_request(
                "invalid_data",
                "`provider` must be `totp`",
            ));
        }
        let cut = |text: Option<String>| {
            let text = text.filter(|text| !text.is_empty())?;
            let shown = text.chars().filter(|c| !c.is_control());
            Some(shown.take(LONGEST_NAME).collect())
        };
        let wish = Wish {
            label: cut(self.label),
            issuer: cut(self.issuer),
        };
        Ok((wish, self.proof.read()?))
    }
}

/// Lists one's second factors.
#[utoipa::path(
    get,
    path = "/auth/mfa/factors",
    tag = "mfa",
    responses(
        (status = 200, description = "They, the oldest first", body = FactorsAnswer),
        (status = 401, description = "No token, or a pending one"),
    ),
)]
pub async fn list(
    Medusa(person): Medusa<Person>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let rows = state
        .db
        .read(move |db| store::factors(db, &person.identity_id))
        .await
        .map_err(|error: diesel::result::Error| slugged(error.into()))?;
    Ok(HttpResponse::Ok().json(FactorsAnswer {
        mfa_factors: rows.into_iter().map(FactorView::from).collect(),
    }))
}

/// Sets an authenticator app up. Logins don't ask for it before a first code has been verified.
#[utoipa::path(
    post,
    path = "/auth/mfa/factors",
    tag = "mfa",
    request_body = NewFactor,
    responses(
        (status = 200, description = "The factor and its secret, shown once", body = StartedAnswer),
        (status = 400, description = "There is an enabled one, or another provider was asked for"),
        (status = 401, description = "No token, or a pending one"),
        (status = 403, description = "The sign-in is too long ago, and no code was given"),
    ),
)]
pub async fn start(
    Medusa(person): Medusa<Person>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<NewFactor>>,
) -> Result<HttpResponse, ApiError> {
    let work = async {
        let (wish, allowance) = body.read()?;
        let started = factors::start(&state, person, wish, allowance, address).await?;
        Ok(unstored().json(StartedAnswer {
            mfa_factor: started.factor.into(),
            secret: started.secret,
            otpauth_url: started.otpauth_url,
        }))
    };
    work.await.map_err(slugged)
}

/// Enables a factor with a first code of it.
#[utoipa::path(
    post,
    path = "/auth/mfa/factors/{factor_id}/verify",
    tag = "mfa",
    params(("factor_id" = MfaFactorId, Path)),
    request_body = Code,
    responses(
        (status = 200, description = "It is enabled", body = FactorAnswer),
        (status = 400, description = "Another code, or the factor is disabled"),
        (status = 401, description = "No token, or a pending one"),
        (status = 404, description = "No such factor of one's own"),
        (status = 429, description = "Too many wrong codes"),
    ),
)]
pub async fn verify(
    Medusa(person): Medusa<Person>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Path(id)): Medusa<Path<MfaFactorId>>,
    Medusa(Json(body)): Medusa<Json<Code>>,
) -> Result<HttpResponse, ApiError> {
    let factor = factors::verify(&state, person, id, of_app(body.code), address)
        .await
        .map_err(|error| slugged(error.into()))?;
    Ok(HttpResponse::Ok().json(FactorAnswer {
        mfa_factor: factor.into(),
    }))
}

/// Disables a factor, by a code or soon after signing in. All other sessions end.
#[utoipa::path(
    delete,
    path = "/auth/mfa/factors/{factor_id}",
    tag = "mfa",
    params(("factor_id" = MfaFactorId, Path)),
    request_body = GivenProof,
    responses(
        (status = 200, description = "It is disabled", body = FactorAnswer),
        (status = 400, description = "Another code"),
        (status = 401, description = "No token, or a pending one"),
        (status = 403, description = "The sign-in is too long ago, and no code was given"),
        (status = 404, description = "No such factor of one's own"),
        (status = 429, description = "Too many wrong codes"),
    ),
)]
pub async fn disable(
    Medusa(person): Medusa<Person>,
    cx: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Path(id)): Medusa<Path<MfaFactorId>>,
    Medusa(Json(body)): Medusa<Json<GivenProof>>,
) -> Result<HttpResponse, ApiError> {
    let work = async {
        let allowance = body.read()?;
        let (factor, ended) = factors::disable(&state, person, id, allowance, address).await?;
        for entry in ended {
            cx.verifier.revoke(entry);
        }
        Ok(HttpResponse::Ok().json(FactorAnswer {
            mfa_factor: factor.into(),
        }))
    };
    work.await.map_err(slugged)
}

/// Makes recovery codes in the place of earlier ones.
#[utoipa::path(
    post,
    path = "/auth/mfa/recovery-codes",
    tag = "mfa",
    request_body = NewCodes,
    responses(
        (status = 200, description = "The codes, shown once", body = CodesAnswer),
        (status = 400, description = "No factor is enabled, or the count is out of bounds"),
        (status = 401, description = "No token, or a pending one"),
        (status = 403, description = "The sign-in is too long ago, and no code was given"),
        (status = 429, description = "Too many wrong codes"),
    ),
)]
pub async fn recovery_codes(
    Medusa(person): Medusa<Person>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<NewCodes>>,
) -> Result<HttpResponse, ApiError> {
    let work = async {
        let count = match body.count {
            Some(count) if !(1..=recovery::MOST).contains(&count) => {
                let detail = "Recovery code count must be between 1 and 50";
                return Err(Problem::bad_request("invalid_data", detail).into());
            }
            count => count.and_then(|count| usize::try_from(count).ok()),
        };
        let allowance = body.proof.read()?;
        let codes = recovery::generate(&state, person, count, allowance, address).await?;
        Ok(unstored().json(CodesAnswer {
            recovery_codes: codes,
        }))
    };
    work.await.map_err(slugged)
}
