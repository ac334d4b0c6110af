//! Hashing with argon2id, bounded so that logins can't starve everything else.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use common::random;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Password;
use super::foreign::Foreign;

/// What a hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory: u32,
    /// How many times it is gone over.
    pub iterations: u32,
    /// In how many lanes.
    pub parallelism: u32,
}

impl Cost {
    /// 19 MiB, two passes, one lane: the second of the equal choices that OWASP names.
    pub const DEFAULT: Self = Self {
        memory: 19 * 1024,
        iterations: 2,
        parallelism: 1,
    };

    fn argon2(self) -> Result<Argon2<'static>, HashError> {
        let params = Params::new(self.memory, self.iterations, self.parallelism, None);
        Ok(Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            params.map_err(failed)?,
        ))
    }

    /// Whether a hash is worth less than one that would be made now.
    fn is_above(self, hash: &PasswordHash<'_>) -> bool {
        let Ok(params) = Params::try_from(hash) else {
            return true;
        };
        hash.algorithm != Algorithm::Argon2id.ident()
            || hash.version != Some(Version::V0x13.into())
            || params.m_cost() < self.memory
            || params.t_cost() < self.iterations
    }
}

/// What came of comparing a password with a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// It is another.
    Wrong,
    /// It is the one.
    Right,
    /// It is the one, and this hash of it is to take the place of the one that was kept.
    Renewed(String),
}

impl Check {
    /// Whether it is the password.
    #[must_use]
    pub fn is_right(&self) -> bool {
        !matches!(self, Self::Wrong)
    }
}

/// Why a password could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many wait for it already.
    #[error("too many passwords are being checked at the moment")]
    Busy,
    /// The process is stopping, or there is no memory for it.
    #[error("a password could not be hashed: {0}")]
    Failed(String),
}

/// Hashes and compares passwords, a few at a time; cheap to clone.
#[derive(Clone, Debug)]
pub struct Hasher {
    /// Those who wait or run.
    admitted: Arc<Semaphore>,
    /// Those who run.
    running: Arc<Semaphore>,
    runtime: tokio::runtime::Handle,
    cost: Cost,
    /// A hash of nothing: comparing with it takes as long as with a real one.
    dummy: Arc<str>,
}

impl Hasher {
    /// Runs at most `concurrency` at once, on the runtime's blocking threads, while up to `queue` wait.
    pub fn new(
        concurrency: usize,
        queue: usize,
        cost: Cost,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, HashError> {
        Ok(Self {
            admitted: Arc::new(Semaphore::new(concurrency + queue)),
            running: Arc::new(Semaphore::new(concurrency)),
            runtime,
            cost,
            dummy: dummy(cost)?.into(),
        })
    }

    /// A new password's hash in PHC form, to be kept.
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        let cost = self.cost;
        self.run(move || hash(cost, &password)).await
    }

    /// A hash that no password has: what is kept for one who must choose a new password first.
    pub fn unusable(&self) -> Result<String, HashError> {
        dummy(self.cost)
    }

    /// Whether it is the password that was hashed. Without a hash it isn't, which takes as long to tell.
    pub async fn verify(
        &self,
        password: Password,
        hash: Option<String>,
    ) -> Result<bool, HashError> {
        let check = self.compare(password, hash, false).await?;
        Ok(check.is_right())
    }

    /// The same; a right password whose hash is of another kind than today's, or cheaper, is hashed anew.
    pub async fn check(
        &self,
        password: Password,
        hash: Option<String>,
    ) -> Result<Check, HashError> {
        self.compare(password, hash, true).await
    }

    async fn compare(
        &self,
        password: Password,
        kept: Option<String>,
        renew: bool,
    ) -> Result<Check, HashError> {
        let (dummy, cost) = (Arc::clone(&self.dummy), self.cost);
        self.run(move || {
            let known = kept.is_some();
            let text = kept.unwrap_or_else(|| dummy.to_string());
            if let Some(foreign) = Foreign::parse(&text).map_err(failed)? {
                return match foreign.is_of(&password) {
                    true if renew => hash(cost, &password).map(Check::Renewed),
                    true => Ok(Check::Right),
                    false => Ok(Check::Wrong),
                };
            }
            let parsed = PasswordHash::new(&text).map_err(failed)?;
            let compared = cost
                .argon2()?
                .verify_password(password.text().as_bytes(), &parsed);
            match compared {
                Ok(()) if !known => Ok(Check::Wrong),
                Ok(()) if renew && cost.is_above(&parsed) => {
                    hash(cost, &password).map(Check::Renewed)
                }
                Ok(()) => Ok(Check::Right),
                Err(argon2::password_hash::Error::Password) => Ok(Check::Wrong),
                Err(error) => Err(failed(error)),
            }
        })
        .await
    }

