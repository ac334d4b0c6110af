//! Cookies of sessions, and the tokens that each worker has traded for them.
//!
//! A cookie is known here by its digest, and goes no further. The token that auth gives for it lives for
//! a minute at most; like any other it is checked at each use, so that a session that has ended is
//! over as soon as the gateway has heard of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use chassis::Context;
use chassis::calls::CallError;
use common::ExposeSecret as _;
use common::api::auth::{SessionExchange, SignedToken};
use common::session::SessionCookie;
use common::time::{Span, Time};

/// How many cookies a worker keeps.
const MOST_KEPT: usize = 10_000;
/// How much of its life a token that is used has at least.
const LEAST_LEFT: Span = Span::seconds(5);
/// For how long a cookie that is nobody's is not asked for again: browsers go on sending it.
const UNKNOWN_FOR: Span = Span::seconds(30);

struct Kept {
    /// None for a cookie that is nobody's.
    token: Option<Rc<str>>,
    until: Time,
}

/// One worker's knowledge of what cookies stand for.
pub(crate) struct Sessions {
    context: Context,
    kept: RefCell<HashMap<String, Kept>>,
}

impl Sessions {
    /// None known yet.
    pub(crate) fn new(context: Context) -> Self {
        Self {
            context,
            kept: RefCell::default(),
        }
    }

    /// The token that stands for a cookie; none if the cookie is nobody's.
    pub(crate) async fn token(&self, cookie: &SessionCookie) -> Result<Option<Rc<str>>, CallError> {
        let digest = cookie.digest();
        let now = self.context.clock.now();
        if let Some(kept) = self.kept.borrow().get(&digest)
            && kept.until > now
        {
            return Ok(kept.token.clone());
        }
        let request = SessionExchange {
            digest: digest.clone(),
        };
        let path = "/internal/sessions/exchange";
        let traded = self
            .context
            .calls
            .post::<_, SignedToken>("auth", path, &request)
            .await;
        let kept = match traded {
            Ok(signed) => Kept {
                token: Some(signed.token.expose_secret().into()),
                until: signed.expires_at - LEAST_LEFT,
            },
            Err(error) if error.is_not_found() => Kept {
                token: None,
                until: now + UNKNOWN_FOR,
            },
            Err(error) => return Err(error),
        };
        let token = kept.token.clone();
        self.keep(digest, kept, now);
        Ok(token)
    }

    fn keep(&self, digest: String, value: Kept, now: Time) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, kept| kept.until > now);
        }
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(digest, value);
    }

    /// Forgets what a cookie stood for.
    pub(crate) fn forget(&self, cookie: &SessionCookie) {
        self.kept.borrow_mut().remove(&cookie.digest());
    }
}
