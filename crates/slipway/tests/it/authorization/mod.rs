//! Who may call what: every route of the running platform with every wrong caller and the right
//! ones, by every way there is to it.

mod cells;
mod claims;
mod documents;
mod every;
mod forged;
mod internal_table;
mod issuing;
mod keys;
mod policy;
mod private;
mod public;
mod public_table;
mod roles;
mod scene;
mod signer;
mod state;
mod table;
mod world;
