//! What comes after a body (RFC 9113, section 8.1).

use std::cell::RefCell;
use std::rc::Rc;

use http::HeaderMap;

/// Fields that come after a body. Among a request's extensions it is filled once the body has been read to its
/// end; a response's is looked at once its body has been.
#[derive(Clone, Debug, Default)]
pub struct Trailers(Rc<RefCell<Option<HeaderMap>>>);

impl Trailers {
    /// These fields.
    pub fn put(&self, fields: HeaderMap) {
        self.0.replace(Some(fields));
    }

    /// The fields, if there are any.
    #[must_use]
    pub fn take(&self) -> Option<HeaderMap> {
        self.0.take()
    }
}
