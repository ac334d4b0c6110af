//! What confines a caller beside its scopes: revocations and restrictions of keys, and limits.
//!
//! What there is to know of a caller is put together once and kept with its verified token; that
//! nothing has changed since is one atomic read.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use chassis::auth::AuthError;
use chassis::http::ApiError;
use common::problem::Problem;
use common::time::Clock;
use common::token::{Rejection, TokenKind};

use super::cors::only_origin;
use super::tokens::Known;
use crate::keys::restrictions::Elsewhere;
use crate::limits::broker::Meters;
use crate::limits::gate::{Fields, Gates, Refused};
use crate::limits::{Limit, of_service};
use crate::rules::{KeyRule, Rules};
use crate::table::Service;

/// Of how many services the limits are kept with one caller.
const MOST_SERVICES: usize = 64;

/// What is known of a caller.
pub(crate) struct Profile {
    epoch: u64,
    /// The key and those that it descends from; empty where there is nothing to know.
    chain: Vec<Arc<KeyRule>>,
    gates: RefCell<Vec<Kept>>,
}

/// The limits of a caller of one service.
struct Kept {
    service: Arc<str>,
    /// Whether the user was known by then: a token can be older than the user.
    of_user: bool,
    gates: Rc<Gates>,
}

/// One worker's guard.
pub(crate) struct Guard {
    rules: Rules,
    meters: Meters,
    clock: Clock,
}

impl Guard {
    /// A guard that goes by these.
    pub(crate) fn new(rules: Rules, meters: Meters, clock: Clock) -> Self {
        Self {
            rules,
            meters,
            clock,
        }
    }

    /// Whether a token that holds otherwise hasn't been revoked or replaced here.
    pub(crate) fn holds(&self, known: &Known) -> Result<(), AuthError> {
        if known.verified.kind != TokenKind::ApiKey {
            return Ok(());
        }
        if !self.rules.is_fresh() {
            return Err(AuthError::Stale);
        }
        let profile = self.profile(known);
        let ended = || {
            let Some(rule) = profile.chain.first() else {
                return false;
            };
            let jti = &known.verified.claims.jti;
            let mut retired = rule.retired.iter();
            retired.any(|(retired, ends_at)| retired == jti && *ends_at <= self.clock.now())
        };
        if profile.chain.iter().any(|rule| rule.revoked) || ended() {
            return Err(Rejection::Revoked.into());
        }
        Ok(())
    }

    /// Lets a key in only from where it may be used.
    pub(crate) fn admit(
        &self,
        known: &Known,
        client: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Result<(), ApiError> {
        if known.verified.kind != TokenKind::ApiKey {
            return Ok(());
        }
        let profile = self.profile(known);
        if profile.chain.is_empty() {
            return Ok(());
        }
        let origin = only_origin(headers).and_then(|origin| origin.to_str().ok());
        for rule in &profile.chain {
            rule.doors.admit(client, origin).map_err(elsewhere)?;
        }
        Ok(())
    }

    /// Takes the call off its caller's limits.
    pub(crate) async fn take(
        &self,
        known: &Known,
        service: &Service,
    ) -> Result<Fields, Box<Refused>> {
        let gates = self.gates(known, service);
        if gates.is_empty() {
            return Ok(Fields::default());
        }
        Box::pin(gates.pass(&self.meters)).await
    }

    fn profile(&self, known: &Known) -> Rc<Profile> {
        let epoch = self.rules.epoch();
        if let Some(profile) = &*known.profile.borrow()
            && profile.epoch == epoch
        {
            return Rc::clone(profile);
        }
        let chain = known.key_id().map(|key| self.rules.chain(key));
        let profile = Rc::new(Profile {
            epoch,
            chain: chain.unwrap_or_default(),
            gates: RefCell::default(),
        });
        *known.profile.borrow_mut() = Some(Rc::clone(&profile));
        profile
    }

    fn gates(&self, known: &Known, service: &Service) -> Rc<Gates> {
        let profile = self.profile(known);
        let of_user = known.with_user(|user| !user.is_empty());
        let found = {
            let kept = profile.gates.borrow();
            let same = |kept: &&Kept| kept.of_user == of_user && kept.service == service.label;
            kept.iter().find(same).map(|kept| Rc::clone(&kept.gates))
        };
        if let Some(gates) = found {
            return gates;
        }
        let gates = Rc::new(self.make_gates(known, &profile, service));
        let mut kept = profile.gates.borrow_mut();
        if kept.len() >= MOST_SERVICES {
            kept.clear();
        }
        kept.push(Kept {
            service: Arc::clone(&service.label),
            of_user,
            gates: Rc::clone(&gates),
        });
        gates
    }

    fn make_gates(&self, known: &Known, profile: &Profile, service: &Service) -> Gates {
        let user = known.user();
        let caller = user.as_ref().map_or_else(
            || {
                let claims = &known.verified.claims;
                let identity = claims.auth_identity_id.as_ref();
                identity.map_or(claims.sub.as_str(), common::id::IdentityId::as_str)
            },
            common::id::UserId::as_str,
        );
        let own = self.rules.limits(caller);
        let set = of_service(&service.label);
        let of_each = self.rules.limits(&set);
        let mut subjects: Vec<(String, String, &[Limit])> = Vec::new();
        if let Some(limits) = &own {
            subjects.push((String::new(), caller.to_owned(), limits));
        }
        for (place, rule) in profile.chain.iter().enumerate() {
            let kind = if place == 0 {
                "key-".to_owned()
            } else {
                format!("key{place}-")
            };
            subjects.push((kind, rule.id.clone(), &rule.limits));
        }
        if let Some(limits) = &of_each {
            subjects.push(("service-".to_owned(), format!("{set}/{caller}"), limits));
        }
        Gates::new(&self.meters, subjects)
    }
}

fn elsewhere(why: Elsewhere) -> ApiError {
    match why {
        Elsewhere::Address => Problem::forbidden(
            "address_not_allowed",
            "The key can't be used from your address",
        ),
        Elsewhere::Origin => Problem::forbidden(
            "origin_not_allowed",
            "The key can be used by pages of its allowed origins only, which send `Origin`",
        ),
    }
    .into()
}
