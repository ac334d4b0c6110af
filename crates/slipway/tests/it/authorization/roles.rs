//! One person, two accounts, two roles.

use common::role::Role;
use testkit::on_both_backends;

use super::policy::{Policy, Row};
use super::scene::Scene;
use super::state::State;
use super::table::rows;
use super::world::{Door, World};

/// The routes of an account, with the least role that each needs.
fn account_rows() -> Vec<(Row, Role)> {
    let of_account = |row: Row| match row.policy {
        Policy::Member(role, _) | Policy::MemberOrAdmin(role, _) | Policy::Git(role, _) => {
            (!row.private).then_some((row, role))
        }
        _ => None,
    };
    rows().into_iter().filter_map(of_account).collect()
}

/// What a viewer is answered where what a path names, but for the account, isn't.
fn expected_of_a_viewer(row: &Row, role: Role) -> u16 {
    let things = ["{project_id}", "{repo}"];
    if role > Role::Viewer || (row.method, row.path) == REMOVAL {
        403
    } else if things.iter().any(|thing| row.path.contains(thing)) {
        404
    } else {
        assert_eq!(row.method, "GET", "{}", row.title());
        200
    }
}

/// A viewer may remove herself by it, and nobody else.
const REMOVAL: (&str, &str) = ("DELETE", "/v1/accounts/{account_id}/members/{user_id}");

on_both_backends! {
    async fn a_role_in_one_account_is_none_in_another(backend: Backend) {
        let world = World::start(&backend).await;
        let scene = Scene::set(&world, "a").await;
        let elsewhere = scene.moved_elsewhere();
        let before = State::at_rest(&world.up.platform).await;
        let token = Some(scene.owner.token.as_str());
        for (row, role) in account_rows() {
            for door in [Door::Gateway, Door::Direct] {
                let answer = world.ask(door, (&row, &elsewhere), token, row.body).await;
                let expected = expected_of_a_viewer(&row, role);
                assert_eq!(answer.status, expected, "{} ({door:?}): {}", row.title(), answer.text);
                if row.method == "GET" {
                    let own = world.ask(door, (&row, &scene), token, row.body).await;
                    assert_eq!(own.status, row.status, "{} ({door:?}): {}", row.title(), own.text);
                }
            }
        }
        let changes = before.difference(&State::of(&world.up.platform).await);
        assert!(changes.is_empty(), "{changes:#?}");
        world.stop().await;
    }
}
