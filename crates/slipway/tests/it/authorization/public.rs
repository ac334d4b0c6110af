//! The routes behind the gateway.

use testkit::on_both_backends;

use super::cells::{Cell, refused, served};
use super::issuing::{kind_given_by, kind_in};
use super::policy::{Policy, Row};
use super::scene::Scene;
use super::state::State;
use super::table::rows;
use super::world::{Door, World};

fn public_rows() -> Vec<Row> {
    rows().into_iter().filter(|row| !row.private).collect()
}

/// By which doors a row is asked for. The gateway's own routes are at its own listener.
fn doors(row: &Row) -> Vec<Door> {
    let mut doors = vec![Door::Gateway];
    if row.service != "v1api" {
        doors.push(Door::Direct);
    }
    if row.path.starts_with("/v1/accounts/") {
        doors.push(Door::Singular);
    }
    doors
}

/// Has everybody who is to be refused by a row ask by these doors; nothing may change.
pub(super) async fn refuses_all(
    world: &World,
    scene: &Scene,
    row: &Row,
    doors: &[Door],
    before: &State,
) {
    let cells = refused(world, scene, row);
    for (door, cell) in doors
        .iter()
        .flat_map(|door| cells.iter().map(move |cell| (*door, cell)))
    {
        let answer = world
            .ask(door, (row, scene), cell.token.as_deref(), cell.body)
            .await;
        let place = format!(
            "{} ({door:?}) with {}: {}",
            row.title(),
            cell.who,
            answer.text
        );
        assert_eq!(answer.status, cell.status, "{place}");
        assert!(
            answer.text.contains(cell.says),
            "{place}\nnot {:?}",
            cell.says
        );
    }
    let changes = before.difference(&State::of(&world.up.platform).await);
    assert!(
        changes.is_empty(),
        "{} was refused and changed: {changes:#?}",
        row.title()
    );
}

/// Whether a handler's signature refuses already. Others ask for more inside; who may not sign in
/// is found out by the body alone, and Git's client is told first whether it speaks the protocol.
fn is_refused_at_once(row: &Row, cell: &Cell) -> bool {
    match row.policy {
        Policy::Open | Policy::Secret | Policy::Git(..) => false,
        // Whose number it is the handler finds out itself.
        Policy::Numbered => cell.says != "unauthorized",
        Policy::Euser | Policy::User | Policy::Member(..) | Policy::MemberOrAdmin(..) => true,
        _ => cell.status == 401,
    }
}

/// Has the right callers ask by a door.
pub(super) async fn serves_all(world: &World, scene: &Scene, row: &Row, door: Door) {
    for cell in served(world, scene, row, door) {
        let answer = world
            .ask(door, (row, scene), cell.token.as_deref(), cell.body)
            .await;
        let place = format!(
            "{} ({door:?}) with {}: {}",
            row.title(),
            cell.who,
            answer.text
        );
        assert_eq!(answer.status, cell.status, "{place}");
        let given = kind_in(&answer.text);
        assert_eq!(
            given,
            kind_given_by(row),
            "the kind of token that {place} gives away"
        );
    }
}

on_both_backends! {
    async fn no_public_route_serves_a_wrong_caller_or_is_changed_by_one(backend: Backend) {
        let world = World::start(&backend).await;
        let scene = Scene::set(&world, "a").await;
        let before = State::at_rest(&world.up.platform).await;
        for row in public_rows() {
            refuses_all(&world, &scene, &row, &doors(&row), &before).await;
        }
        world.stop().await;
    }

    async fn who_is_refused_hears_of_that_and_not_of_a_wrong_query_or_body(backend: Backend) {
        let world = World::start(&backend).await;
        let scene = Scene::set(&world, "a").await;
        for row in rows() {
            let door = if row.private { Door::Private } else { Door::Gateway };
            let row = Row { query: "?limit=x&after=x&since=x&from=x&follow=x&environment_id=x", ..row };
            for cell in refused(&world, &scene, &row).iter().filter(|cell| is_refused_at_once(&row, cell)) {
                let answer = world.ask(door, (&row, &scene), cell.token.as_deref(), "{").await;
                let place = format!("{} with {}: {}", row.title(), cell.who, answer.text);
                assert_eq!(answer.status, cell.status, "{place}");
                assert!(answer.text.contains(cell.says), "{place}\nnot {:?}", cell.says);
            }
        }
        world.stop().await;
    }

    async fn every_public_route_serves_its_right_caller_by_token_and_by_key(backend: Backend) {
        let world = World::start(&backend).await;
        for (door, unique) in [(Door::Direct, "a"), (Door::Gateway, "b")] {
            let scene = Scene::set(&world, unique).await;
            for row in public_rows() {
                serves_all(&world, &scene, &row, door).await;
            }
        }
        world.stop().await;
    }
}
