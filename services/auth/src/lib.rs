//! auth: who can authenticate, and the signing of every token.
//!
//! Identities belong to a realm and hold the actor types that they were granted. auth is the
//! one service that signs tokens; the others verify them by its public keys and its feed of
//! revocations.

pub mod admin;
pub mod clients;
pub mod device;
mod docs;
pub mod emailpass;
mod first_admin;
pub mod github;
pub mod identities;
pub mod import;
pub mod keys;
pub mod keystone;
pub mod mail;
pub mod medusa;
pub mod mfa;
pub mod oauth;
pub mod pacing;
pub mod page;
pub mod password;
pub mod providers;
pub mod public;
pub mod realms;
pub mod recovery;
pub mod refresh;
pub mod requests;
pub mod revocation;
pub mod routes;
mod schema;
pub mod self_service;
pub mod sessions;
pub mod settings;
pub mod sign_in;
pub mod state;
pub mod tokens;
pub mod verification;
pub mod verte;
mod worded;

use std::sync::Arc;
use std::time::Duration;

use chassis::auth::Verifier;
use chassis::events::{Handlers, Signals};
use chassis::settings::{GithubSettings, Named, PublicUrls, ServiceSettings, TokenSettings};
use chassis::{Assembly, Context, Service};
use common::event::{AccountEvent, GatewayEvent};
use common::time::Span;
use common::token::JwkSet;
use tokio_util::sync::CancellationToken;

use github::Github;
use keys::KeyStore;
use keystone::CipherKey;
use mail::{Links, MailSettings, Mailer, Templates, Ways, Writer};
use password::Hasher;
use public::PublicPlace;
use sessions::Cookies;
use settings::Settings;
use state::State;
use tokens::{Issuer, Secrets};

/// The service's name.
pub const NAME: &str = "auth";

/// How often what has ended is removed.
const HOUSEKEEPING: Duration = Duration::from_mins(1);

/// How often keys are looked at, should the hint that they have changed get lost.
const LOOK_AT_KEYS: Duration = Duration::from_secs(5);

/// The tables of the service.
#[must_use]
pub fn migrations() -> chassis::db::Migrations {
    chassis::migrations!(
        "../../migrations/auth/postgres",
        "../../migrations/auth/sqlite"
    )
}

/// The service.
#[must_use]
pub fn service() -> Service {
    Service::new(NAME, migrations(), assemble)
        .issues_tokens()
        .section::<Settings>(NAME)
        .section::<MailSettings>("mail")
        .section::<GithubSettings>("github")
}

async fn assemble(cx: Context) -> anyhow::Result<Assembly> {
    let settings: Settings = cx.settings.section(NAME)?;
    let state = state(&cx, &settings).await?;
    let letters = letters(&cx, &state)?;
    first_admin::ensure(&state, &settings, &cx.data_dir).await?;
    cx.verifier.set_keys(&state.keys.current().public);
    let reloaded = Arc::clone(&state.keys);
    cx.verifier
        .set_reload(move || reload(Arc::clone(&reloaded)));
    let verifier = cx.verifier.clone();
    let signals = cx.signals.clone();
    let kept = state.clone();
    let keys = (Arc::clone(&state.keys), verifier.clone());
    Ok(Assembly::new()
        .data(state)
        .routes(routes::routes)
        .handlers(handlers())
        .feeds(&[revocation::FEED])
        .openapi(docs::document())
        .task("letters", move |shutdown| letters.run(shutdown))
        .task("signing keys", move |shutdown| {
            follow_keys(keys.0, keys.1, signals, shutdown)
        })
        .task("housekeeping", move |shutdown| keep_house(kept, shutdown)))
}

/// The public keys as they are now; none where they can't be read.
async fn reload(keys: Arc<KeyStore>) -> Option<JwkSet> {
    match keys.refresh().await {
        Ok(_) => Some(keys.current().public.clone()),
        Err(error) => {
            tracing::warn!(error = %error, "the signing keys could not be looked at");
            None
        }
    }
}

