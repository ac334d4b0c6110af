//! Paths as endpoints: what names one thing out of many becomes `:id`.

use std::borrow::Cow;

/// The longest endpoint that is told apart, in bytes.
const LONGEST: usize = 200;

/// A path with its ids folded.
pub(crate) fn folded(path: &str) -> Cow<'_, str> {
    if path.len() > LONGEST {
        return Cow::Borrowed(crate::usage::OTHER);
    }
    if !path.split('/').any(is_id) {
        return Cow::Borrowed(path);
    }
    let segments = path
        .split('/')
        .map(|segment| if is_id(segment) { ":id" } else { segment });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

/// Numbers, `TypeID`s and the like, UUIDs, hashes, addresses, and what is percent-encoded.
fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let all = |allowed: fn(u8) -> bool| segment.bytes().all(allowed);
    if segment.is_empty() {
        return false;
    }
    let number = digits == segment.len();
    let hex =
        segment.len() >= 8 && digits > 0 && all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let suffix = segment.rsplit('_').next().unwrap_or_default();
    let type_id = suffix.len() >= 20 && suffix.len() < segment.len();
    let opaque = segment.len() >= 16
        && digits >= 4
        && all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    number || hex || type_id || opaque || segment.contains(['@', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_folded_and_words_stay() {
        for (path, endpoint) in [
            (
                "/v1/accounts/acc_01h455vb4pex5vsknk084sn02q/projects",
                "/v1/accounts/:id/projects",
            ),
            ("/orders/4711/items/0", "/orders/:id/items/:id"),
            ("/x/0af7651916cd43dd8448eb211c80319c", "/x/:id"),
            ("/x/123e4567-e89b-12d3-a456-426614174000/y", "/x/:id/y"),
            (
                "/store/products/prod_01JABCDEFGHJKMNPQRSTVWXYZ0",
                "/store/products/:id",
            ),
            ("/people/ada%40example.com", "/people/:id"),
            (
                "/auth/euser/emailpass/register",
                "/auth/euser/emailpass/register",
            ),
            ("/v1/api-keys", "/v1/api-keys"),
            ("/", "/"),
        ] {
            assert_eq!(folded(path), endpoint, "{path}");
        }
        assert_eq!(folded(&"/x".repeat(200)), crate::usage::OTHER);
    }
}
