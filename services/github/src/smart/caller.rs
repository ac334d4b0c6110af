//! Who pushes or fetches, and whether they may.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chassis::Context;
use chassis::auth::AuthError;
use common::api::account::UserOfIdentity;
use common::id::{AccountId, UserId};
use common::names::{RepoName, RepoOwner};
use common::problem::Problem;
use common::role::Role;
use common::scope::{Resource, Scope, Verb};
use common::token::{Claims, Rejection, TokenKind, audience};
use common::{ExposeSecret as _, SecretString};

use super::refusal::Refusal;
use crate::storage::Holder;

/// What somebody wants to do with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Read it.
    Fetch,
    /// Change it.
    Push,
}

impl Wish {
    fn role(self) -> Role {
        match self {
            Self::Fetch => Role::Viewer,
            Self::Push => Role::Developer,
        }
    }

    fn scope(self) -> Scope {
        match self {
            Self::Fetch => Scope::Platform(Resource::Projects, Verb::Read),
            Self::Push => Scope::Platform(Resource::Projects, Verb::Write),
        }
    }
}

/// Who may go on.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// A member of the account whose repository it is.
    Member(AccountId, UserId),
    /// Whoever holds a token for this one repository.
    Bearer,
}

impl Caller {
    /// The account as whose member the caller comes.
    pub(super) fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Member(account, _) => Some(account),
            Self::Bearer => None,
        }
    }
}

/// Checks the request's token against one repository. Who may not see it learns nothing of it.
pub(super) async fn authorise(
    context: &Context,
    request: &HttpRequest,
    (owner, repo): (&RepoOwner, &RepoName),
    wish: Wish,
) -> Result<Caller, Refusal> {
    let token =
        token(request).ok_or_else(|| Refusal::unauthorized("This repository needs a token"))?;
    let token = token.expose_secret();
    let kinds = [TokenKind::Access, TokenKind::ApiKey];
    match context
        .verifier
        .verify(token, &kinds, audience::PLATFORM)
        .await
    {
        Ok(verified) => member(context, &verified.claims, owner, wish).await,
        Err(AuthError::Rejected(Rejection::WrongKind)) if wish == Wish::Fetch => {
            let audience = audience::repository(owner.as_str(), repo.as_str());
            context
                .verifier
                .verify(token, &[TokenKind::Repository], &audience)
                .await
                .map_err(refuse)?;
            Ok(Caller::Bearer)
        }
        Err(error) => Err(refuse(error)),
    }
}

fn refuse(error: AuthError) -> Refusal {
    match error {
        AuthError::Missing => Refusal::unauthorized("This repository needs a token"),
        AuthError::Rejected(why) => Refusal::unauthorized(&why.to_string()),
        AuthError::Stale => error.into(),
    }
}

async fn member(
    context: &Context,
    claims: &Claims,
    owner: &RepoOwner,
    wish: Wish,
) -> Result<Caller, Refusal> {
    // What the operator laid is opened by one-repository tokens only.
    let Holder::Account(account) = Holder::of(owner) else {
        return Err(Refusal::no_repository());
    };
    if claims
        .account_id
        .as_ref()
        .is_some_and(|confined| *confined != account)
    {
        return Err(Refusal::no_repository());
    }
    let Some(user) = user(context, claims).await? else {
        return Err(Refusal::no_repository());
    };
    let role = context.members.role(&account, &user, wish.role()).await?;
    let Some(role) = role else {
        return Err(Refusal::no_repository());
    };
    if !claims.scope.covers(&wish.scope()) {
        return Err(Problem::insufficient_scope(&wish.scope().to_string()).into());
    }
    if !role.allows(wish.role()) {
        let detail = format!(
            "Pushing needs the role `{}` in the account; yours is `{role}`.",
            wish.role()
        );
        return Err(Problem::forbidden("insufficient_role", detail).into());
    }
    Ok(Caller::Member(account, user))
}

/// The user of whom the token speaks; one that is older than the user is resolved by account.
async fn user(context: &Context, claims: &Claims) -> Result<Option<UserId>, Refusal> {
    if let Some(user) = claims.user_id() {
        return Ok(Some(user.clone()));
    }
    let Some(identity) = &claims.auth_identity_id else {
        return Ok(None);
    };
    let path = format!("/internal/identities/{identity}/user");
    let found: UserOfIdentity = context.calls.get("account", &path).await?;
    Ok(found.user_id)
}

/// The token: `Bearer`, or the password of `Basic`; where there is no password, the name, as some
/// clients send it.
fn token(request: &HttpRequest) -> Option<SecretString> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(SecretString::from(rest.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (name, password) = pair.split_once(':')?;
    let token = if password.is_empty() { name } else { password };
    (!token.is_empty()).then(|| SecretString::from(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn token_of(value: &str) -> Option<String> {
        let request = TestRequest::default()
            .insert_header((AUTHORIZATION, value))
            .to_http_request();
        token(&request).map(|token| token.expose_secret().to_owned())
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_the_password_of_basic() {
        let basic = |pair: &str| token_of(&format!("Basic {}", STANDARD.encode(pair)));
        assert_eq!(token_of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(basic("git:abc").as_deref(), Some("abc"));
        assert_eq!(basic("abc:").as_deref(), Some("abc"));
        assert_eq!(basic(":"), None);
        assert_eq!(token_of("Basic !!!"), None);
        assert_eq!(token_of("Digest abc"), None);
    }
}
