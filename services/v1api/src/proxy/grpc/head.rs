//! Heads and trailers between the gateway's own types and those of HTTP/2.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue, TE};

use crate::proxy::headers::{self, Policy};
use crate::proxy::http1::{Head, HeadLimits};

/// How many fields a head has at most: those that a client may send, and ours.
const FIELDS: usize = 160;
/// What a field costs beside its name and value (RFC 9113, section 6.5.2).
const FIELD: usize = 32;

/// The head that has been written for HTTP/1.1, by the same rules as any other, as one of HTTP/2.
pub(super) fn read(head: Head) -> Option<http::Request<()>> {
    let bytes = head.finish();
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    if !parsed.parse(&bytes).ok()?.is_complete() {
        return None;
    }
    let mut request = http::Request::new(());
    *request.method_mut() = parsed.method?.parse().ok()?;
    *request.version_mut() = http::Version::HTTP_2;
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(field.value).ok()?;
        request.headers_mut().append(name, value);
    }
    let host = request.headers_mut().remove(HOST)?;
    // Without it some servers of gRPC refuse to answer: it shows that trailers pass.
    request
        .headers_mut()
        .insert(TE, HeaderValue::from_static("trailers"));
    *request.uri_mut() = uri(host.to_str().ok()?, parsed.path?)?;
    Some(request)
}

fn uri(host: &str, target: &str) -> Option<http::Uri> {
    let uri = http::Uri::builder().scheme("http").authority(host);
    uri.path_and_query(target).build().ok()
}

/// Puts another host into a head; one that can't be a host leaves it as it is.
pub(super) fn put_host(request: &mut http::Request<()>, host: &str) {
    let target = request.uri().path_and_query();
    let target = target.map_or("/", http::uri::PathAndQuery::as_str);
    if let Some(uri) = uri(host, target) {
        *request.uri_mut() = uri;
    }
}

/// The same status.
pub(super) fn status(status: http::StatusCode) -> StatusCode {
    StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::BAD_GATEWAY)
}

/// An answer's headers as the client gets them.
pub(super) fn to_client(from: &http::HeaderMap, policy: Policy) -> HeaderMap {
    let bytes = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    let raw: Vec<_> = from
        .iter()
        .map(|(name, value)| (bytes(name.as_ref()), bytes(value.as_bytes())))
        .collect();
    headers::to_client(&raw, policy)
}

/// What comes after a request, as an instance gets it: nothing there that couldn't stand in its head.
pub(super) fn request_trailers(from: &http::HeaderMap, policy: Policy) -> http::HeaderMap {
    kept(from, |name| headers::is_of_client(name, policy))
}

/// What comes after an answer, as the client gets it.
pub(super) fn answer_trailers(from: &http::HeaderMap, policy: Policy) -> http::HeaderMap {
    kept(from, |name| headers::is_of_upstream(name, policy))
}

fn kept(from: &http::HeaderMap, passes: impl Fn(&str) -> bool) -> http::HeaderMap {
    let fields = from.iter().filter(|(name, _)| passes(name.as_str()));
    fields
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<Vec<_>>()
        .into_iter()
        .fold(http::HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        })
}

/// Whether a head, or what comes after a body, is as short as an answer's head may be.
pub(super) fn fits(fields: &http::HeaderMap, limits: HeadLimits) -> bool {
    let bytes: usize = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD)
        .sum();
    fields.len() <= limits.headers && bytes <= limits.bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_the_same_by_http2_with_its_host_as_the_authority() {
        let mut head = Head::new("POST", "/a.B/C?d=e").unwrap();
        head.put_host("shop.localhost:8080");
        head.put("grpc-timeout", "1S");
        head.put("x", "1");
        head.put("x", "2");
        let mut read = read(head).unwrap();
        assert_eq!(
            read.uri().to_string(),
            "http://shop.localhost:8080/a.B/C?d=e"
        );
        assert_eq!(read.headers().get_all("x").iter().count(), 2);
        assert_eq!(read.headers()["te"], "trailers");
        assert!(!read.headers().contains_key("host"));
        put_host(&mut read, "127.0.0.1:1");
        assert_eq!(read.uri().to_string(), "http://127.0.0.1:1/a.B/C?d=e");
        put_host(&mut read, "no host");
        assert_eq!(read.uri().authority().unwrap(), "127.0.0.1:1");
    }

    #[test]
    fn what_comes_after_a_body_passes_as_a_head_does() {
        let from = |names: &[&'static str]| -> http::HeaderMap {
            names
                .iter()
                .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x")))
                .collect()
        };
        let request = from(&[
            "x-own",
            "authorization",
            "slipway-identity",
            "x_real_ip",
            "te",
        ]);
        let passed = request_trailers(&request, Policy::Published);
        assert_eq!(
            passed.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["x-own"]
        );
        let answer = from(&["grpc-status", "set-cookie", "content-length", "trailer"]);
        let passed = answer_trailers(&answer, Policy::Published);
        assert_eq!(
            passed.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["grpc-status"]
        );
        assert!(answer_trailers(&answer, Policy::App).contains_key("set-cookie"));
    }
}
