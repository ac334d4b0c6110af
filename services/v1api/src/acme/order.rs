//! One order: proving that a host leads here, and getting a certificate for it (RFC 8555, section 7.4).

use std::time::Duration;

use chassis::Context;
use common::api::v1api::CertificateProblem;
use common::time::Time;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount,
    NewOrder, OrderStatus, RetryPolicy,
};

use super::client::Client;
use super::store;
use crate::tls::certificate::{Certificate, Unusable};

/// How long the maker may take to look at a challenge, and to make a certificate.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why an order failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// The maker refused, or wasn't understood.
    #[error("the maker of certificates: {0}")]
    Acme(#[from] Error),
    /// The maker offers no challenge by HTTP.
    #[error("the maker of certificates offers no http-01 challenge")]
    NoChallenge,
    /// The maker doesn't believe that the host leads here.
    #[error("the host was not shown to lead here")]
    Invalid,
    /// What was made can't be used.
    #[error("the certificate that was made can't be used: {0}")]
    Unusable(#[from] Unusable),
    /// It is for others.
    #[error("the certificate that was made is not for this host")]
    OtherHost,
    /// The database.
    #[error("the database")]
    Db(#[from] diesel::result::Error),
    /// The account's credentials or the certificate's key.
    #[error("sealing")]
    Seal(#[from] chassis::seal::SealError),
    /// Credentials that can't be written or read.
    #[error("the account's credentials can't be read")]
    Credentials(#[from] serde_json::Error),
}

impl OrderError {
    /// What the domain's owner is told. Who can do what about it depends on no more than this; the rest is the
    /// operator's to read.
    pub(super) fn problem(&self) -> CertificateProblem {
        match self {
            Self::Acme(Error::Api(problem)) => {
                match problem.r#type.as_deref().and_then(acme_type) {
                    Some("rateLimited") => CertificateProblem::RateLimited,
                    Some("rejectedIdentifier" | "unsupportedIdentifier" | "caa") => {
                        CertificateProblem::Refused
                    }
                    Some("connection" | "dns" | "incorrectResponse" | "unauthorized" | "tls") => {
                        CertificateProblem::NotLedHere
                    }
                    _ => CertificateProblem::Failed,
                }
            }
            Self::Acme(Error::Http(_) | Error::Other(_) | Error::Timeout(_)) => {
                CertificateProblem::MakerUnreachable
            }
            Self::Invalid => CertificateProblem::NotLedHere,
            Self::NoChallenge => CertificateProblem::Refused,
            Self::Acme(_)
            | Self::Unusable(_)
            | Self::OtherHost
            | Self::Db(_)
            | Self::Seal(_)
            | Self::Credentials(_) => CertificateProblem::Failed,
        }
    }

    /// Whether the maker has had enough of our orders for a while.
    pub(super) fn is_rate_limit(&self) -> bool {
        self.is_of_type("urn:ietf:params:acme:error:rateLimited")
    }

    fn is_of_type(&self, name: &str) -> bool {
        matches!(self, Self::Acme(Error::Api(problem)) if problem.r#type.as_deref() == Some(name))
    }
}

/// A problem's own name, of those that the standard knows (RFC 8555, section 6.7).
fn acme_type(full: &str) -> Option<&str> {
    full.strip_prefix("urn:ietf:params:acme:error:")
}

/// Orders certificates.
#[derive(Clone)]
pub(super) struct Orderer {
    pub(super) context: Context,
    pub(super) client: Client,
    pub(super) directory: String,
    pub(super) contact: Vec<String>,
}

/// A certificate that was made.
pub(super) struct Made {
    pub(super) chain: String,
    /// The key, in PEM.
    pub(super) key: String,
    pub(super) certificate: Certificate,
}

impl Orderer {
    /// Gets a certificate for a host.
    pub(super) async fn order(&self, host: &str) -> Result<Made, OrderError> {
        let account = self.account().await?;
        let outcome = self.order_with(&account, host).await;
        if let Err(error) = &outcome
            && error.is_of_type("urn:ietf:params:acme:error:accountDoesNotExist")
        {
            // The next order makes another one.
            let directory = self.directory.clone();
            let db = &self.context.db;
            db.write(move |db| store::forget_account(db, &directory))
                .await?;
        }
        let of = host.to_owned();
        let db = &self.context.db;
        db.write(move |db| store::end_challenges(db, &of)).await?;
        outcome
    }

    async fn order_with(&self, account: &Account, host: &str) -> Result<Made, OrderError> {
        let identifiers = [Identifier::Dns(host.to_owned())];
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                _ => return Err(OrderError::Invalid),
            }
            let mut challenge = authorization
                .challenge(ChallengeType::Http01)
                .ok_or(OrderError::NoChallenge)?;
            let (token, content) = (challenge.token.clone(), challenge.key_authorization());
            self.show(host, token, content.as_str().to_owned()).await?;
            challenge.set_ready().await?;
        }
        let retries = RetryPolicy::default().timeout(PATIENCE);
        if order.poll_ready(&retries).await? != OrderStatus::Ready {
            return Err(OrderError::Invalid);
        }
        let key = order.finalize().await?;
        let chain = order.poll_certificate(&retries).await?;
        let now = self.context.clock.now();
        let certificate = Certificate::parse(chain.as_bytes(), key.as_bytes(), now)?;
        if !certificate.names.iter().any(|name| name == host) {
            return Err(OrderError::OtherHost);
        }
        Ok(Made {
            chain,
            key,
            certificate,
        })
    }

    /// From here on every gateway answers the maker.
    async fn show(&self, host: &str, token: String, content: String) -> Result<(), OrderError> {
        let (host, now): (_, Time) = (host.to_owned(), self.context.clock.now());
        let db = &self.context.db;
        Ok(db
            .write(move |db| store::put_challenge(db, &host, &token, &content, now))
            .await?)
    }

    /// Our account, made with the first order.
    async fn account(&self) -> Result<Account, OrderError> {
        let directory = self.directory.clone();
        let known = self
            .context
            .db
            .read(move |db| store::account(db, &directory))
            .await?;
        let builder = Account::builder_with_http(Box::new(self.client.clone()));
        let place = format!("acme_accounts/{}", self.directory);
        if let Some(sealed) = known {
            let credentials = self.context.sealer.open(&sealed, &place)?;
            let credentials: AccountCredentials = serde_json::from_slice(&credentials)?;
            return Ok(builder.from_credentials(credentials).await?);
        }
        let contact: Vec<_> = self.contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) = builder.create(&new, self.directory.clone(), None).await?;
        let credentials = serde_json::to_vec(&credentials)?;
        let sealed = self.context.sealer.seal(&credentials, &place)?;
        let (directory, now) = (self.directory.clone(), self.context.clock.now());
        self.context
            .db
            .write(move |db| store::put_account(db, &directory, &sealed, now))
            .await?;
        Ok(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(kind: &str) -> OrderError {
        let problem = serde_json::json!({
            "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": "no more", "status": 429,
        });
        OrderError::Acme(Error::Api(serde_json::from_value(problem).unwrap()))
    }

    #[test]
    fn an_owner_is_told_why_in_words_that_do_not_change() {
        use CertificateProblem as Problem;
        for (error, expected) in [
            (says("rateLimited"), Problem::RateLimited),
            (says("rejectedIdentifier"), Problem::Refused),
            (says("caa"), Problem::Refused),
            (says("connection"), Problem::NotLedHere),
            (says("badCSR"), Problem::Failed),
            (OrderError::Invalid, Problem::NotLedHere),
            (
                OrderError::Acme(Error::Timeout(None)),
                Problem::MakerUnreachable,
            ),
            (OrderError::OtherHost, Problem::Failed),
        ] {
            assert_eq!(error.problem(), expected, "{error}");
        }
    }

    #[test]
    fn a_maker_that_has_had_enough_is_understood() {
        assert!(says("rateLimited").is_rate_limit());
        assert!(!says("malformed").is_rate_limit());
        assert!(!OrderError::Invalid.is_rate_limit());
    }
}
