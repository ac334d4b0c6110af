//! Input that means harm, through the gateway, and what comes of it.

mod connections;
mod messages;
mod output;
mod raw;
mod sources;
