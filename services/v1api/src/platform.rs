//! The platform's own routes: which service answers for which paths.
//!
//! This one table decides. Whatever it doesn't name goes to the catch-all if it begins with
//! `/v1/`, and to nobody otherwise.

#[cfg(test)]
mod fuzz;

/// The services behind the gateway.
pub(crate) const SERVICES: &[&str] = &["auth", "account", "project", "github", "provisioner"];

/// Who answers for a path on the platform's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner<'a> {
    /// The gateway itself.
    Gateway,
    /// A platform service.
    Service(&'static str),
    /// The service of this name behind the catch-all, and the path's rest from its slash on.
    Named(&'a str, &'a str),
    /// Nobody.
    Nobody,
}

/// A prefix of whole path segments, in which `*` stands for any one, and who owns what is below it.
/// The first that fits decides, so the longer ones come first.
const PREFIXES: &[(&str, Option<&str>)] = &[
    ("/auth", Some("auth")),
    ("/api/users", Some("auth")),
    ("/oauth", Some("auth")),
    ("/signup", Some("auth")),
    ("/login", Some("auth")),
    ("/logout", Some("auth")),
    ("/reset", Some("auth")),
    ("/password", Some("auth")),
    ("/v1/realms", Some("auth")),
    ("/login-request", Some("auth")),
    ("/auth-redirect", Some("auth")),
    ("/complete", Some("auth")),
    ("/.well-known/jwks.json", Some("auth")),
    ("/.well-known/openid-configuration", Some("auth")),
    ("/.well-known/oauth-authorization-server", Some("auth")),
    ("/.well-known/forward-jwks.json", None),
    ("/v1/users", Some("account")),
    ("/v1/accounts/*/projects", Some("project")),
    ("/v1/account/*/projects", Some("project")),
    ("/v1/accounts/*/webhooks", Some("project")),
    ("/v1/account/*/webhooks", Some("project")),
    ("/v1/accounts/*/github", Some("github")),
    ("/v1/account/*/github", Some("github")),
    ("/v1/accounts", Some("account")),
    ("/v1/account", Some("account")),
    ("/v1/invite", Some("account")),
    ("/v1/audit", Some("account")),
    ("/v1/generate", None),
    ("/v1/api-keys", None),
    ("/v1/quotas", None),
    ("/v1/usage", None),
    ("/v1/forward-keys", None),
    ("/v1/services", None),
    ("/git", Some("github")),
    ("/github", Some("github")),
    ("/generate", None),
    ("/openapi.json", None),
    ("/docs", None),
    ("/healthz", None),
    ("/readyz", None),
];

/// Finds who answers for a path as it was sent: percent-encoded letters of a prefix match nothing.
pub(crate) fn owner(path: &str) -> Owner<'_> {
    for (prefix, service) in PREFIXES {
        if is_below(path, prefix) {
            return service.map_or(Owner::Gateway, Owner::Service);
        }
    }
    let Some(rest) = path.strip_prefix("/v1/") else {
        return Owner::Nobody;
    };
    let (name, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Owner::Named(name, if below.is_empty() { "/" } else { below })
}

/// What a session's cookie is to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieUse {
    /// Nothing: nobody asks who calls, or by other means.
    Ignored,
    /// It tells who calls, but is not what opens: a way to sign in, which must go on whatever cookie the
    /// browser still sends.
    Welcome,
    /// The caller's credentials.
    Credentials,
    /// What the request is about.
    Subject,
}

