//! Of a token that was changed anywhere nothing is believed.

use super::{Algorithm, Claims, JwkSet, KeyRing, SigningKey, TokenKind, audience};
use crate::time::Time;

const WORDS: &[&[u8]] = &[
    b".",
    b"=",
    b"A",
    b"eyJhbGciOiJub25lIn0",
    b"eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9",
    b"+",
    b"/",
    b"-_",
];

#[test]
fn no_token_but_the_very_one_that_was_signed_is_accepted() {
    let kinds = &[TokenKind::Access];
    let keys = Algorithm::ALL.iter().map(|algorithm| {
        let pkcs8 = SigningKey::generate(*algorithm).unwrap();
        SigningKey::from_pkcs8(*algorithm, &pkcs8, kinds).unwrap()
    });
    let keys: Vec<_> = keys.collect();
    let public = keys.iter().map(|key| key.public().clone()).collect();
    let ring = KeyRing::new("micro", &JwkSet { keys: public });
    let tokens = ["one", "two"].iter().flat_map(|id| {
        let claims = Claims::new("micro", *id, audience::PLATFORM, 0, 3_600, (*id).into());
        let sign = move |key: &SigningKey| key.sign(TokenKind::Access, &claims).unwrap();
        keys.iter().map(sign)
    });
    let tokens: Vec<_> = tokens.collect();
    let seeds: Vec<_> = tokens.iter().map(String::as_bytes).collect();
    fuzz::check(&seeds, WORDS, |input| {
        let text = input.text();
        let verified = ring.verify(&text, kinds, audience::PLATFORM, Time::EPOCH);
        assert_eq!(verified.is_ok(), tokens.contains(&text));
    });
}
