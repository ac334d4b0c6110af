//! The routes of the private listeners.

use testkit::on_both_backends;

use super::cells::served;
use super::policy::Row;
use super::public::{refuses_all, serves_all};
use super::scene::Scene;
use super::state::State;
use super::table::rows;
use super::world::{Door, World};

fn private_rows() -> Vec<Row> {
    rows().into_iter().filter(|row| row.private).collect()
}

on_both_backends! {
    async fn no_private_route_serves_anybody_but_its_callers(backend: Backend) {
        let world = World::start(&backend).await;
        let scene = Scene::set(&world, "a").await;
        let before = State::at_rest(&world.up.platform).await;
        for row in private_rows() {
            refuses_all(&world, &scene, &row, &[Door::Private], &before).await;
        }
        for row in private_rows() {
            serves_all(&world, &scene, &row, Door::Private).await;
        }
        world.stop().await;
    }

    async fn no_private_route_is_reached_from_outside_even_by_its_callers(backend: Backend) {
        let world = World::start(&backend).await;
        let scene = Scene::set(&world, "a").await;
        let before = State::at_rest(&world.up.platform).await;
        let all = rows();
        for row in private_rows() {
            let gateway = Row { service: "v1api", ..row };
            for (door, reached) in [(Door::Direct, row), (Door::Gateway, gateway)] {
                // What stands there under the same name is another route, with a row of its own.
                let other = reached.is_also_public_at(reached.service, &all)
                    || door == Door::Gateway && row.is_also_public_at(row.service, &all);
                if other {
                    continue;
                }
                for cell in served(&world, &scene, &row, Door::Private) {
                    let answer = world.ask(door, (&row, &scene), cell.token.as_deref(), cell.body).await;
                    let place = format!("{} ({door:?}) with {}", row.title(), cell.who);
                    assert_eq!(answer.status, 404, "{place}: {}", answer.text);
                    assert!(answer.text.contains("not_found"), "{place}: {}", answer.text);
                }
            }
        }
        let changes = before.difference(&State::of(&world.up.platform).await);
        assert!(changes.is_empty(), "{changes:#?}");
        world.stop().await;
    }

    async fn no_public_route_is_on_a_private_listener(backend: Backend) {
        let world = World::start(&backend).await;
        let scene = Scene::set(&world, "a").await;
        let all = rows();
        for row in all.iter().filter(|row| !row.private) {
            let twin = |other: &&Row| other.private && (other.service, other.path) == (row.service, row.path);
            if all.iter().find(twin).is_some() {
                continue;
            }
            let cell = &served(&world, &scene, row, Door::Direct)[0];
            let answer = world.ask(Door::Private, (row, &scene), cell.token.as_deref(), cell.body).await;
            assert_eq!(answer.status, 404, "{}: {}", row.title(), answer.text);
        }
        world.stop().await;
    }
}
