//! The interface of the Keystone auth server: a program asks for a login, its person answers at
//! GitHub in her browser, and the program completes the login.
//!
//! The program alone knows the code it polls with. What stands in addresses is a public
//! reference; it is good for nothing without the browser that took the request on, and for
//! nobody without the person's click on a page of ours that shows who asks.

mod cipher;
pub mod complete;
mod errors;
pub mod http;
pub mod jwe;
pub mod pages;
pub mod public_key;
pub mod redirect;

use chassis::http::ClientAddress;

pub use cipher::{CipherError, CipherKey};

use crate::requests::{self, Ask, AskError, Code, Kind, LIFETIME, Request, UserCode};
use crate::state::State;

/// The cookie that binds a browser to a request.
const COOKIE: &str = "slipway-login";
/// How often another short code is tried where one is another request's already.
const TRIES: usize = 4;

/// Asks for a login; answers the request and the code that polls it.
pub async fn ask(state: &State, address: ClientAddress) -> Result<(Request, Code), AskError> {
    let now = state.clock.now();
    // Who has filled her room is told so without a writer being kept busy.
    state
        .db
        .read(move |db| requests::check_room(db, address, now))
        .await?;
    let poll = Code::random();
    for _ in 1..TRIES {
        match ask_once(state, &poll, address).await {
            Err(AskError::Db(error)) if chassis::db::is_unique_violation(&error) => {}
            asked => return Ok((asked?, poll)),
        }
    }
    Ok((ask_once(state, &poll, address).await?, poll))
}

async fn ask_once(state: &State, poll: &Code, address: ClientAddress) -> Result<Request, AskError> {
    let ask = Ask {
        kind: Kind::Login,
        poll: Some(poll.clone()),
        user_code: Some(UserCode::random()),
        browser: None,
        actor: None,
        identity: None,
        address,
        lifetime: LIFETIME,
    };
    let now = state.clock.now();
    state.db.write(move |db| requests::ask(db, &ask, now)).await
}

/// The path of the page where a person answers a request.
fn page_of(request: &Request) -> String {
    format!("/login-request/{}", request.reference)
}
