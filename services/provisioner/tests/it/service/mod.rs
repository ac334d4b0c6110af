//! The service as the others meet it: events in, events out, logs over HTTP, apps that answer.

mod builds;
mod ends;
mod forks;
mod recovery;
mod scale;
mod sleep;
mod switches;
mod world;
