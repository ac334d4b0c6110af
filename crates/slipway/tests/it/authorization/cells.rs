//! Who is refused by a policy, how, and who is not.

use chassis::platform::SERVICES;
use common::role::Role;
use common::scope::ScopeSet;
use common::token::{Claims, TokenKind, audience};

use super::claims::{all_scopes_but, kinds, right_claims, service_claims};
use super::policy::{Policy, Row};
use super::scene::Scene;
use super::world::{Door, World};

/// Somebody at a route, and what is expected to come of it.
pub(super) struct Cell {
    pub(super) who: String,
    pub(super) token: Option<String>,
    pub(super) status: u16,
    /// What the answer must contain.
    pub(super) says: &'static str,
    pub(super) body: &'static str,
}

/// Everybody whom a route must refuse.
pub(super) fn refused(world: &World, scene: &Scene, row: &Row) -> Vec<Cell> {
    let mut cells = wrong_tokens(world, scene, row);
    match row.policy {
        Policy::Open
        | Policy::Secret
        | Policy::Person
        | Policy::Entrant
        | Policy::Pending
        | Policy::Resetter
        | Policy::AnyService => {}
        Policy::Euser => cells.push(admin(world, row, 403, "wrong_actor")),
        Policy::Numbered => {
            cells.push(admin(world, row, 403, "wrong_actor"));
            let others = [
                ("another user", &scene.stranger),
                ("a newcomer", &scene.newcomer),
            ];
            for (who, person) in others {
                cells.push(cell(
                    row,
                    who,
                    Some(person.token.clone()),
                    401,
                    "unauthorized",
                ));
            }
        }
        Policy::User => {
            cells.push(admin(world, row, 403, "wrong_actor"));
            cells.push(newcomer(scene, row, 403, "user_required"));
        }
        Policy::Admin => cells.extend(no_admins(world, scene, row)),
        Policy::Caller(_) | Policy::Holder => {}
        Policy::Server(scope) => {
            let nowhere = scene.key(&scene.owner, scene.account(), |key| {
                key.scope = scope.parse().unwrap();
            });
            for (who, claims) in [
                ("a key that names no realm", nowhere),
                (
                    "another tenant's key",
                    scene.server_key(&scene.stranger, scope),
                ),
                ("a viewer's key", scene.server_key(&scene.viewer, scope)),
            ] {
                let token = Some(world.sign(TokenKind::ApiKey, &claims));
                cells.push(cell(row, who, token, 403, "no_realm"));
            }
        }
        Policy::UserCaller(_) => cells.push(newcomer(scene, row, 403, "user_required")),
        Policy::Own(_) => {
            cells.push(admin(world, row, 403, "wrong_actor"));
            cells.push(newcomer(scene, row, 403, "user_required"));
            if row.path.contains("{key_id}") {
                let token = Some(scene.stranger.token.clone());
                cells.push(cell(row, "another's", token, 404, "not_found"));
            }
        }
        Policy::Member(role, _) => {
            cells.extend(lesser(scene, row, role));
            cells.extend(outsiders(world, scene, row));
            cells.push(newcomer(scene, row, 403, "user_required"));
            cells.push(admin(world, row, 403, "user_required"));
        }
        Policy::MemberOrAdmin(role, _) => {
            cells.extend(lesser(scene, row, role));
            cells.extend(outsiders(world, scene, row));
            cells.push(newcomer(scene, row, 403, "user_required"));
        }
        Policy::Git(role, _) => {
            cells.extend(lesser(scene, row, role));
            cells.extend(outsiders(world, scene, row));
            cells.push(newcomer(scene, row, 404, ""));
            cells.push(admin(world, row, 404, ""));
        }
        Policy::Services(callers) => {
            let others = SERVICES.iter().filter(|(name, _)| !callers.contains(name));
            for (other, _) in others {
                let claims = service_claims(world, other, row.service);
                let token = Some(world.sign(TokenKind::Service, &claims));
                let says = if row.path == "/internal/tokens" {
                    "token_kind_not_allowed"
                } else {
                    "wrong_service"
                };
                cells.push(cell(
                    row,
                    &format!("{other}, no caller of this"),
                    token,
                    403,
                    says,
                ));
            }
        }
    }
    cells
}

