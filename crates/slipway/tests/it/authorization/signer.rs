//! Signs what a test wants with the platform's own keys, so that what is refused is refused for
//! what it says and not for who signed it.

use chassis::platform::Platform;
use common::token::{Algorithm, Claims, Jwk, SigningKey, TokenKind};
use diesel::RunQueryDsl as _;
use diesel::sql_types::{Binary, Text};

/// auth's key, and the gateway's for what it tells upstream services.
pub(super) struct Signer {
    auth: SigningKey,
    gateway: SigningKey,
}

#[derive(diesel::QueryableByName)]
struct Sealed {
    #[diesel(sql_type = Text)]
    kid: String,
    #[diesel(sql_type = Text)]
    algorithm: String,
    #[diesel(sql_type = Binary)]
    sealed: Vec<u8>,
}

impl Signer {
    pub(super) async fn of(platform: &Platform) -> Self {
        let auth =
            "SELECT kid, algorithm, sealed_key AS sealed FROM signing_keys WHERE state = 'active'";
        let gateway = "SELECT kid, algorithm, sealed FROM forward_keys";
        Self {
            auth: open(platform, "auth", "signing_keys", auth).await,
            gateway: open(platform, "v1api", "forward_keys", gateway).await,
        }
    }

    /// A token of this kind, by the key whose kind it is.
    pub(super) fn sign(&self, kind: TokenKind, claims: &Claims) -> String {
        let key = if kind == TokenKind::Forward {
            &self.gateway
        } else {
            &self.auth
        };
        key.sign(kind, claims).unwrap()
    }

    /// The public half of auth's key.
    pub(super) fn public(&self) -> &Jwk {
        self.auth.public()
    }

    /// What the gateway alone may say, by auth's key, which every service trusts for other kinds.
    pub(super) fn forward_by_auth(&self, claims: &Claims) -> String {
        self.auth.sign(TokenKind::Forward, claims).unwrap()
    }
}

async fn open(platform: &Platform, service: &str, table: &str, query: &'static str) -> SigningKey {
    let context = platform.context(service).unwrap();
    let row: Sealed = context
        .db
        .read(move |db| diesel::sql_query(query).get_result(db))
        .await
        .unwrap_or_else(|error: diesel::result::Error| panic!("{table}: {error}"));
    let document = context
        .sealer
        .open(&row.sealed, &format!("{table}/{}", row.kid))
        .unwrap();
    let algorithm: Algorithm = row.algorithm.parse().unwrap();
    SigningKey::from_pkcs8(algorithm, &document, TokenKind::ALL).unwrap()
}
