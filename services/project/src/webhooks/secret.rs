//! Secrets of webhooks, and what is signed with them (Standard Webhooks, the symmetric scheme).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chassis::seal::{SealError, Sealer};
use common::id::WebhookId;
use common::time::Time;
use common::{SecretString, random};
use diesel::prelude::*;
use ring::hmac;

use crate::schema::webhooks;

/// What every secret begins with.
const PREFIX: &str = "whsec_";
/// How many random bytes one holds; the standard asks for 24 to 64.
const LENGTH: usize = 32;

/// A secret as it is kept, with the one before it while that signs too.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = webhooks, treat_none_as_null = true)]
pub(crate) struct Sealed {
    sealed_secret: Vec<u8>,
    sealed_previous: Option<Vec<u8>>,
    pub(crate) previous_until: Option<Time>,
}

impl Sealed {
    /// A new secret, and the text of it, which is shown once.
    pub(crate) fn fresh(
        sealer: &Sealer,
        webhook: &WebhookId,
    ) -> Result<(Self, SecretString), SealError> {
        let key = random::bytes::<LENGTH>();
        let sealed = Self {
            sealed_secret: sealer.seal(&key, &place(webhook))?,
            sealed_previous: None,
            previous_until: None,
        };
        let text = format!("{PREFIX}{}", STANDARD.encode(key));
        Ok((sealed, SecretString::from(text)))
    }

    /// `fresh` in the place of this one, which goes on signing until then.
    pub(crate) fn replaced(self, fresh: Self, until: Option<Time>) -> Self {
        Self {
            sealed_previous: until.is_some().then_some(self.sealed_secret),
            previous_until: until,
            ..fresh
        }
    }

    /// The keys that sign now, the newest first.
    pub(crate) fn keys(
        &self,
        sealer: &Sealer,
        webhook: &WebhookId,
        now: Time,
    ) -> Result<Vec<Vec<u8>>, SealError> {
        let previous = self
            .sealed_previous
            .iter()
            .filter(|_| self.previous_until.is_some_and(|until| now < until));
        std::iter::once(&self.sealed_secret)
            .chain(previous)
            .map(|sealed| sealer.open(sealed, &place(webhook)))
            .collect()
    }
}

fn place(webhook: &WebhookId) -> String {
    format!("webhooks/{webhook}")
}

/// The header `webhook-signature`: one signature for each key.
pub(crate) fn signatures(keys: &[Vec<u8>], id: &str, timestamp: i64, payload: &str) -> String {
    let content = format!("{id}.{timestamp}.{payload}");
    let sign = |key: &Vec<u8>| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let signature = hmac::sign(&key, content.as_bytes());
        format!("v1,{}", STANDARD.encode(signature))
    };
    keys.iter().map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the libraries of the standard test themselves with.
    #[test]
    fn the_standards_own_example_is_signed_as_its_libraries_sign_it() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, timestamp) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        let signed = signatures(&[key], id, timestamp, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn several_keys_make_several_signatures_divided_by_a_space() {
        let signed = signatures(&[vec![1; 24], vec![2; 24]], "msg_1", 0, "{}");
        let parts: Vec<_> = signed.split(' ').collect();
        assert_eq!(parts.len(), 2);
        assert_ne!(parts[0], parts[1]);
        assert!(parts.iter().all(|part| part.starts_with("v1,")));
    }
}
