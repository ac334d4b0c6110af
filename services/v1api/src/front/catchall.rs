//! `/v1/<service>/…`: services that somebody has named or published.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::HeaderName;
use chassis::auth::{AuthError, bearer};
use chassis::http::ApiError;
use common::id::UserId;
use common::problem::Problem;
use common::scope::Verb;

use super::apps::failed;
use super::{Arrival, Counted, Label, Outcome, Worker, answer_to};
use crate::edge::forward::Caller;
use crate::edge::tokens::{Known, Pass};
use crate::limits::gate::Fields;
use crate::proxy::headers::Policy;
use crate::proxy::{LeftOut, Outgoing, Plan};
use crate::services::rules::Terms;
use crate::table::{Service, Table, Target};

/// The header by which an upstream learns who calls.
pub(crate) const IDENTITY_HEADER: &str = "slipway-identity";

/// The header that asks for another namespace than the token's own.
const NAMESPACE_HEADER: HeaderName = HeaderName::from_static("micro-namespace");

impl Worker {
    /// Answers for a service of the catch-all.
    pub(super) async fn named(&self, name: &str, rest: &str, arrival: Arrival) -> Outcome {
        let known = match self
            .check(bearer(&arrival.request))
            .await
            .and_then(|known| known.ok_or(AuthError::Missing))
        {
            Ok(known) => known,
            Err(error) => return Outcome::refused(error.into()),
        };
        let mut counted = Counted {
            known: Some(Rc::clone(&known)),
            ..Counted::default()
        };
        let table = self.view.now();
        let Some(service) = table.service(name) else {
            return Outcome {
                response: Err(unknown_service()),
                counted,
            };
        };
        counted.service = Label::Shared(Arc::clone(&service.label));
        let terms = service.rules.terms(arrival.request.method(), rest);
        let admitted = self.admit(service, &known, terms.verb, &arrival, table.members);
        let response = match admitted.await {
            Ok(identity) => {
                counted.endpoint = self.endpoints.name(&service.label, rest).into();
                Ok(match self.guard.take(&known, service).await {
                    Ok(fields) => {
                        let passed = self.pass_to_named(service, &identity, terms, rest, arrival);
                        with(&fields, passed.await)
                    }
                    Err(refused) => with(&refused.fields, Err(refused.error)),
                })
            }
            Err(error) => Err(error),
        };
        Outcome { response, counted }
    }

    /// Lets a caller through, and says as whom the service sees it.
    async fn admit(
        &self,
        service: &Arc<Service>,
        known: &Known,
        verb: Verb,
        arrival: &Arrival,
        members: i64,
    ) -> Result<Rc<str>, ApiError> {
        let client = arrival.origin.client;
        self.guard.admit(known, client, arrival.request.headers())?;
        self.check_namespace(arrival, known)?;
        let now = self.gateway.context.clock.now().unix();
        if let Some(identity) = known.pass(service, verb, members, now) {
            return Ok(identity);
        }
        let scope = Box::pin(self.access.admit(service, known, verb, members)).await?;
        let user = Box::pin(self.access.user(known)).await?;
        let claims = &known.verified.claims;
        let caller = Caller {
            subject: user.as_ref().map_or(claims.sub.as_str(), UserId::as_str),
            user: user.as_ref(),
            key: known.key_id(),
            actor: claims.actor_type,
            account: claims.account_id.as_ref(),
        };
        let (identity, good_until) = self
            .gateway
            .signer
            .sign(&service.name, scope, &caller)
            .map_err(ApiError::internal)?;
        known.remember(Pass {
            service: Arc::clone(service),
            verb,
            members,
            identity: Rc::clone(&identity),
            good_until,
        });
        Ok(identity)
    }

    /// The token's own namespace, or the default one, is the only one that it reaches.
    fn check_namespace(&self, arrival: &Arrival, known: &Known) -> Result<(), ApiError> {
        let default: &str = &self.gateway.issuer;
        let own = known
            .verified
            .claims
            .namespace
            .as_deref()
            .unwrap_or(default);
        for asked in arrival.request.headers().get_all(NAMESPACE_HEADER) {
            if asked.as_bytes() != own.as_bytes() {
                let detail = format!("The token reaches the namespace `{own}` only");
                return Err(Problem::forbidden("namespace_not_allowed", detail).into());
            }
        }
        // Every service is in the default namespace.
        if own == default {
            Ok(())
        } else {
            Err(unknown_service())
        }
    }

    async fn pass_to_named(
        &self,
        service: &Service,
        identity: &str,
        terms: Terms,
        rest: &str,
        arrival: Arrival,
    ) -> Result<HttpResponse, ApiError> {
        let query = arrival.request.uri().query();
        let target = query.map(|query| format!("{rest}?{query}"));
        let target = target.as_deref().unwrap_or(rest);
        let host = self.host_of(service);
        let mut head = arrival.head(target, &host, Policy::Published, None)?;
        head.put_all(
            "x-forwarded-prefix",
            &[b"/v1/", service.name.as_str().as_bytes()],
        );
        head.put(IDENTITY_HEADER, identity);
        let plan = Plan {
            head,
            policy: Policy::Published,
            max_body: service
                .rules
                .max_body
                .map_or(self.gateway.max_body, |own| own.min(self.gateway.max_body)),
            max_response_body: service.rules.max_response_body,
            patience: terms.patience,
            own_host: matches!(service.target, Target::Upstreams(_)),
            trip: arrival.trip.clone(),
        };
        let mut outgoing = Outgoing::new(&arrival.request, arrival.payload, plan)
            .map_err(|error| failed(&error))?;
        match &service.target {
            Target::Environment(id) => {
                self.reach(
                    |table: &Table| table.environment(id).cloned(),
                    Some(service),
                    &mut outgoing,
                )
                .await
            }
            Target::Upstreams(origins) => {
                let left_out = self.left_out(service);
                let sent = outgoing
                    .send(&self.upstreams, origins, &left_out, self.next_turn())
                    .await;
                sent.map_err(|error| self.failed(&service.label, &error))
            }
        }
    }

    /// The instances of a service that have failed its health checks.
    pub(super) fn left_out(&self, service: &Service) -> LeftOut {
        self.ailing
            .with(|ailing| ailing.get(&service.label).map(Arc::clone))
    }

    /// The host by which the service knows itself; where it has several upstreams, that of the first.
    fn host_of(&self, service: &Service) -> String {
        let table = self.view.now();
        let origin = table.origins(service).first();
        let origin = origin.map_or("", |origin| &**origin);
        table.host(service, origin, &self.gateway.apps_authority)
    }
}

/// An answer that says what is left of its caller's limits.
fn with(fields: &Fields, response: Result<HttpResponse, ApiError>) -> HttpResponse {
    let mut response = response.unwrap_or_else(|error| answer_to(&error));
    fields.put(response.headers_mut());
    response
}

fn unknown_service() -> ApiError {
    Problem::not_found("service").into()
}
