//! Where people reach the platform, and the cookies that their browsers keep for it.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use chassis::settings::PublicUrls;

use crate::requests::{Code, LIFETIME};
use crate::settings::CorsSection;

/// The platform's own address, and the origins whose pages may call it.
#[derive(Clone, Debug)]
pub struct PublicPlace {
    /// Where people reach the platform.
    pub urls: PublicUrls,
    /// Origins whose pages may call it with credentials.
    pub origins: Vec<String>,
}

impl PublicPlace {
    /// As the settings say.
    #[must_use]
    pub fn new(urls: PublicUrls, cors: CorsSection) -> Self {
        Self {
            urls,
            origins: cors.origins.0,
        }
    }

    /// The address of one of our paths, which begins with a slash.
    #[must_use]
    pub fn address(&self, path: &str) -> String {
        self.urls.of_platform(path)
    }

    /// Whether browsers reach it by TLS alone.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.urls.platform().scheme() == "https"
    }

    /// A cookie that binds a browser to a request for as long as one lives. It comes along when
    /// the person is sent back here from elsewhere, but with nothing else that another site does.
    #[must_use]
    pub fn binding(&self, name: &'static str, path: &'static str, value: &Code) -> Cookie<'static> {
        Cookie::build(name, value.expose().to_owned())
            .path(path)
            .http_only(true)
            .secure(self.is_secure())
            .same_site(SameSite::Lax)
            .max_age(Duration::seconds(LIFETIME.num_seconds()))
            .finish()
    }
}

/// The binding that a browser sends; one that we can't have made is none.
#[must_use]
pub fn bound(request: &HttpRequest, name: &str) -> Option<Code> {
    let cookie = request.cookie(name)?;
    let value = cookie.value();
    let ours = value.len() == 43
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    ours.then(|| Code::given(value))
}