/// Where a session's cookie isn't the caller's credentials. The first that fits decides.
const COOKIE_USES: &[(&str, CookieUse)] = &[
    ("/auth/session", CookieUse::Subject),
    ("/auth/sessions", CookieUse::Credentials),
    ("/auth/devices", CookieUse::Credentials),
    ("/auth/admin", CookieUse::Credentials),
    ("/auth/token", CookieUse::Credentials),
    ("/auth/mfa", CookieUse::Credentials),
    ("/auth/password", CookieUse::Credentials),
    ("/auth/email", CookieUse::Credentials),
    ("/auth/verification/request", CookieUse::Credentials),
    ("/auth/reset", CookieUse::Ignored),
    ("/auth/verify", CookieUse::Ignored),
    ("/auth", CookieUse::Welcome),
    ("/api/users/signup", CookieUse::Welcome),
    ("/api/users/login", CookieUse::Welcome),
    ("/api/users/*/accounts/signup", CookieUse::Welcome),
    ("/api/users/*/accounts/login", CookieUse::Welcome),
    ("/oauth", CookieUse::Welcome),
    ("/login-request", CookieUse::Ignored),
    ("/auth-redirect", CookieUse::Ignored),
    ("/complete", CookieUse::Ignored),
    ("/git", CookieUse::Ignored),
    ("/github", CookieUse::Ignored),
    ("/.well-known", CookieUse::Ignored),
    ("/openapi.json", CookieUse::Ignored),
    ("/docs", CookieUse::Ignored),
    ("/healthz", CookieUse::Ignored),
    ("/readyz", CookieUse::Ignored),
];

/// Whether everybody may call a path, whatever token comes along: what GitHub calls, and where it sends
/// browsers back to.
pub(crate) fn is_open(path: &str) -> bool {
    is_below(path, "/github")
}

/// What a session's cookie is to a platform route.
pub(crate) fn cookie_use(path: &str) -> CookieUse {
    COOKIE_USES
        .iter()
        .find(|(prefix, _)| is_below(path, prefix))
        .map_or(CookieUse::Credentials, |(_, cookie_use)| *cookie_use)
}

fn is_below(path: &str, prefix: &str) -> bool {
    // Asked for each prefix of a table with each request: most differ from the path at once.
    let pairs = path.bytes().zip(prefix.bytes());
    let same = pairs
        .take_while(|(one, other)| one == other && *other != b'*')
        .count();
    match prefix.as_bytes().get(same) {
        None => matches!(path.as_bytes().get(same), None | Some(b'/')),
        Some(b'*') => is_below_pattern(path, prefix),
        Some(_) => false,
    }
}

/// The same for a prefix with `*` for segments.
fn is_below_pattern(path: &str, prefix: &str) -> bool {
    let mut segments = path.split('/');
    prefix.split('/').all(|wanted| {
        segments.next().is_some_and(|segment| {
            if wanted == "*" {
                !segment.is_empty()
            } else {
                segment == wanted
            }
        })
    })
}

/// Whether a path has segments that another reader could take for a way up or out: `.`, `..`, an
/// empty one, a backslash, a NUL, and the encoded forms of these.
pub(crate) fn is_tricky(path: &str) -> bool {
    !is_plain(path) && is_tricky_closely(path)
}

/// Whether a path has nothing that would have to be looked at closely, as most have.
fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    let mut pairs = bytes.iter().zip(bytes.iter().skip(1));
    bytes.first() == Some(&b'/')
        && !bytes.iter().any(|byte| matches!(byte, b'%' | b'\\'))
        && !pairs.any(|pair| matches!(pair, (b'/', b'/' | b'.')))
}

fn is_tricky_closely(path: &str) -> bool {
    let bytes = path.as_bytes();
    if bytes.windows(2).any(|pair| pair == b"//") || bytes.contains(&b'\\') {
        return true;
    }
    path.split('/').any(|segment| {
        // What stands behind a `;` is a parameter to some servers: `..;` is `..` to them.
        let name = segment.split(';').next().unwrap_or_default();
        matches!(decoded_dots(name), Some(1 | 2)) || has_encoded_separator(segment)
    })
}

/// How many dots a segment is, if it is dots alone, plain or encoded.
fn decoded_dots(segment: &str) -> Option<usize> {
    let mut rest = segment;
    let mut dots = 0;
    while !rest.is_empty() {
        rest = rest
            .strip_prefix('.')
            .or_else(|| rest.strip_prefix("%2e"))
            .or_else(|| rest.strip_prefix("%2E"))?;
        dots += 1;
    }
    Some(dots)
}