    /// Refuses at once while as many wait as may, so that nothing is looked up for who would be refused
    /// after it.
    pub fn check_room(&self) -> Result<(), HashError> {
        if self.admitted.available_permits() == 0 {
            return Err(HashError::Busy);
        }
        Ok(())
    }

    /// Waits for a turn and runs `work`. Its turn lasts until it is done, even where the one who
    /// asked has gone away by then.
    async fn run<T, F>(&self, work: F) -> Result<T, HashError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, HashError> + Send + 'static,
    {
        let admitted = Arc::clone(&self.admitted)
            .try_acquire_owned()
            .map_err(|_full| HashError::Busy)?;
        let turn = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(failed)?;
        let hold: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (admitted, turn);
        let span = tracing::Span::current();
        self.runtime
            .spawn_blocking(move || {
                let _hold = hold;
                span.in_scope(work)
            })
            .await
            .map_err(failed)?
    }
}

fn hash(cost: Cost, password: &Password) -> Result<String, HashError> {
    let salt = SaltString::encode_b64(&random::bytes::<16>()).map_err(failed)?;
    let hash = cost
        .argon2()?
        .hash_password(password.text().as_bytes(), &salt)
        .map_err(failed)?;
    Ok(hash.to_string())
}

/// A hash that no password has, with the cost of a real one: random bytes where the digest would be.
fn dummy(cost: Cost) -> Result<String, HashError> {
    let text = |bytes: &[u8]| {
        SaltString::encode_b64(bytes)
            .map(|text| text.to_string())
            .map_err(failed)
    };
    let (salt, digest) = (text(&random::bytes::<16>())?, text(&random::bytes::<32>())?);
    let Cost {
        memory,
        iterations,
        parallelism,
    } = cost;
    Ok(format!(
        "$argon2id$v=19$m={memory},t={iterations},p={parallelism}${salt}${digest}"
    ))
}

fn failed(error: impl std::fmt::Display) -> HashError {
    HashError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(concurrency: usize, queue: usize) -> Hasher {
        costing(Cost::DEFAULT, concurrency, queue)
    }

    fn costing(cost: Cost, concurrency: usize, queue: usize) -> Hasher {
        let runtime = tokio::runtime::Handle::current();
        Hasher::new(concurrency, queue, cost, runtime).unwrap()
    }

    #[tokio::test]
    async fn a_hash_that_has_become_too_cheap_is_renewed_by_the_right_password_alone() {
        let raised = Cost {
            iterations: 3,
            ..Cost::DEFAULT
        };
        let (before, after) = (hasher(1, 1), costing(raised, 1, 1));
        let right = || Password::new("correct horse battery");
        let kept = before.hash(right()).await.unwrap();
        let check = before.check(right(), Some(kept.clone())).await.unwrap();
        assert_eq!(check, Check::Right);
        let wrong = after.check(Password::new("another"), Some(kept.clone()));
        assert_eq!(wrong.await.unwrap(), Check::Wrong);
        let Check::Renewed(kept) = after.check(right(), Some(kept)).await.unwrap() else {
            panic!("it stays as cheap as it was")
        };
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"),
            "{kept}"
        );
        let check = after.check(right(), Some(kept.clone())).await.unwrap();
        assert_eq!(check, Check::Right);
        // Who lowers the cost makes nobody's hash cheaper.
        let check = before.check(right(), Some(kept)).await.unwrap();
        assert_eq!(check, Check::Right);
    }

    #[tokio::test]
    async fn a_password_is_kept_as_argon2id_and_known_again() {
        let hasher = hasher(2, 2);
        let hash = hasher
            .hash(Password::new("r\u{e9}sum\u{e9} of 1"))
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        // The same, typed with combining accents.
        assert!(
            hasher
                .verify(
                    Password::new("re\u{301}sume\u{301} of 1"),
                    Some(hash.clone())
                )
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .verify(Password::new("resume of 1"), Some(hash))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn no_password_is_that_of_an_unknown_person() {
        let hasher = hasher(1, 1);
        assert!(
            !hasher
                .verify(Password::new("test1234"), None)
                .await
                .unwrap()
        );
        PasswordHash::new(&hasher.dummy).unwrap();
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_sent_away_at_once() {
        let hasher = hasher(1, 1);
        let turn = Arc::clone(&hasher.running).acquire_owned().await.unwrap();
        let waiting = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.verify(Password::new("x"), None).await }
        });
        let second = Arc::clone(&hasher.admitted);
        while second.available_permits() > 1 {
            tokio::task::yield_now().await;
        }
        assert!(hasher.check_room().is_ok());
        let _taken = Arc::clone(&hasher.admitted).try_acquire_owned().unwrap();
        assert!(matches!(hasher.check_room(), Err(HashError::Busy)));
        assert!(matches!(
            hasher.verify(Password::new("x"), None).await,
            Err(HashError::Busy)
        ));
        drop(turn);
        assert!(!waiting.await.unwrap().unwrap());
    }
}
