//! People of the demo, with passwords made up for it.

use common::random;
use secrecy::SecretString;

use super::steps::Steps;
use crate::api::{Account, Api, Role};

/// Registers a person, signs her in and makes her user.
pub(super) async fn join(
    platform: &Api,
    email: &str,
    titles: [&'static str; 3],
    steps: &mut Steps,
) -> anyhow::Result<Api> {
    let password = SecretString::from(random::token());
    let [register, sign_in, become_user] = titles;
    steps
        .step(
            register,
            "POST /auth/euser/emailpass/register",
            "An identity that can sign in.",
            async { Ok(platform.register(email, &password).await?) },
        )
        .await?;
    let person = steps
        .step(
            sign_in,
            "POST /auth/euser/emailpass",
            "The answer is a token, good for an hour.",
            async {
                let token = platform.sign_in("euser", email, &password).await?;
                token
                    .map(|token| platform.with_token(token))
                    .ok_or_else(|| anyhow::anyhow!("no token"))
            },
        )
        .await?;
    let explanation = "The platform's record of the person; accounts know people by it.";
    steps
        .step(become_user, "POST /v1/users", explanation, async {
            Ok(person.become_user(email).await?)
        })
        .await?;
    Ok(person)
}

/// Has someone invite a person into an account, and the person accept.
pub(super) async fn invite(
    inviter: &Api,
    person: &Api,
    account: &Account,
    role: Role,
    titles: [&'static str; 2],
    steps: &mut Steps,
) -> anyhow::Result<()> {
    let [invite, accept] = titles;
    let path = format!("POST /v1/accounts/{}/invite", account.id);
    let explanation = format!("A token that makes whoever accepts it {role} of the account, once.");
    let token = steps
        .step(invite, path, &explanation, async {
            Ok(inviter.invite(&account.id, role).await?)
        })
        .await?;
    steps
        .step(
            accept,
            "POST /v1/invite/accept",
            "From now on the account's projects are within reach.",
            async {
                person.accept_invite(&token).await?;
                Ok(())
            },
        )
        .await
}
