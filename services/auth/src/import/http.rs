//! `/auth/admin/identities/import`

use actix_web::{HttpResponse, web};
use chassis::audit::{self, Entry};
use chassis::auth::Admin;
use chassis::http::{ApiError, ClientAddress, Json};
use common::id::IdentityId;
use common::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{MOST, Outcome, Row};
use crate::medusa::{Medusa, slugged};
use crate::state::State;

/// People to be taken in; other members of a row are passed over, as exports have many.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct Import {
    /// At most 500.
    identities: Vec<ImportRow>,
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Import({} rows)", self.identities.len())
    }
}

/// One of them.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct ImportRow {
    /// The address.
    email: String,
    /// The hash of the password: bcrypt, scrypt, PBKDF2 or argon2.
    #[schema(format = Password)]
    password_hash: String,
    /// Whether the address is known to be hers.
    #[serde(default)]
    email_verified: bool,
}

/// What has become of all of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ImportAnswer {
    /// How many can sign in now who couldn't before.
    created: usize,
    /// How many were here already.
    existing: usize,
    /// How many can't be taken.
    refused: usize,
    /// Each, in the order in which they came.
    results: Vec<ImportResult>,
}

/// What has become of one.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ImportResult {
    /// `created`, `exists` or `refused`.
    status: &'static str,
    /// The identity, unless refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<IdentityId>,
    /// Why she can't be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Outcome> for ImportResult {
    fn from(outcome: Outcome) -> Self {
        let (status, id, reason) = match outcome {
            Outcome::Created(id) => ("created", Some(id), None),
            Outcome::Exists(id) => ("exists", Some(id), None),
            Outcome::Refused(why) => ("refused", None, Some(why.to_string())),
        };
        Self { status, id, reason }
    }
}

/// Takes in people from elsewhere, with the hashes of their passwords.
///
/// Hashes are taken from bcrypt (`$2a$`, `$2b$`, `$2y$`), scrypt (PHC, Medusa's and Firebase's), PBKDF2 (PHC,
/// passlib's and Django's) and argon2; one that costs more than a sign-in may is refused. At the first
/// sign-in it is replaced by argon2id. Who is here already stays as she is.
#[utoipa::path(
    post,
    path = "/auth/admin/identities/import",
    tag = "administration",
    request_body = Import,
    responses(
        (status = 200, description = "What has become of each", body = ImportAnswer),
        (status = 403, description = "The caller is no operator"),
        (status = 422, description = "There are more than 500, or the body is not as expected"),
    ),
)]
pub async fn import(
    Medusa(admin): Medusa<Admin>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<Import>>,
) -> Result<HttpResponse, ApiError> {
    if body.identities.len() > MOST {
        let why = Problem::invalid_field("identities", format_args!("are more than {MOST}"));
        return Err(slugged(why.into()));
    }
    let mut results = Vec::with_capacity(body.identities.len());
    for row in body.identities {
        let row = Row {
            email: row.email,
            password_hash: row.password_hash,
            email_verified: row.email_verified,
        };
        let outcome = super::take(&state, &row, address).await;
        results.push(ImportResult::from(
            outcome.map_err(|error| slugged(error.into()))?,
        ));
    }
    let count = |status: &str| results.iter().filter(|one| one.status == status).count();
    let answer = ImportAnswer {
        created: count("created"),
        existing: count("exists"),
        refused: count("refused"),
        results,
    };
    let details = json!({ "created": answer.created, "existing": answer.existing, "refused": answer.refused });
    let now = state.clock.now();
    let recorded = state.db.write(move |db| {
        let entry = Entry::by(&admin.claims, "identities.imported", "identities", address);
        audit::record(db, &entry.with(details), now)
    });
    recorded
        .await
        .map_err(|error: diesel::result::Error| slugged(error.into()))?;
    Ok(HttpResponse::Ok().json(answer))
}
