//! The client's side of HTTP/1.1 (RFC 9112), as a proxy needs it: one request and its answer at a
//! time on a connection that belongs to one worker.
//!
//! What an upstream sends is read strictly: an answer that two readers could end in two places is
//! refused, for the next answer on that connection would be somebody else's. What goes to the client is
//! framed anew in any case.

mod chunked;
mod exchange;
#[cfg(test)]
mod fuzz;
mod head;
mod response;

pub(crate) use chunked::{Chunked, Decoded};
pub(crate) use exchange::{Broken, Exchange, Message};
pub(crate) use head::{Head, HostSpan, put_host};
pub(crate) use response::{Asked, Framing, HeadLimits, MOST_HEADERS, ResponseHead};
