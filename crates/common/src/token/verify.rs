//! Verification of tokens (RFC 8725).

use std::collections::HashMap;
use std::str::FromStr as _;

use jsonwebtoken::{DecodingKey, Validation};

use super::{Claims, JwkSet, TokenKind, crypto};
use crate::time::Time;

/// How far apart two machines' clocks may be, in seconds.
const LEEWAY: i64 = 30;

/// The longest token that is looked at, in bytes.
const MAX_LENGTH: usize = 8 * 1024;

/// Why a token isn't accepted. `Display` is what the caller is told: it helps, and gives nothing away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It is no token, or not one of ours.
    #[error("The token is malformed")]
    Malformed,
    /// No key of this name is known: maybe one that has just been made.
    #[error("The token's key is not known")]
    UnknownKey,
    /// The signature doesn't fit, or its key may not sign this kind.
    #[error("The token's signature is not valid")]
    BadSignature,
    /// It is of a kind that isn't taken here.
    #[error("This kind of token is not accepted here")]
    WrongKind,
    /// It is for another audience or by another issuer.
    #[error("The token is meant for another place")]
    WrongAudience,
    /// It has ended.
    #[error("The token has expired")]
    Expired,
    /// It has been revoked.
    #[error("The token has been revoked")]
    Revoked,
}

/// A token that holds: its kind and what it says.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Its kind.
    pub kind: TokenKind,
    /// The key that signed it.
    pub kid: String,
    /// What it says.
    pub claims: Claims,
}

struct Entry {
    key: DecodingKey,
    algorithm: jsonwebtoken::Algorithm,
    kinds: Vec<TokenKind>,
}

/// The public keys by which tokens are verified.
#[derive(Default)]
pub struct KeyRing {
    keys: HashMap<String, Entry>,
    issuer: String,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

impl KeyRing {
    /// The keys of a set, trusted for tokens of this issuer. A key that can't be read is left out,
    /// and of two keys with one name neither is taken.
    #[must_use]
    pub fn new(issuer: &str, set: &JwkSet) -> Self {
        crypto::install();
        let mut keys: HashMap<String, Entry> = HashMap::new();
        let mut twice = Vec::new();
        for jwk in &set.keys {
            let key = match (jwk.alg, &jwk.y) {
                (super::Algorithm::Es256, Some(y)) => DecodingKey::from_ec_components(&jwk.x, y),
                (super::Algorithm::EdDsa, None) => DecodingKey::from_ed_components(&jwk.x),
                _ => continue,
            };
            let Ok(key) = key else { continue };
            let kinds = jwk
                .typ
                .iter()
                .filter_map(|typ| TokenKind::from_str(typ).ok())
                .collect();
            let entry = Entry {
                key,
                algorithm: jwk.alg.to_jsonwebtoken(),
                kinds,
            };
            if keys.insert(jwk.kid.clone(), entry).is_some() {
                twice.push(jwk.kid.clone());
            }
        }
        for kid in twice {
            keys.remove(&kid);
        }
        Self {
            keys,
            issuer: issuer.to_owned(),
        }
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks form, key, kind, signature, issuer, audience and time, in that order.
    /// Whether it has been revoked is asked elsewhere.
    pub fn verify(
        &self,
        token: &str,
        kinds: &[TokenKind],
        audience: &str,
        now: Time,
    ) -> Result<Verified, Rejection> {
        if token.len() > MAX_LENGTH {
            return Err(Rejection::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Rejection::Malformed)?;
        let kid = header.kid.ok_or(Rejection::Malformed)?;
        let kind = header
            .typ
            .as_deref()
            .and_then(|typ| typ.parse::<TokenKind>().ok())
            .ok_or(Rejection::WrongKind)?;
        let entry = self.keys.get(&kid).ok_or(Rejection::UnknownKey)?;
        if !entry.kinds.contains(&kind) {
            return Err(Rejection::BadSignature);
        }
        let mut validation = Validation::new(entry.algorithm);
        // Time is checked below by the clock that is passed in; the rest needs its own answer each.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(token, &entry.key, &validation)
            .map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::Json(_)
                | jsonwebtoken::errors::ErrorKind::Base64(_) => Rejection::Malformed,
                _ => Rejection::BadSignature,
            })?
            .claims;
        if !kinds.contains(&kind) {
            return Err(Rejection::WrongKind);
        }
        if claims.iss != self.issuer || claims.aud != audience {
            return Err(Rejection::WrongAudience);
        }
        check_time(kind, &claims, now)?;
        Ok(Verified { kind, kid, claims })
    }
}

fn check_time(kind: TokenKind, claims: &Claims, now: Time) -> Result<(), Rejection> {
    let now = now.unix();
    let lifetime = claims.exp.saturating_sub(claims.iat);
    if claims.iat > now + LEEWAY || !(0..=kind.longest_life()).contains(&lifetime) {
        return Err(Rejection::Malformed);
    }
    if claims.exp <= now - LEEWAY {
        return Err(Rejection::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Algorithm, SigningKey, audience};

    const NOW: Time = Time::EPOCH;

    fn key(algorithm: Algorithm, kinds: &[TokenKind]) -> SigningKey {
        SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm).unwrap(), kinds).unwrap()
    }

