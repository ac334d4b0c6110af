//! Which headers pass the gateway, in both directions.
//!
//! What is only between two neighbours (RFC 9110, section 7.6.1) stays there; what the gateway
//! itself says to an upstream can't be said by a client.

use std::borrow::Cow;
use std::io::{Cursor, Write};
use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use common::session::SessionCookie;

use super::http1::Head;

/// Whose answer it is, and so what may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// An app on a host of its own: its cookies, authorization and CORS are its own business.
    App,
    /// A platform service, and what it sees of the browser's cookies.
    Platform(Cookies),
    /// A published service on the platform's own host: it must neither see the caller's
    /// credentials nor touch the platform's origin.
    Published,
}

/// Which cookies a platform service sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookies {
    /// None.
    None,
    /// Those that it has set itself, but not the session's: that one stands for the person.
    Own,
    /// The session's, too: it is what the request is about.
    Session,
}

/// What the gateway knows of a request's way so far.
#[derive(Clone, Debug)]
pub(crate) struct Hop<'a> {
    /// The client.
    pub(crate) client: Option<IpAddr>,
    /// The neighbour, whose own word about the way so far is passed on if it is trusted.
    pub(crate) peer: Option<IpAddr>,
    /// Whether it is.
    pub(crate) trusted: bool,
    /// The host that the client asked for.
    pub(crate) host: &'a str,
    /// `http` or `https`.
    pub(crate) scheme: &'a str,
}

/// The longest address as text: IPv6 with an embedded IPv4 one.
const LONGEST_ADDRESS: usize = 45;

/// Of a published service's answer, what would act on the whole of the platform's origin.
const ORIGIN_WIDE: &[&str] = &[
    "set-cookie",
    "set-cookie2",
    "service-worker-allowed",
    "clear-site-data",
    "strict-transport-security",
    "alt-svc",
    "nel",
    "report-to",
    "reporting-endpoints",
    "public-key-pins",
    "origin-agent-cluster",
];

/// Writes a client's headers as an upstream gets them, without those that the gateway then adds.
/// With `authorized` the gateway says itself on whose authority the request comes.
pub(crate) fn pass(head: &mut Head, from: &HeaderMap, policy: Policy, authorized: bool) {
    let listed = listed_in_connection(from);
    for (name, value) in from {
        let text = name.as_str();
        // To servers that know headers as variables (CGI, WSGI) an underscore is a dash.
        let read = dashed(text);
        if is_ours(&read)
            || is_hop_by_hop(&read)
            || is_listed(&listed, text)
            || is_kept_back(&read, policy)
            || (authorized && text == "authorization")
        {
            continue;
        }
        if text == "cookie" && policy == Policy::Platform(Cookies::Own) {
            if let Some(others) = without_session(value) {
                head.put(text, others);
            }
        } else {
            head.put(text, value);
        }
    }
}

/// Whether what a client sends under this name passes at all.
pub(super) fn is_of_client(name: &str, policy: Policy) -> bool {
    let read = dashed(name);
    !is_ours(&read) && !is_hop_by_hop(&read) && !is_kept_back(&read, policy)
}

/// Whether what an upstream sends under this name passes at all.
pub(super) fn is_of_upstream(name: &str, policy: Policy) -> bool {
    let is_wide = policy == Policy::Published && is_origin_wide(name);
    name != "content-length" && !is_hop_by_hop(name) && !is_wide
}

fn dashed(name: &str) -> Cow<'_, str> {
    if name.contains('_') {
        Cow::Owned(name.replace('_', "-"))
    } else {
        Cow::Borrowed(name)
    }
}

/// What the gateway says of the client, under these names and no other; framing, which is made
/// anew; and an expectation, which has been met by then.
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "content-length"
            | "expect"
            | "forwarded"
            // To such servers this one is the setting of a proxy.
            | "proxy"
            | "x-real-ip"
            | "x-request-id"
            | "traceparent"
    ) || name.starts_with("x-forwarded-")
        || name.starts_with("slipway-")
}

