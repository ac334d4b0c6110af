//! What travels through GitHub while a person installs the App, and tells afterwards for whom she
//! did it: the account and herself, sealed so that nobody else can have said it.
//!
//! It comes back by her browser, but counts only with her own token beside it. So nobody can have
//! somebody else's installation connected to an account by sending her a link.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::seal::{SealError, Sealer};
use common::id::{AccountId, UserId};
use common::time::{Span, Time};
use serde::{Deserialize, Serialize};

/// How long somebody may take to install the App.
const LIFETIME: Span = Span::hours(1);
/// What it is sealed for.
const PLACE: &str = "github/install-state";

#[derive(Serialize, Deserialize)]
struct Content {
    user: UserId,
    ends: i64,
}

fn place(account: &AccountId) -> String {
    format!("{PLACE}/{account}")
}

/// A state for this person of this account: `<account id>.<sealed>`.
pub(crate) fn make(
    sealer: &Sealer,
    account: &AccountId,
    user: &UserId,
    now: Time,
) -> Result<String, SealError> {
    let content = Content {
        user: user.clone(),
        ends: (now + LIFETIME).unix(),
    };
    let content = serde_json::to_vec(&content).map_err(|_never| SealError::Damaged)?;
    let sealed = sealer.seal(&content, &place(account))?;
    Ok(format!("{account}.{}", URL_SAFE_NO_PAD.encode(sealed)))
}

/// Whether the state was made for this person of this account, and not too long ago.
pub(crate) fn is_good(
    sealer: &Sealer,
    state: &str,
    account: &AccountId,
    user: &UserId,
    now: Time,
) -> bool {
    let opened = state
        .split_once('.')
        .and_then(|(_, sealed)| URL_SAFE_NO_PAD.decode(sealed).ok())
        .and_then(|sealed| sealer.open(&sealed, &place(account)).ok())
        .and_then(|content| serde_json::from_slice::<Content>(&content).ok());
    opened.is_some_and(|content| content.user == *user && now.unix() < content.ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::settings::SecretsSettings;

    #[test]
    fn a_state_is_good_for_one_person_of_one_account_for_an_hour() {
        let directory = tempfile::tempdir().unwrap();
        let sealer = Sealer::open_or_create(&SecretsSettings::default(), directory.path()).unwrap();
        let now = Time::from_unix(1_000_000);
        let (account, other) = (AccountId::new(now), AccountId::new(now));
        let (user, somebody) = (UserId::new(now), UserId::new(now));
        let state = make(&sealer, &account, &user, now).unwrap();
        assert!(is_good(&sealer, &state, &account, &user, now));
        assert!(!is_good(&sealer, &state, &other, &user, now));
        assert!(!is_good(&sealer, &state, &account, &somebody, now));
        assert!(!is_good(&sealer, &state, &account, &user, now + LIFETIME));
        let theirs = state.replace(account.as_str(), other.as_str());
        assert!(!is_good(&sealer, &theirs, &other, &user, now));
        for forged in ["", ".", "x.y", &state[..state.len() - 2]] {
            assert!(!is_good(&sealer, forged, &account, &user, now), "{forged}");
        }
    }
}