    fn ring(keys: &[&SigningKey]) -> KeyRing {
        KeyRing::new(
            "micro",
            &JwkSet {
                keys: keys.iter().map(|key| key.public().clone()).collect(),
            },
        )
    }

    fn claims() -> Claims {
        Claims::new(
            "micro",
            "authid_1",
            audience::PLATFORM,
            0,
            3600,
            "tok_1".into(),
        )
    }

    #[test]
    fn a_token_of_each_algorithm_is_accepted_and_tells_its_claims() {
        for algorithm in Algorithm::ALL {
            let key = key(*algorithm, &[TokenKind::Access]);
            let token = key.sign(TokenKind::Access, &claims()).unwrap();
            let verified = ring(&[&key])
                .verify(&token, &[TokenKind::Access], audience::PLATFORM, NOW)
                .unwrap();
            assert_eq!(verified.claims, claims());
            assert_eq!(verified.kid, key.public().kid);
        }
    }

    #[test]
    fn a_kind_that_the_route_or_the_key_does_not_take_is_refused() {
        let key = key(Algorithm::Es256, &[TokenKind::Access, TokenKind::Invite]);
        let ring = ring(&[&key]);
        let invite = key.sign(TokenKind::Invite, &claims()).unwrap();
        let reset = key.sign(TokenKind::Reset, &claims()).unwrap();
        let verify = |token: &str| {
            ring.verify(token, &[TokenKind::Access], audience::PLATFORM, NOW)
                .unwrap_err()
        };
        assert_eq!(verify(&invite), Rejection::WrongKind);
        assert_eq!(verify(&reset), Rejection::BadSignature);
    }

    #[test]
    fn another_audience_issuer_or_time_is_refused() {
        let key = key(Algorithm::Es256, &[TokenKind::Access]);
        let ring = ring(&[&key]);
        let verify = |change: fn(&mut Claims)| {
            let mut claims = claims();
            change(&mut claims);
            let token = key.sign(TokenKind::Access, &claims).unwrap();
            ring.verify(
                &token,
                &[TokenKind::Access],
                audience::PLATFORM,
                Time::from_unix(1_000),
            )
            .unwrap_err()
        };
        assert_eq!(
            verify(|c| c.aud = "realm:x".into()),
            Rejection::WrongAudience
        );
        assert_eq!(verify(|c| c.iss = "other".into()), Rejection::WrongAudience);
        assert_eq!(verify(|c| c.exp = 900), Rejection::Expired);
        assert_eq!(verify(|c| c.iat = 2_000), Rejection::Malformed);
        assert_eq!(verify(|c| c.exp = i64::MAX), Rejection::Malformed);
    }

