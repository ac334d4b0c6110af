//! The cookie's attributes.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{COOKIE, HeaderMap};
use common::session::SessionCookie;
use common::time::Span;

/// How browsers are to keep it: for the platform's own host alone unless told, for no script, and
/// for no page of another site.
#[derive(Clone, Debug)]
pub struct Cookies {
    /// Whether people come by https, so that it must never go over http.
    pub secure: bool,
    /// Another domain than the host itself.
    pub domain: Option<String>,
}

impl Cookies {
    /// Has the browser keep it.
    #[must_use]
    pub fn set(&self, cookie: &SessionCookie, lifetime: Span) -> Cookie<'static> {
        self.of(cookie.expose().to_owned(), lifetime)
    }

    /// Has the browser forget it.
    #[must_use]
    pub fn clear(&self) -> Cookie<'static> {
        self.of(String::new(), Span::zero())
    }

    fn of(&self, value: String, lifetime: Span) -> Cookie<'static> {
        let mut cookie = Cookie::build(SessionCookie::NAME, value)
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.secure)
            .max_age(Duration::seconds(lifetime.num_seconds()));
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(domain.clone());
        }
        cookie.finish()
    }
}

/// The one that a request brings.
pub(super) fn of(headers: &HeaderMap) -> Option<SessionCookie> {
    SessionCookie::find(
        headers
            .get_all(COOKIE)
            .filter_map(|header| header.to_str().ok()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_for_the_host_alone_unless_told_and_for_no_script() {
        let (cookie, lifetime) = (SessionCookie::random(), Span::hours(1));
        let plain = Cookies {
            secure: false,
            domain: None,
        };
        let expected = format!(
            "connect.sid={}; HttpOnly; SameSite=Lax; Path=/; Max-Age=3600",
            cookie.expose()
        );
        assert_eq!(plain.set(&cookie, lifetime).to_string(), expected);
        let wide = Cookies {
            secure: true,
            domain: Some("slipway.example".into()),
        };
        let shown = wide.set(&cookie, lifetime).to_string();
        assert!(
            shown.contains("; Secure") && shown.contains("; Domain=slipway.example"),
            "{shown}"
        );
        assert!(wide.clear().to_string().contains("Max-Age=0"));
    }
}
