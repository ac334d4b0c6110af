//! The head of a request, written as it goes over the wire.

/// Room for a usual head, so that it is written without growing.
const USUAL: usize = 1024;

/// A request's head that grows line by line.
///
/// Names and values are checked as they come in: nothing that is put here can begin another line.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    bytes: Vec<u8>,
    host: Option<HostSpan>,
}

/// Where in a head the host stands.
pub(crate) type HostSpan = std::ops::Range<usize>;

impl Head {
    /// Begins a head. None where the target can't stand in a request line.
    pub(crate) fn new(method: &str, target: &str) -> Option<Self> {
        let plain =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        if !plain(method) || !plain(target) {
            return None;
        }
        let mut bytes = Vec::with_capacity(USUAL);
        for part in [method, " ", target, " HTTP/1.1\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
        Some(Self { bytes, host: None })
    }

    /// Adds a line. A name or a value that can't be one is left out.
    pub(crate) fn put(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.put_all(name, &[value.as_ref()]);
    }

    /// Adds the host. [`put_host`] can put another in its place.
    pub(crate) fn put_host(&mut self, host: &str) {
        let before = self.bytes.len();
        self.put("host", host);
        let end = self.bytes.len().saturating_sub(2);
        self.host = (end > before).then(|| end.saturating_sub(host.len())..end);
    }

    /// Where the host stands, if it does.
    pub(crate) fn host_span(&self) -> Option<HostSpan> {
        self.host.clone()
    }

    /// Adds a line whose value comes in pieces.
    pub(crate) fn put_all(&mut self, name: &str, pieces: &[&[u8]]) {
        if !is_token(name) || !pieces.iter().all(|piece| is_value(piece)) {
            return;
        }
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        self.bytes.reserve(name.len() + length + 4);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// The head with the empty line that ends it.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes
    }

    /// The values of a header, for tests.
    #[cfg(test)]
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let text = std::str::from_utf8(&self.bytes).unwrap();
        text.split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .filter(|(other, _)| *other == name)
            .map(|(_, value)| value)
            .collect()
    }

    /// The names of all headers, for tests.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<&str> {
        let text = std::str::from_utf8(&self.bytes).unwrap();
        text.split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(name, _)| name)
            .collect()
    }
}

/// Puts another host into a head that has been written, as far as it isn't there already.
pub(crate) fn put_host(bytes: &mut Vec<u8>, span: &mut HostSpan, host: &str) {
    if bytes.get(span.clone()) != Some(host.as_bytes()) && is_value(host.as_bytes()) {
        bytes.splice(span.clone(), host.bytes());
        span.end = span.start + host.len();
    }
}

/// Whether a text may be a header's name (RFC 9110, section 5.6.2). What comes by HTTP/2 is looked at less
/// closely: a quotation mark passes there.
fn is_token(name: &str) -> bool {
    // As one pattern, which is one look at a few bits.
    let may_stand = |byte| {
        matches!(
            byte,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'!' | b'#' | b'$' | b'%' | b'&'
                | b'\'' | b'*' | b'+' | b'.' | b'^' | b'`' | b'|' | b'~'
        )
    };
    !name.is_empty() && name.bytes().all(may_stand)
}

/// Whether bytes may stand in a header's value: no control character but the tab (RFC 9110,
/// section 5.5).
fn is_value(bytes: &[u8]) -> bool {
    let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    // To the end, whatever is found: that goes many bytes at a time.
    !bytes
        .iter()
        .fold(false, |found, byte| found | is_control(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_put_into_a_head_begins_another_line() {
        let mut head = Head::new("GET", "/a?b=c").unwrap();
        head.put("host", "x");
        head.put("evil", "1\r\nhost: y");
        head.put("evil", "1\nhost: y");
        head.put("\"evil", "1");
        head.put("evil: 1\r\nhost", "y");
        head.put_all("forwarded", &[b"for=1", b";host=\0"]);
        head.put_all("traceparent", &[b"00-", b"1"]);
        assert_eq!(
            head.finish(),
            b"GET /a?b=c HTTP/1.1\r\nhost: x\r\ntraceparent: 00-1\r\n\r\n"
        );
    }

    #[test]
    fn another_host_takes_the_place_of_the_first_and_of_nothing_else() {
        let mut head = Head::new("GET", "/").unwrap();
        head.put_host("one.internal:80");
        let mut span = head.host_span().unwrap();
        head.put("x", "one.internal:80");
        let mut bytes = head.finish();
        for host in ["two:8080", "three.internal:80", "three.internal:80"] {
            put_host(&mut bytes, &mut span, host);
            let expected = format!("GET / HTTP/1.1\r\nhost: {host}\r\nx: one.internal:80\r\n\r\n");
            assert_eq!(String::from_utf8_lossy(&bytes), expected);
        }
    }

    #[test]
    fn a_target_that_would_end_the_request_line_is_none() {
        for target in ["", "/a b", "/a\r\nx: y", "/a\0", "/\u{7f}"] {
            assert!(Head::new("GET", target).is_none(), "{target:?}");
        }
        assert!(Head::new("GE T", "/").is_none());
    }
}
