//! Whether a version of Node lies in a range as `engines` writes them.

/// Major, minor, patch.
type Version = [u64; 3];

/// Whether `version` (`20.1.0` or `v20.1.0`) lies in `range`; `None` if either can't be read.
pub(super) fn within(version: &str, range: &str) -> Option<bool> {
    let (version, _) = parse(version)?;
    let mut any = false;
    for alternative in range.split("||") {
        any |= all(version, alternative)?;
    }
    Some(any)
}

/// Whether `version` meets every comparator of one alternative.
fn all(version: Version, text: &str) -> Option<bool> {
    if let Some((low, high)) = text.split_once(" - ") {
        return Some(compare(version, ">=", low)? && compare(version, "<=", high)?);
    }
    let mut fits = true;
    let mut operator = "";
    for word in text.split_whitespace() {
        let number = word
            .find(|c: char| c.is_ascii_alphanumeric() || c == '*')
            .unwrap_or(word.len());
        let (sign, rest) = word.split_at(number);
        if rest.is_empty() {
            // `>= 18`: the operator stands alone, its version follows.
            operator = sign;
            continue;
        }
        fits &= compare(version, if sign.is_empty() { operator } else { sign }, rest)?;
        operator = "";
    }
    Some(fits)
}

fn compare(version: Version, operator: &str, text: &str) -> Option<bool> {
    let (wanted, given) = parse(text)?;
    let upper = |places: usize| {
        let mut bound = wanted;
        for (place, number) in bound.iter_mut().enumerate() {
            match (place + 1).cmp(&places) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => *number += 1,
                std::cmp::Ordering::Greater => *number = 0,
            }
        }
        // No place given means any version.
        if places == 0 { [u64::MAX; 3] } else { bound }
    };
    Some(match operator {
        ">=" => version >= wanted,
        ">" => version >= if given == 3 { upper(3) } else { upper(given) },
        "<" => version < wanted,
        "<=" => version < upper(given),
        "^" if wanted < [1, 0, 0] => version >= wanted && version < upper(given.min(2)),
        "^" => version >= wanted && version < upper(given.min(1)),
        "~" | "~>" => version >= wanted && version < upper(given.min(2)),
        "" | "=" | "v" => version >= wanted && version < upper(given),
        _ => return None,
    })
}

/// The numbers of a version and how many of them were given; `18.x` gives one.
fn parse(text: &str) -> Option<(Version, usize)> {
    let text = text.trim().trim_start_matches(['v', 'V', '=']);
    let text = text.split(['-', '+']).next()?;
    let mut version = [0; 3];
    for (place, part) in text.split('.').enumerate() {
        if ["x", "X", "*"].contains(&part) {
            return Some((version, place));
        }
        *version.get_mut(place)? = part.parse().ok()?;
    }
    Some((version, text.split('.').count()))
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn ranges_read_as_npm_reads_them() {
        for (range, fits) in [
            ("22.x", false),
            ("20.x", true),
            (">=20", true),
            (">= 18 < 20", false),
            (">=18 <21", true),
            ("^18 || ^20", true),
            ("^18.0.0 || ^22", false),
            ("~20.20", true),
            ("~20.19.0", false),
            ("18 - 20", true),
            ("16 - 18", false),
            ("*", true),
            ("20", true),
            ("20.20.2", true),
            ("<=20", true),
            (">20", false),
            (">20.1.0", true),
            ("^0.10", false),
        ] {
            assert_eq!(within("v20.20.2", range).unwrap(), fits, "{range}");
        }
    }

    #[test]
    fn what_is_no_range_decides_nothing() {
        assert_eq!(within("20.0.0", "lts/*"), None);
        assert_eq!(within("20.0.0", "latest"), None);
    }
}
