//! The end of a trip that a page sent its person on.

use actix_web::HttpResponse;
use chassis::http::{ApiError, ClientAddress};
use common::id::IdentityId;
use common::problem::Problem;
use common::token::ActorType;

use super::returned::Returned;
use super::sign_in::{EnterError, enter, finish, link as link_account};
use super::trip;
use crate::identities::Provider;
use crate::requests::{self, Answer, Code, Kind, Request};
use crate::sign_in::show;
use crate::state::State;

/// Who comes back.
#[derive(Clone)]
pub(super) struct Comer {
    pub(super) cookie: Option<Code>,
    /// Whose token is sent along.
    pub(super) identity: Option<IdentityId>,
    pub(super) address: ClientAddress,
}

impl Comer {
    /// Whether a trip can be this comer's. A page of another site may call without cookies, so
    /// that none says nothing about who signs in; a wrong one does. Whoever links must show that
    /// it is she who asked, by cookie or token: else one could have another person's GitHub
    /// account linked to an identity of one's own.
    fn fits(&self, request: &Request, actor: ActorType) -> bool {
        let own = request.is_of_browser(self.cookie.as_ref());
        let kind_fits = match request.kind {
            Kind::Redirect => own || self.cookie.is_none(),
            Kind::Link => own || (self.identity.is_some() && self.identity == request.identity_id),
            Kind::Login | Kind::Device => false,
        };
        kind_fits && request.actor_type == Some(actor)
    }
}

/// Makes of what she brings back who she is here.
pub(super) async fn arrived(
    state: &State,
    actor: &str,
    comer: Comer,
    returned: &Returned,
) -> Result<HttpResponse, ApiError> {
    let (actor, _) = state.providers.check(actor, Provider::Github.as_str())?;
    let now = state.clock.now();
    let address = comer.address;
    let is_good = move |request: &Request| comer.fits(request, actor);
    let request = trip::take_back(state, returned.state.as_deref(), is_good).await?;
    let refused = |detail: String| Problem {
        detail: detail.into(),
        ..Problem::unauthorized()
    };
    let Some(code) = returned.code.as_ref().filter(|_| returned.error.is_none()) else {
        if let Some(request) = request {
            close(state, request).await?;
        }
        return Err(refused(returned.said()).into());
    };
    let request = request.ok_or_else(|| refused("No state provided, or session expired".into()))?;
    let profile = match trip::come_back(state, &request, code).await {
        Ok(profile) => profile,
        Err(error) => {
            close(state, request).await?;
            return Err(error.into());
        }
    };
    let identity = state
        .db
        .write(move |db| {
            let identity = match &request.identity_id {
                Some(id) => link_account(db, id, &profile, actor, address, now)?,
                None => enter(db, &profile, actor, address, now)?,
            };
            requests::answer(db, &request, &Answer::default(), now)?;
            requests::redeem(db, &request, now)?;
            Ok::<_, EnterError>(identity)
        })
        .await?;
    Ok(show(finish(state, &identity, actor).await?))
}

/// Nothing comes of a request any more; it doesn't wait for an answer.
async fn close(state: &State, request: Request) -> Result<(), ApiError> {
    let now = state.clock.now();
    state
        .db
        .write(move |db| requests::decline(db, &request, now))
        .await?;
    Ok(())
}
