//! Crashes and outages of the whole platform, each as `slipway up` in a process of its own.

mod app;
mod counts;
mod deletion;
mod delivery;
mod failpoints;
mod load;
mod outages;
mod person;
mod scale;
mod site;
mod switch;
mod tables;
mod takeover;
mod together;
mod wake;
mod watch;
mod webhooks;