fn has_encoded_separator(segment: &str) -> bool {
    segment.as_bytes().windows(3).any(|triple| {
        matches!(
            triple,
            [b'%', b'0', b'0'] | [b'%', b'2', b'f' | b'F'] | [b'%', b'5', b'c' | b'C']
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::names::ServiceName;

    #[test]
    fn no_service_can_take_a_first_segment_of_the_platform() {
        for (prefix, _) in PREFIXES {
            let Some(first) = prefix
                .strip_prefix("/v1/")
                .and_then(|rest| rest.split('/').next())
            else {
                continue;
            };
            assert!(
                ServiceName::parse(first).is_err(),
                "{first} must be reserved"
            );
        }
    }

    #[test]
    fn every_owner_in_the_table_is_a_service() {
        for service in PREFIXES.iter().filter_map(|(_, service)| *service) {
            assert!(SERVICES.contains(&service), "{service}");
        }
    }

    #[test]
    fn a_longer_prefix_decides_over_a_shorter_one() {
        assert_eq!(owner("/v1/accounts/acc_1"), Owner::Service("account"));
        assert_eq!(
            owner("/v1/accounts/acc_1/members/user_1"),
            Owner::Service("account")
        );
        assert_eq!(
            owner("/v1/account/acc_1/projects/p/build"),
            Owner::Service("project")
        );
        assert_eq!(
            owner("/v1/account/acc_1/webhooks/whk_1/test"),
            Owner::Service("project")
        );
        assert_eq!(
            owner("/v1/accounts/acc_1/github/install"),
            Owner::Service("github")
        );
        assert_eq!(owner("/auth/euser/emailpass"), Owner::Service("auth"));
        assert_eq!(owner("/v1/api-keys/key_1"), Owner::Gateway);
        assert_eq!(owner("/auth-redirect/x"), Owner::Service("auth"));
        assert_eq!(owner("/auth-redirects"), Owner::Nobody);
    }

    #[test]
    fn a_prefix_matches_whole_segments_as_they_were_sent() {
        assert_eq!(owner("/authors"), Owner::Nobody);
        assert_eq!(owner("/v1/usersx"), Owner::Named("usersx", "/"));
        assert_eq!(owner("/v1/%75sers"), Owner::Named("%75sers", "/"));
        assert_eq!(
            owner("/v1/location/track"),
            Owner::Named("location", "/track")
        );
        assert_eq!(owner("/v1"), Owner::Nobody);
        assert_eq!(owner("/"), Owner::Nobody);
    }

    #[test]
    fn a_cookie_opens_what_it_is_for_and_keeps_nobody_from_signing_in() {
        for (path, expected) in [
            ("/auth/session", CookieUse::Subject),
            ("/auth/sessions/sess_1", CookieUse::Credentials),
            ("/auth/token/refresh", CookieUse::Credentials),
            ("/auth/mfa/factors", CookieUse::Credentials),
            ("/auth/euser/emailpass", CookieUse::Welcome),
            ("/api/users/7/accounts/login", CookieUse::Welcome),
            ("/api/users/7/accounts", CookieUse::Credentials),
            ("/v1/users/me", CookieUse::Credentials),
            ("/docs", CookieUse::Ignored),
            ("/github/installed", CookieUse::Ignored),
        ] {
            assert_eq!(cookie_use(path), expected, "{path}");
        }
    }

    #[test]
    fn what_github_calls_is_open_and_what_is_asked_about_it_is_not() {
        assert!(is_open("/github/webhooks"));
        assert!(!is_open("/v1/accounts/acc_1/github/install"));
        assert!(!is_open("/git/acc_1/shop.git/info/refs"));
    }

    #[test]
    fn paths_that_could_be_read_otherwise_are_tricky() {
        for path in [
            "/v1/x/../y",
            "/v1/x/%2e%2E/y",
            "/v1/x/.%2e",
            "/v1//x",
            "/v1/x\\y",
            "/v1/x/%00",
            "/v1/x/a%2Fb",
            "/v1/x/..;/y",
            "/v1/./x",
        ] {
            assert!(is_tricky(path), "{path}");
        }
        for path in ["/v1/x/y", "/v1/x/...", "/v1/x/a.b/%20c;v=1", "/"] {
            assert!(!is_tricky(path), "{path}");
        }
    }
}
