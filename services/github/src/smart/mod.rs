//! Git's smart HTTP protocol (`gitprotocol-http`): pushes in, fetches out, both streamed.

mod body;
mod caller;
pub(crate) mod http;
mod refusal;
mod relay;