/// The other cookies of a header; none where it can't be read, for the session's may be in it.
fn without_session(value: &HeaderValue) -> Option<String> {
    SessionCookie::strip(value.to_str().ok()?)
}

fn is_kept_back(name: &str, policy: Policy) -> bool {
    match policy {
        Policy::App => false,
        Policy::Platform(cookies) => name == "cookie" && cookies == Cookies::None,
        // A method or a path in a header would be another than the one that was checked.
        Policy::Published => matches!(
            name,
            "authorization"
                | "cookie"
                | "micro-namespace"
                | "x-http-method"
                | "x-http-method-override"
                | "x-method-override"
                | "x-original-url"
                | "x-rewrite-url"
        ),
    }
}

/// Says where the request comes from (RFC 7239, and the older names that everyone reads).
pub(crate) fn add_forwarded(head: &mut Head, from: &HeaderMap, hop: &Hop<'_>) {
    let neighbour = if hop.trusted { hop.peer } else { hop.client };
    let mut address = Cursor::new([0; LONGEST_ADDRESS]);
    let _written = match neighbour {
        Some(IpAddr::V4(ip)) => write_octets(&mut address, ip),
        Some(IpAddr::V6(ip)) => write!(address, "{ip}"),
        None => address.write_all(b"unknown"),
    };
    let length = usize::try_from(address.position()).unwrap_or_default();
    let address = address.get_ref().get(..length).unwrap_or_default();
    let host = hop.host.as_bytes();
    let scheme = hop.scheme.as_bytes();
    let (open, close): (&[u8], &[u8]) = match neighbour {
        Some(IpAddr::V6(_)) => (b"for=\"[", b"]\""),
        _ => (b"for=", b""),
    };
    // A host may hold a port, which must be quoted.
    let element: [&[u8]; 7] = [
        open,
        address,
        close,
        b";host=\"",
        host,
        b"\";proto=",
        scheme,
    ];
    let put = |head: &mut Head, name: &str, next: &[&[u8]]| {
        let earlier = if hop.trusted {
            earlier(from, name)
        } else {
            None
        };
        match earlier {
            Some(earlier) => {
                let pieces = [&[earlier.as_bytes(), b", "], next].concat();
                head.put_all(name, &pieces);
            }
            None => head.put_all(name, next),
        }
    };
    put(head, "x-forwarded-for", &[address]);
    put(head, "forwarded", &element);
    head.put("x-forwarded-host", host);
    head.put("x-forwarded-proto", scheme);
}

/// Writes an address without the machinery of formats, which costs ten times as much.
fn write_octets(to: &mut impl Write, ip: Ipv4Addr) -> std::io::Result<()> {
    for (place, octet) in ip.octets().into_iter().enumerate() {
        let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' + digit);
        let leading = usize::from(octet < 100) + usize::from(octet < 10);
        let dot: &[u8] = if place == 0 { b"" } else { b"." };
        to.write_all(dot)?;
        to.write_all(digits.get(leading..).unwrap_or_default())?;
    }
    Ok(())
}

/// What the neighbour says of the way before it.
fn earlier(from: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = from
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// An upstream's headers as the client gets them. `Content-Length` is the body's to say.
pub(crate) fn to_client(from: &[(Bytes, Bytes)], policy: Policy) -> HeaderMap {
    let connection = from
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"))
        .map(|(_, value)| &value[..]);
    let listed = listed(connection);
    let mut headers = HeaderMap::with_capacity(from.len() + 4);
    for (name, value) in from {
        let Ok(name) = HeaderName::from_bytes(name) else {
            continue;
        };
        let text = name.as_str();
        if text == "content-length"
            || is_hop_by_hop(text)
            || is_listed(&listed, text)
            || (policy == Policy::Published && is_origin_wide(text))
        {
            continue;
        }
        if let Ok(value) = HeaderValue::from_maybe_shared(value.clone()) {
            headers.append(name, value);
        }
    }
    if policy == Policy::Published {
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        // A second policy beside the service's own: both apply.
        headers.append(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("sandbox"),
        );
    }
    headers
}

fn is_origin_wide(name: &str) -> bool {
    ORIGIN_WIDE.contains(&name) || name.starts_with("access-control-")
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

fn listed_in_connection(headers: &HeaderMap) -> Vec<&[u8]> {
    listed(
        headers
            .get_all(header::CONNECTION)
            .map(HeaderValue::as_bytes),
    )
}

/// The names that a `Connection` header adds to those that stay between neighbours. One that is none
/// takes nothing away from the others.
fn listed<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    values
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| {
            let usual: [&[u8]; 4] = [b"", b"close", b"keep-alive", b"upgrade"];
            !usual.iter().any(|other| other.eq_ignore_ascii_case(name))
        })
        .collect()
}

