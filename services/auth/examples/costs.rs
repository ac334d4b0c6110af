//! What the dear parts of signing in cost on this machine, as one line of JSON: a token signed and
//! verified, in microseconds, and a password hashed, in milliseconds. Each is the median of many.
#![allow(clippy::print_stdout, reason = "this is what it is for")]

use std::time::Instant;

use common::time::Clock;
use common::token::{Algorithm, Claims, JwkSet, KeyRing, SigningKey, TokenKind, audience};
use slipway_auth::password::{Cost, Hasher, Password};

const TOKENS: usize = 2_000;
const PASSWORDS: usize = 15;

/// The median of `times` runs, in microseconds.
fn median(times: usize, mut run: impl FnMut()) -> f64 {
    let mut took: Vec<f64> = (0..times)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took.get(times / 2).copied().unwrap_or_default()
}

fn tokens(algorithm: Algorithm) -> anyhow::Result<(f64, f64)> {
    let document = SigningKey::generate(algorithm)?;
    let key = SigningKey::from_pkcs8(algorithm, &document, TokenKind::ALL)?;
    let keys = vec![key.public().clone()];
    let ring = KeyRing::new("micro", &JwkSet { keys });
    let now = Clock::system().now();
    let (from, to) = (now.unix(), now.unix() + 3_600);
    let claims = Claims::new("micro", "sub", audience::PLATFORM, from, to, "tok_1".into());
    let token = key.sign(TokenKind::Access, &claims)?;
    let sign = median(TOKENS, || {
        let _signed = std::hint::black_box(key.sign(TokenKind::Access, &claims));
    });
    let kinds = [TokenKind::Access];
    anyhow::ensure!(ring.verify(&token, &kinds, audience::PLATFORM, now).is_ok());
    let verify = median(TOKENS, || {
        let _verified = std::hint::black_box(ring.verify(&token, &kinds, audience::PLATFORM, now));
    });
    Ok((sign, verify))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let hasher = Hasher::new(1, 1, Cost::DEFAULT, tokio::runtime::Handle::current())?;
    let mut took = Vec::new();
    for _ in 0..PASSWORDS {
        let began = Instant::now();
        hasher.hash(Password::new("correct horse battery")).await?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    let (es256, eddsa) = (tokens(Algorithm::Es256)?, tokens(Algorithm::EdDsa)?);
    let costs = serde_json::json!({
        "es256_sign_us": es256.0,
        "es256_verify_us": es256.1,
        "eddsa_sign_us": eddsa.0,
        "eddsa_verify_us": eddsa.1,
        "password_hash_ms": took.get(PASSWORDS / 2),
    });
    println!("{costs}");
    Ok(())
}
