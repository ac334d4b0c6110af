//! Whatever headers a client sends, none passes that belongs between neighbours or to the gateway, and
//! none begins another line.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use super::Head;
use super::headers::{Cookies, Policy, pass, to_client};

const SEEDS: &[&[u8]] = &[
    b"accept: */*\ncookie: a=b; connect.sid=secret; c=d\nauthorization: Bearer x",
    b"connection: keep-alive, x-secret\nx-secret: 1\nX_Forwarded_For: ::1\nhost: other",
    b"transfer-encoding: chunked\ncontent-length: 5\nte: trailers\ntrailer: x\nupgrade: h2c",
    b"Slipway-Identity: admin\nmicro-namespace: x\nx-http-method-override: DELETE\nforwarded: for=1",
];

const WORDS: &[&[u8]] = &[
    b"\n",
    b": ",
    b"-",
    b"_",
    b",",
    b";",
    b"=",
    b"connection: ",
    b"x-secret",
    b"cookie: ",
    b"connect.sid=secret",
    b"proxy-authorization",
    b"keep_alive",
    b"x-original-url",
    b"x-rewrite-url",
    b"expect",
];

const POLICIES: &[Policy] = &[
    Policy::App,
    Policy::Platform(Cookies::None),
    Policy::Platform(Cookies::Own),
    Policy::Platform(Cookies::Session),
    Policy::Published,
];

/// Between neighbours (RFC 9110, section 7.6.1), or the gateway's to say, to whoever asks.
const NEVER: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-real-ip",
    "x-request-id",
];

/// What speaks for the caller, or of another request than the one that was checked.
const NEVER_TO_PUBLISHED: &[&str] = &[
    "authorization",
    "cookie",
    "micro-namespace",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// The headers that stand in these lines, as far as they are any.
fn sent(lines: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
    let lines = lines.split(|&byte| byte == b'\n');
    lines
        .filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let (name, value) = line.split_at(colon);
            let value = value[1..].trim_ascii();
            let name = HeaderName::from_bytes(name).ok()?;
            Some((name, HeaderValue::from_bytes(value).ok()?))
        })
        .collect()
}

/// What the other side reads of a head.
fn read(head: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut room = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut room);
    let length = request.parse(head).unwrap().unwrap();
    assert_eq!((length, request.path), (head.len(), Some("/")));
    let headers = request.headers.iter();
    headers
        .map(|header| (header.name.to_owned(), header.value.to_vec()))
        .collect()
}

/// The names that the `Connection` headers among these list.
fn listed(sent: &[(HeaderName, HeaderValue)]) -> Vec<String> {
    let connection = sent.iter().filter(|(name, _)| name == "connection");
    let names = connection.flat_map(|(_, value)| value.as_bytes().split(|&byte| byte == b','));
    names
        .filter_map(|name| std::str::from_utf8(name.trim_ascii()).ok())
        .map(str::to_ascii_lowercase)
        .collect()
}

#[test]
fn nothing_passes_that_is_between_neighbours_or_ours_to_say() {
    fuzz::check(SEEDS, WORDS, |input| {
        let sent = sent(&input.bytes);
        let listed = listed(&sent);
        let mut from = HeaderMap::new();
        for (name, value) in &sent {
            from.append(name.clone(), value.clone());
        }
        for &policy in POLICIES {
            let mut head = Head::new("GET", "/").unwrap();
            pass(&mut head, &from, policy, policy == Policy::Published);
            for (name, value) in read(&head.finish()) {
                // To servers that know headers as variables (CGI, WSGI) an underscore is a dash.
                let known = name.replace('_', "-");
                let known = known.as_str();
                assert!(!NEVER.contains(&known), "{name} to {policy:?}");
                assert!(!known.starts_with("x-forwarded-"), "{name}");
                assert!(!known.starts_with("slipway-"), "{name}");
                assert!(!listed.contains(&name), "{name} is listed");
                if policy == Policy::Published {
                    assert!(!NEVER_TO_PUBLISHED.contains(&known), "{name}");
                }
                let own = policy == Policy::Platform(Cookies::Own) && name == "cookie";
                let whole = sent
                    .iter()
                    .any(|(other, whole)| *other == name.as_str() && whole.as_bytes() == value);
                assert!(own || whole, "{name} has another value");
                let mut pairs = value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
                let session = pairs.any(|pair| pair.starts_with(b"connect.sid="));
                assert!(!own || !session, "a session passes");
            }
        }
    });
}

#[test]
fn no_answer_frames_itself_nor_acts_on_the_origin() {
    fuzz::check(SEEDS, WORDS, |input| {
        let sent = sent(&input.bytes);
        let listed = listed(&sent);
        let raw: Vec<_> = sent
            .iter()
            .map(|(name, value)| {
                let name = Bytes::copy_from_slice(name.as_str().as_bytes());
                (name, Bytes::copy_from_slice(value.as_bytes()))
            })
            .collect();
        for &policy in POLICIES {
            for (name, _) in &to_client(&raw, policy) {
                let name = name.as_str();
                let framing = [
                    "connection",
                    "content-length",
                    "transfer-encoding",
                    "upgrade",
                ];
                assert!(!framing.contains(&name), "{name}");
                let own = ["x-content-type-options", "content-security-policy"];
                let is_own = policy == Policy::Published && own.contains(&name);
                assert!(
                    is_own || !listed.iter().any(|other| other == name),
                    "{name}"
                );
                if policy == Policy::Published {
                    assert!(!["set-cookie", "clear-site-data"].contains(&name), "{name}");
                    assert!(!name.starts_with("access-control-"), "{name}");
                }
            }
        }
    });
}