fn cell(row: &Row, who: &str, token: Option<String>, status: u16, says: &'static str) -> Cell {
    // Git prints what is for people only.
    let git = matches!(row.policy, Policy::Git(..));
    Cell {
        who: who.to_owned(),
        token,
        status,
        says: if git && status != 401 { "" } else { says },
        body: row.body,
    }
}

/// No token, and those that are none here whoever has them.
fn wrong_tokens(world: &World, scene: &Scene, row: &Row) -> Vec<Cell> {
    let right = right_claims(world, scene, row);
    let taken = kinds(row.policy);
    let first = taken.first().copied().unwrap_or(TokenKind::Access);
    let changed = |change: &dyn Fn(&mut Claims)| {
        let mut claims = right.clone();
        change(&mut claims);
        Some(world.sign(first, &claims))
    };
    let expired = changed(&|claims| {
        let life = claims.exp - claims.iat;
        claims.iat -= 7_200;
        claims.exp = claims.iat + life;
    });
    let elsewhere = if first == TokenKind::Service {
        let other = if row.service == "auth" {
            "account"
        } else {
            "auth"
        };
        audience::internal(other)
    } else {
        audience::INVITE.to_owned()
    };
    let another = changed(&|claims| claims.aud.clone_from(&elsewhere));
    let issuer = changed(&|claims| claims.iss = "somebody".into());
    let mut cells = vec![
        cell(row, "nobody", None, 401, "realm=\"slipway\""),
        cell(
            row,
            "an expired token",
            expired,
            401,
            "The token has expired",
        ),
        cell(
            row,
            "a token for another audience",
            another,
            401,
            "meant for another place",
        ),
        cell(
            row,
            "a token of another issuer",
            issuer,
            401,
            "meant for another place",
        ),
    ];
    for kind in TokenKind::ALL.iter().filter(|kind| !taken.contains(kind)) {
        let token = Some(world.sign(*kind, &right));
        let says = match (kind, row.policy) {
            (TokenKind::Forward, _) => "The token's key is not known",
            // The token of one repository is taken, for that one.
            (TokenKind::Repository, Policy::Git(Role::Viewer, _)) => "meant for another place",
            // A pending login's token is taken, where it says that it is one.
            (TokenKind::Mfa, Policy::Entrant) => "meant for another place",
            _ => "This kind of token is not accepted here",
        };
        cells.push(cell(
            row,
            &format!("a token of the kind {kind}"),
            token,
            401,
            says,
        ));
    }
    if !matches!(row.policy, Policy::Entrant | Policy::Pending) {
        let token = Some(world.sign(TokenKind::Mfa, &scene.secured.pending));
        let says = "This kind of token is not accepted here";
        let who = "somebody whose second factor is pending";
        cells.push(cell(row, who, token, 401, says));
    }
    let forged = Some(world.signer.forward_by_auth(&right));
    let says = "The token's signature is not valid";
    cells.push(cell(row, "a forward+jwt by auth's key", forged, 401, says));
    if let Some(scope) = row.policy.scope() {
        for kind in taken {
            let mut claims = right.clone();
            claims.scope = all_scopes_but(scope);
            let token = Some(world.sign(*kind, &claims));
            let who = format!("a {kind} of all scopes but {scope}");
            cells.push(cell(row, &who, token, 403, "insufficient_scope"));
        }
    }
    match row.policy {
        // Nobody is refused: whatever is sent changes nothing.
        Policy::Open => cells.iter_mut().for_each(|cell| {
            (cell.status, cell.says) = (row.status, "");
        }),
        Policy::Secret => {
            let owner = Some(scene.owner.token.clone());
            cells.push(cell(row, "the owner", owner, 401, ""));
            cells.push(admin(world, row, 401, ""));
            for cell in &mut cells {
                (cell.status, cell.says, cell.body) = (row.refusal, "", row.wrong);
            }
        }
        _ => {}
    }
    cells
}

fn admin(world: &World, row: &Row, status: u16, says: &'static str) -> Cell {
    cell(row, "an operator", Some(world.admin_token()), status, says)
}