    #[test]
    fn a_token_that_outlives_its_kind_is_refused_and_one_that_just_does_not_is_taken() {
        let kinds = TokenKind::ALL;
        let key = key(Algorithm::Es256, kinds);
        let ring = ring(&[&key]);
        for kind in kinds {
            let verify = |lifetime: i64| {
                let mut claims = claims();
                claims.exp = claims.iat + lifetime;
                let token = key.sign(*kind, &claims).unwrap();
                ring.verify(&token, kinds, audience::PLATFORM, NOW)
                    .map(drop)
            };
            assert_eq!(verify(kind.longest_life()), Ok(()), "{kind}");
            assert_eq!(
                verify(kind.longest_life() + 1),
                Err(Rejection::Malformed),
                "{kind}"
            );
        }
    }

    #[test]
    fn clocks_may_be_half_a_minute_apart_and_no_more() {
        let key = key(Algorithm::Es256, &[TokenKind::Access]);
        let ring = ring(&[&key]);
        let token = key.sign(TokenKind::Access, &claims()).unwrap();
        let verify = |now: i64| {
            ring.verify(
                &token,
                &[TokenKind::Access],
                audience::PLATFORM,
                Time::from_unix(now),
            )
            .map(drop)
        };
        assert_eq!(verify(-30), Ok(()));
        assert_eq!(verify(-31), Err(Rejection::Malformed));
        assert_eq!(verify(3_629), Ok(()));
        assert_eq!(verify(3_630), Err(Rejection::Expired));
    }

    #[test]
    fn a_forged_unsigned_or_symmetric_token_is_refused() {
        use base64::Engine as _;
        let key_a = key(Algorithm::Es256, &[TokenKind::Access]);
        let key_b = key(Algorithm::Es256, &[TokenKind::Access]);
        let ring = ring(&[&key_a]);
        let verify = |token: &str| {
            ring.verify(token, &[TokenKind::Access], audience::PLATFORM, NOW)
                .unwrap_err()
        };
        assert_eq!(
            verify(&key_b.sign(TokenKind::Access, &claims()).unwrap()),
            Rejection::UnknownKey
        );

        let token = key_a.sign(TokenKind::Access, &claims()).unwrap();
        let mut cut = token.clone();
        cut.truncate(cut.len() - 4);
        assert_eq!(verify(&cut), Rejection::Malformed);
        // Another's signature over the same words, under the name of our key.
        let header = token.split('.').next().unwrap();
        let foreign = key_b.sign(TokenKind::Access, &claims()).unwrap();
        let (_, signature) = foreign.rsplit_once('.').unwrap();
        let body = token.split('.').nth(1).unwrap();
        assert_eq!(
            verify(&format!("{header}.{body}.{signature}")),
            Rejection::BadSignature
        );
        assert_eq!(verify(&"x".repeat(65_536)), Rejection::Malformed);
        assert_eq!(verify("a.b"), Rejection::Malformed);

        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        for alg in ["none", "HS256", "RS256", "ES384"] {
            let header = encode(&format!(
                r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{}"}}"#,
                key_a.public().kid
            ));
            let refused = verify(&format!("{header}.{body}.AAAA"));
            assert!(
                matches!(refused, Rejection::Malformed | Rejection::BadSignature),
                "{alg}: {refused:?}"
            );
        }
    }

    #[test]
    fn of_two_keys_with_one_name_neither_is_taken() {
        let key_a = key(Algorithm::Es256, &[TokenKind::Access]);
        let mut second = key(Algorithm::Es256, &[TokenKind::Access]).public().clone();
        second.kid.clone_from(&key_a.public().kid);
        let ring = KeyRing::new(
            "micro",
            &JwkSet {
                keys: vec![key_a.public().clone(), second],
            },
        );
        let token = key_a.sign(TokenKind::Access, &claims()).unwrap();
        let refused = ring
            .verify(&token, &[TokenKind::Access], audience::PLATFORM, NOW)
            .unwrap_err();
        assert_eq!(refused, Rejection::UnknownKey);
    }
}
