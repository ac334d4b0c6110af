//! What handlers work with.

use std::sync::Arc;

use chassis::calls::Calls;
use chassis::db::Database;
use chassis::seal::Sealer;
use common::time::Clock;

use crate::clients::Lifetimes;
use crate::github::Github;
use crate::keys::KeyStore;
use crate::keystone::CipherKey;
use crate::mail::Mailer;
use crate::password::{Hasher, Rules};
use crate::providers::ProviderSettings;
use crate::public::PublicPlace;
use crate::sessions::Cookies;
use crate::tokens::{Issuer, Secrets};

/// The service's parts; cheap to clone.
#[derive(Clone, Debug)]
pub struct State {
    /// The database.
    pub db: Database,
    /// The time.
    pub clock: Clock,
    /// Calls to the other services.
    pub calls: Calls,
    /// The signing keys.
    pub keys: Arc<KeyStore>,
    /// Makes tokens.
    pub issuer: Issuer,
    /// Hashes passwords.
    pub hasher: Hasher,
    /// What new passwords must be like.
    pub rules: Rules,
    /// How long clients of realms live.
    pub clients: Lifetimes,
    /// Seals and opens secrets.
    pub sealer: Sealer,
    /// Takes letters.
    pub mail: Mailer,
    /// Whether whoever registers is sent a code to show that the address is hers.
    pub verify_email: bool,
    /// The services' own credentials.
    pub secrets: Secrets,
    /// By what each actor may sign in.
    pub providers: ProviderSettings,
    /// GitHub, whether or not an app is configured.
    pub github: Arc<Github>,
    /// The key that others encrypt to us with.
    pub cipher: Arc<CipherKey>,
    /// Where people reach the platform, and whose pages may.
    pub place: Arc<PublicPlace>,
    /// How browsers keep a session's cookie.
    pub cookies: Cookies,
}