fn newcomer(scene: &Scene, row: &Row, status: u16, says: &'static str) -> Cell {
    let token = Some(scene.newcomer.token.clone());
    cell(row, "somebody without a user", token, status, says)
}

/// Each external user at an operator's route: a role in an account is none here, nor is a scope.
fn no_admins(world: &World, scene: &Scene, row: &Row) -> Vec<Cell> {
    let people = [
        ("the owner", &scene.owner),
        ("a developer", &scene.developer),
        ("a stranger", &scene.stranger),
        ("a newcomer", &scene.newcomer),
    ];
    let mut cells: Vec<_> = people
        .into_iter()
        .map(|(who, person)| cell(row, who, Some(person.token.clone()), 403, "wrong_actor"))
        .collect();
    let mut claims = scene.owner.claims.clone();
    claims.scope = ScopeSet::all();
    let token = Some(world.sign(TokenKind::Access, &claims));
    cells.push(cell(
        row,
        "the owner with every scope",
        token,
        403,
        "wrong_actor",
    ));
    cells
}

/// Members whose role is too low.
fn lesser(scene: &Scene, row: &Row, role: Role) -> Vec<Cell> {
    Role::ALL
        .iter()
        .filter(|lesser| !lesser.allows(role))
        .map(|lesser| {
            let token = Some(scene.member(*lesser).token.clone());
            cell(row, &format!("a {lesser}"), token, 403, "insufficient_role")
        })
        .collect()
}

/// Other tenants, and the account's own owner with a key for another account of hers.
fn outsiders(world: &World, scene: &Scene, row: &Row) -> Vec<Cell> {
    let confined = scene.key(&scene.owner, &scene.elsewhere, |_| {});
    let stranger = scene.key(&scene.stranger, scene.account(), |_| {});
    let tokens = [
        ("another tenant", scene.stranger.token.clone()),
        (
            "the owner's key for another account",
            world.sign(TokenKind::ApiKey, &confined),
        ),
        (
            "another tenant's key that names this account",
            world.sign(TokenKind::ApiKey, &stranger),
        ),
    ];
    tokens
        .into_iter()
        .map(|(who, token)| cell(row, who, Some(token), 404, "not_found"))
        .collect()
}

/// Those who are served: with no more than is needed. By the gateway keys are used, else the
/// person's own token.
pub(super) fn served(world: &World, scene: &Scene, row: &Row, door: Door) -> Vec<Cell> {
    let mut claims = right_claims(world, scene, row);
    let operators = matches!(row.policy, Policy::MemberOrAdmin(..)) && row.method == "GET";
    let with = |who: &str, token: Option<String>| Cell {
        who: who.to_owned(),
        token,
        status: row.status,
        says: "",
        body: row.body,
    };
    match row.policy {
        Policy::Open | Policy::Secret => vec![with("anybody", None)],
        Policy::Services(callers) => {
            let sign = |caller: &&str| {
                let claims = service_claims(world, caller, row.service);
                with(caller, Some(world.sign(TokenKind::Service, &claims)))
            };
            callers.iter().map(sign).collect()
        }
        Policy::AnyService => {
            let sign = |(caller, _): &(&'static str, u16)| {
                let claims = service_claims(world, caller, row.service);
                with(caller, Some(world.sign(TokenKind::Service, &claims)))
            };
            SERVICES.iter().map(sign).collect()
        }
        policy => {
            let kind = match kinds(policy).get(1) {
                Some(key) if door == Door::Gateway => {
                    let needed = claims.scope.clone();
                    let of = match policy {
                        Policy::Member(role, _)
                        | Policy::MemberOrAdmin(role, _)
                        | Policy::Git(role, _) => scene.member(role),
                        _ => &scene.owner,
                    };
                    claims = scene.key(of, scene.account(), |key| key.scope = needed);
                    *key
                }
                _ => kinds(policy)[0],
            };
            let mut cells = vec![with(
                &format!("the right {kind}"),
                Some(world.sign(kind, &claims)),
            )];
            if operators {
                cells.push(with("an operator", Some(world.admin_token())));
            }
            cells
        }
    }
}