/// Lets keys take their turns, and takes those of other replicas over.
async fn follow_keys(
    keys: Arc<KeyStore>,
    verifier: Verifier,
    signals: Signals,
    shutdown: CancellationToken,
) {
    let mut hints = signals.subscribe();
    while !shutdown.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(LOOK_AT_KEYS) => {}
            () = hints.about(keys::SIGNAL) => {}
            () = shutdown.cancelled() => break,
        }
        if let Some(set) = reload(Arc::clone(&keys)).await {
            verifier.set_keys(&set);
        }
    }
}

async fn state(cx: &Context, settings: &Settings) -> anyhow::Result<State> {
    let rules = keys::Rules {
        algorithm: settings.algorithm,
        lifetime: span(settings.key_lifetime),
        overlap: span(settings.key_overlap),
    };
    let place = keys::Place {
        db: cx.db.clone(),
        sealer: cx.sealer.clone(),
        clock: cx.clock.clone(),
        signals: cx.signals.clone(),
    };
    let keys = Arc::new(KeyStore::open(place, rules).await?);
    let issuer = Issuer {
        keys: Arc::clone(&keys),
        clock: cx.clock.clone(),
        name: cx.settings.section::<TokenSettings>("tokens")?.issuer,
        access_lifetime: span(settings.access_lifetime),
        session_max_age: span(settings.session_max_age),
    };
    let hashing = &settings.hashing;
    let place = PublicPlace::new(
        PublicUrls::read(&cx.settings)?,
        cx.settings.section("cors")?,
    );
    Ok(State {
        cookies: Cookies {
            secure: place.is_secure(),
            domain: settings.cookie_domain.clone(),
        },
        db: cx.db.clone(),
        clock: cx.clock.clone(),
        calls: cx.calls.clone(),
        keys,
        issuer,
        hasher: Hasher::new(
            hashing.concurrency,
            hashing.queue,
            hashing.cost(),
            tokio::runtime::Handle::current(),
        )?,
        rules: settings.password.rules(),
        clients: clients::Lifetimes {
            session: span(settings.clients.lifetime),
            password_reset: span(settings.clients.reset_lifetime),
        },
        sealer: cx.sealer.clone(),
        mail: Mailer::new(cx.sealer.clone()),
        verify_email: settings.verify_email,
        secrets: Secrets::new(cx.settings.section::<Named<ServiceSettings>>("services")?),
        providers: settings.providers.clone(),
        github: Arc::new(Github::new(cx.settings.section("github")?)?),
        cipher: Arc::new(CipherKey::open(&cx.db, &cx.sealer, cx.clock.now()).await?),
        place: Arc::new(place),
    })
}

/// What carries letters out. A template that can't be used stops the start.
fn letters(cx: &Context, state: &State) -> anyhow::Result<mail::Worker> {
    let settings: MailSettings = cx.settings.section("mail")?;
    let public_url = state.place.urls.platform();
    let platform = public_url.host_str().unwrap_or("localhost").to_owned();
    let from = match &settings.from {
        Some(from) => from.parse()?,
        // Such mail stays on this machine.
        None => "Slipway <no-reply@localhost>".parse()?,
    };
    let writer = Writer {
        templates: Templates::load(settings.templates.as_deref())?,
        links: Links::new(&settings, public_url),
        from,
        platform: platform.clone(),
    };
    let ways = Ways::new(&settings, &platform, &cx.data_dir)?;
    Ok(mail::Worker::new(state, writer, ways))
}

fn span(duration: chassis::settings::Duration) -> Span {
    Span::seconds(duration.as_secs())
}

fn handlers() -> Handlers {
    Handlers::new()
        .on::<AccountEvent>("identities", identities::events::on_account_event)
        .on::<AccountEvent>("memberships", chassis::members::handle)
        .on::<GatewayEvent>("revocations", revocation::on_gateway_event)
}

async fn keep_house(state: State, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    ticks.tick().await;
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = state.clock.now();
        let clean_up = move |db: &mut chassis::db::Db| {
            realms::store::clean_up(db, now)?;
            clients::store::clean_up(db, now)?;
            mail::clean_up(db, now)?;
            verification::clean_up(db, now)?;
            requests::clean_up(db, now)?;
            refresh::clean_up(db, now)?;
            sessions::clean_up(db, now)?;
            mfa::clean_up(db, now)?;
            pacing::clean_up(db, now)
        };
        if let Err(error) = state.db.write(clean_up).await {
            tracing::warn!(error = %error, "what has ended could not be removed");
        }
    }
}