fn is_listed(listed: &[&[u8]], name: &str) -> bool {
    let mut listed = listed.iter();
    listed.any(|other| other.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        map
    }

    fn passed(from: &HeaderMap, policy: Policy) -> Head {
        let mut head = Head::new("GET", "/").unwrap();
        pass(&mut head, from, policy, false);
        head
    }

    fn answered(headers: &[(&'static str, &'static str)], policy: Policy) -> HeaderMap {
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        let raw: Vec<_> = headers
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)))
            .collect();
        to_client(&raw, policy)
    }

    fn hop(trusted: bool) -> Hop<'static> {
        let ip = Some(IpAddr::from([192, 0, 2, 1]));
        Hop {
            client: ip,
            peer: ip,
            trusted,
            host: "shop.localhost:8080",
            scheme: "http",
        }
    }

    #[test]
    fn what_is_between_neighbours_stays_there() {
        let from = client(&[
            ("connection", "keep-alive, X-Secret-Hop"),
            ("x-secret-hop", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic x"),
            ("accept", "*/*"),
            ("expect", "100-continue"),
        ]);
        assert_eq!(passed(&from, Policy::App).names(), ["accept"]);
    }

    #[test]
    fn an_app_keeps_its_credentials_and_a_published_service_sees_none() {
        let from = client(&[
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("origin", "https://x"),
        ]);
        let methods = client(&[
            ("x-http-method-override", "DELETE"),
            ("x-method-override", "DELETE"),
            ("x-http-method", "DELETE"),
        ]);
        assert_eq!(passed(&methods, Policy::Published).names(), [""; 0]);
        assert_eq!(passed(&methods, Policy::App).names().len(), 3);
        let names = |policy| passed(&from, policy).names().len();
        assert_eq!(names(Policy::App), 3);
        assert_eq!(names(Policy::Published), 1);
        assert_eq!(names(Policy::Platform(Cookies::None)), 2);
        let mut head = Head::new("GET", "/").unwrap();
        pass(&mut head, &from, Policy::Platform(Cookies::None), true);
        assert_eq!(
            head.names(),
            ["origin"],
            "the gateway names the authority itself"
        );
    }

    #[test]
    fn a_sessions_cookie_passes_only_where_the_request_is_about_it() {
        let from = client(&[
            ("cookie", "a=b; connect.sid=s3cret"),
            ("cookie", "connect.sid=s3cret"),
        ]);
        let seen = |cookies| {
            let head = passed(&from, Policy::Platform(cookies));
            head.all("cookie")
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(seen(Cookies::None), [""; 0]);
        assert_eq!(seen(Cookies::Own), ["a=b"]);
        assert_eq!(
            seen(Cookies::Session),
            ["a=b; connect.sid=s3cret", "connect.sid=s3cret"]
        );
    }

    #[test]
    fn a_client_cannot_say_where_it_comes_from() {
        let from = client(&[
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("x-forwarded-host", "evil"),
            ("slipway-client-address", "10.0.0.1"),
            ("slipway-gateway-token", "x"),
            ("slipway_identity", "x"),
            ("x_forwarded_for", "10.0.0.1"),
            ("x-forwarded_for", "10.0.0.1"),
            ("x_real_ip", "10.0.0.1"),
            ("proxy", "http://evil"),
        ]);
        assert_eq!(passed(&from, Policy::App).names(), [""; 0]);
        let forwarded = |hop: &Hop<'_>| {
            let mut head = passed(&from, Policy::App);
            add_forwarded(&mut head, &from, hop);
            head
        };
        let head = forwarded(&hop(false));
        assert_eq!(head.all("x-forwarded-for"), ["192.0.2.1"]);
        assert_eq!(head.all("x-forwarded-host"), ["shop.localhost:8080"]);
        let element = "for=192.0.2.1;host=\"shop.localhost:8080\";proto=http";
        assert_eq!(head.all("forwarded"), [element]);
        let head = forwarded(&hop(true));
        assert_eq!(head.all("x-forwarded-for"), ["10.0.0.1, 192.0.2.1"]);
        assert_eq!(head.all("forwarded"), [format!("for=10.0.0.1, {element}")]);
        let v6 = Hop {
            client: "2001:db8::1".parse().ok(),
            ..hop(false)
        };
        for address in ["0.0.0.0", "9.10.99.100", "255.1.20.200"] {
            let v4 = Hop {
                client: address.parse().ok(),
                ..hop(false)
            };
            assert_eq!(forwarded(&v4).all("x-forwarded-for"), [address]);
        }
        let expected = "for=\"[2001:db8::1]\";host=\"shop.localhost:8080\";proto=http";
        assert_eq!(forwarded(&v6).all("forwarded"), [expected]);
    }

    #[test]
    fn an_underscore_gets_nothing_past_that_a_dash_does_not() {
        let from = client(&[
            ("x_http_method_override", "DELETE"),
            ("x_original_url", "/admin"),
            ("micro_namespace", "other"),
            ("transfer_encoding", "chunked"),
            ("proxy_authorization", "x"),
            ("x_own", "1"),
        ]);
        assert_eq!(passed(&from, Policy::Published).names(), ["x_own"]);
    }

    #[test]
    fn what_is_listed_stays_whatever_it_is_listed_with() {
        let mut from = client(&[("x-secret", "1"), ("x-other", "2")]);
        let list = HeaderValue::from_bytes(b"\xff, x-secret").unwrap();
        from.insert(header::CONNECTION, list.clone());
        assert_eq!(passed(&from, Policy::App).names(), ["x-other"]);
        let bytes = |value: &HeaderValue| Bytes::copy_from_slice(value.as_bytes());
        let raw = [
            (Bytes::from_static(b"Connection"), bytes(&list)),
            (Bytes::from_static(b"X-Secret"), Bytes::from_static(b"1")),
        ];
        assert!(to_client(&raw, Policy::App).is_empty());
    }

    #[test]
    fn a_published_service_cannot_act_on_the_platforms_origin() {
        let from = [
            ("Set-Cookie", "x"),
            ("Clear-Site-Data", "x"),
            ("service-worker-allowed", "x"),
            ("strict-transport-security", "x"),
            ("Access-Control-Allow-Origin", "x"),
            ("content-security-policy", "default-src 'self'"),
        ];
        let passed = answered(&from, Policy::Published);
        let policies: Vec<_> = passed
            .get_all("content-security-policy")
            .map(|value| value.to_str().unwrap())
            .collect();
        assert_eq!(policies, ["default-src 'self'", "sandbox"]);
        assert_eq!(passed.get("x-content-type-options").unwrap(), "nosniff");
        assert_eq!(passed.len(), 3);
        assert_eq!(answered(&from, Policy::App).len(), 6);
    }

    #[test]
    fn what_an_upstream_says_to_its_neighbour_stays_there() {
        let from = [
            ("Connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "5"),
            ("x-other", "1"),
        ];
        let headers = answered(&from, Policy::App);
        assert_eq!((headers.len(), headers.contains_key("x-other")), (1, true));
    }
}
