//! account: users, the accounts they belong to, and the invites by which they come.

pub mod access;
pub mod accounts;
pub mod audit;
mod docs;
pub mod invites;
pub mod members;
pub mod routes;
mod schema;
pub mod settings;
pub mod state;
pub mod users;

use chassis::members::Members;
use chassis::{Assembly, Context, Service};

use settings::Settings;
use state::State;

/// The service's name.
pub const NAME: &str = "account";

/// The tables of the service.
#[must_use]
pub fn migrations() -> chassis::db::Migrations {
    chassis::migrations!(
        "../../migrations/account/postgres",
        "../../migrations/account/sqlite"
    )
}

/// The service.
#[must_use]
pub fn service() -> Service {
    Service::new(NAME, migrations(), assemble).section::<Settings>("accounts")
}

async fn assemble(cx: Context) -> anyhow::Result<Assembly> {
    let state = State {
        db: cx.db.clone(),
        clock: cx.clock.clone(),
        calls: cx.calls.clone(),
        settings: cx.settings.section("accounts")?,
    };
    let workers = users::events::workers(state.clone());
    Ok(Assembly::new()
        .workers(workers)
        .handlers(users::events::handlers())
        .data(state)
        .routes(routes::routes)
        .members(Members::new(members::source::Table(cx.db.clone())))
        .openapi(docs::document()))
}
