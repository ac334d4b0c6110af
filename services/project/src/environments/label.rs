//! The label under which an environment is reached: `<project>-<environment>`.

use common::random;

/// The most bytes of a DNS label (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// How many characters tell apart two labels that would be the same.
const SUFFIX_LEN: usize = 6;

/// A name as it can stand in a host name: `a-z`, `0-9` and single dashes inside, at most
/// 63 bytes. A name with nothing of the kind becomes `app`.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars().map(|letter| letter.to_ascii_lowercase()) {
        if letter.is_ascii_lowercase() || letter.is_ascii_digit() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = cut(&slug, MAX_LABEL);
    if slug.is_empty() {
        "app".to_owned()
    } else {
        slug.to_owned()
    }
}

/// The label of an environment; `suffix` where the plain one is taken.
///
/// `environment` has at most 32 bytes, so that something of the project's name always stays.
pub(crate) fn label(slug: &str, environment: &str, suffix: Option<&str>) -> String {
    let tail = suffix.map_or_else(
        || format!("-{environment}"),
        |suffix| format!("-{environment}-{suffix}"),
    );
    format!("{}{tail}", cut(slug, MAX_LABEL.saturating_sub(tail.len())))
}

/// What makes a taken label another.
pub(crate) fn suffix() -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    random::bytes::<SUFFIX_LEN>()
        .iter()
        .map(|byte| char::from(DIGITS.get(usize::from(byte % 32)).copied().unwrap_or(b'0')))
        .collect()
}

/// At most `max` bytes of an ASCII text, with no dash at the end.
fn cut(slug: &str, max: usize) -> &str {
    slug.get(..max.min(slug.len()))
        .unwrap_or(slug)
        .trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_holds_only_what_a_host_name_may() {
        for (name, slugged) in [
            ("My Store", "my-store"),
            ("  --A__b!! ", "a-b"),
            ("xn--evil", "xn-evil"),
            ("Café 24", "caf-24"),
            ("日本", "app"),
        ] {
            assert_eq!(slug(name), slugged, "{name}");
        }
    }

    #[test]
    fn a_label_never_exceeds_a_dns_label() {
        let long = slug(&"long name ".repeat(20));
        let environment = "e".repeat(32);
        for label in [
            label(&long, &environment, None),
            label(&long, &environment, Some(&suffix())),
        ] {
            assert!(label.len() <= MAX_LABEL, "{label}");
            assert!(
                label.contains(&environment) && !label.contains("--"),
                "{label}"
            );
        }
        assert_eq!(label("my-store", "production", None), "my-store-production");
        assert_eq!(
            label("my-store", "production", Some("k3v9aa")),
            "my-store-production-k3v9aa"
        );
    }

    #[test]
    fn two_suffixes_differ() {
        assert_ne!(suffix(), suffix());
        assert_eq!(suffix().len(), SUFFIX_LEN);
    }
}
