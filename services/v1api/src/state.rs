//! What the gateway's own routes work with.

use std::sync::Arc;

use chassis::Context;
use chassis::http::ApiError;
use common::id::UserId;
use common::problem::Problem;
use common::token::Claims;
use tokio::sync::watch;

use crate::docs::Documents;
use crate::edge::forward::ForwardSigner;
use crate::health::Health;
use crate::ready::Readiness;
use crate::rules::Rules;
use crate::table::Table;
use crate::table::loader::Loader;

/// What handlers take.
#[derive(Clone)]
pub(crate) struct State {
    /// The service's surroundings.
    pub(crate) context: Context,
    /// The routes as they change.
    pub(crate) routes: watch::Receiver<Arc<Table>>,
    /// Looks for changed routes at once, where a caller has just changed one.
    pub(crate) loader: Arc<Loader>,
    /// The issuer of all tokens, which is also the default namespace.
    pub(crate) issuer: Arc<str>,
    /// What is known of keys and limits beside what tokens say.
    pub(crate) rules: Rules,
    /// Signs what upstreams get.
    pub(crate) signer: ForwardSigner,
    /// What is known of the instances of services.
    pub(crate) health: Health,
    /// The API documents of all services.
    pub(crate) documents: Documents,
    /// Whether everything behind the gateway is ready.
    pub(crate) readiness: Readiness,
}

impl State {
    /// The routes of this moment.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.routes.borrow())
    }
}

/// The user that a token's identity has become, for a token that is older than the user.
pub(crate) async fn user_of(context: &Context, claims: &Claims) -> Result<UserId, ApiError> {
    if let Some(user) = claims.user_id() {
        return Ok(user.clone());
    }
    let malformed = || Problem::invalid_token("The token is malformed");
    let identity = claims.auth_identity_id.as_ref().ok_or_else(malformed)?;
    chassis::auth::user_of_identity(context, identity).await
}
