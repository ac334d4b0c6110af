//! Asks services for their OpenAPI documents.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chassis::outbound;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Published;
use super::templates::Templates;
use crate::table::Table;

/// How long a document may take, and how long it may be.
const TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST: usize = 2 * 1024 * 1024;
/// How many services are asked at once.
const AT_ONCE: usize = 4;
/// How many instances of one service are asked in turn, where the first ones say nothing.
const MOST_ASKED: usize = 3;
/// When a service that couldn't be reached is asked again, at the soonest.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// Keeps what services publish up to date.
pub(crate) struct Fetcher {
    client: reqwest::Client,
    routes: watch::Receiver<Arc<Table>>,
    published: watch::Sender<Arc<Published>>,
    period: Duration,
    asked: HashMap<Arc<str>, Asked>,
}

/// A service that has been asked, or is about to be.
struct Asked {
    origins: Vec<Arc<str>>,
    due: Instant,
    templates: Option<Arc<Templates>>,
}

/// What a service has answered.
enum Answer {
    /// These templates, or that it has none.
    Templates(Option<Templates>),
    /// Nothing.
    Silence,
}

impl Fetcher {
    /// Asks the services of these routes once in a period, and when they move; never if the period is
    /// zero.
    pub(crate) fn new(
        routes: watch::Receiver<Arc<Table>>,
        period: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client: outbound::configured(TIMEOUT)?,
            routes,
            published: watch::Sender::default(),
            period,
            asked: HashMap::new(),
        })
    }

    /// What is known, as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Published>> {
        self.published.subscribe()
    }

    /// Asks again and again until the service stops.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        if !self.period.is_zero() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.follow() => {}
            }
        }
    }

    async fn follow(&mut self) {
        loop {
            self.look();
            self.ask().await;
            let due = self.asked.values().map(|asked| asked.due).min();
            let due = due.unwrap_or_else(|| Instant::now() + self.period);
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                changed = self.routes.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Takes over which services there are, and where.
    fn look(&mut self) {
        let table = Arc::clone(&self.routes.borrow_and_update());
        let mut before = std::mem::take(&mut self.asked);
        for service in table.services() {
            let origins = table.origins(service);
            if origins.is_empty() {
                continue;
            }
            let known = before.remove(&service.label);
            let asked = match known {
                Some(known) if known.origins == origins => known,
                // Another release may have other endpoints; until it has told, the old ones hold.
                known => Asked {
                    origins: origins.to_vec(),
                    due: Instant::now(),
                    templates: known.and_then(|known| known.templates),
                },
            };
            self.asked.insert(Arc::clone(&service.label), asked);
        }
        self.publish();
    }

    /// Asks those whose time has come.
    async fn ask(&mut self) {
        let now = Instant::now();
        let due = self.asked.iter().filter(|(_, asked)| asked.due <= now);
        let due: Vec<_> = due
            .map(|(label, asked)| (Arc::clone(label), asked.origins.clone()))
            .collect();
        let mut answers = stream::iter(due)
            .map(|(label, origins)| {
                let client = self.client.clone();
                async move { (label, fetch_from_any(&client, &origins).await) }
            })
            .buffer_unordered(AT_ONCE);
        let mut told = Vec::new();
        while let Some(answer) = answers.next().await {
            told.push(answer);
        }
        drop(answers);
        for (label, answer) in told {
            let Some(asked) = self.asked.get_mut(&label) else {
                continue;
            };
            asked.due = Instant::now() + self.period;
            match answer {
                Answer::Templates(None) => asked.templates = None,
                Answer::Templates(Some(found)) => {
                    // The very same stays the same, so that nobody has to look.
                    if asked.templates.as_deref() != Some(&found) {
                        tracing::debug!(service = %label, "the service publishes its endpoints");
                        asked.templates = Some(Arc::new(found));
                    }
                }
                Answer::Silence => asked.due = Instant::now() + self.period.min(TRY_AGAIN),
            }
        }
        self.publish();
    }

    /// Tells the workers, if there is anything new.
    fn publish(&self) {
        let all = self.asked.iter();
        let published: Published = all
            .filter_map(|(label, asked)| {
                Some((Arc::clone(label), Arc::clone(asked.templates.as_ref()?)))
            })
            .collect();
        self.published.send_if_modified(|current| {
            let is_new = **current != published;
            if is_new {
                *current = Arc::new(published);
            }
            is_new
        });
    }
}

/// Asks the instances of a service one after the other, until one says something; not all,
/// for each may take its time.
async fn fetch_from_any(client: &reqwest::Client, origins: &[Arc<str>]) -> Answer {
    for origin in origins.iter().take(MOST_ASKED) {
        let answer = fetch(client, origin).await;
        if !matches!(answer, Answer::Silence) {
            return answer;
        }
    }
    Answer::Silence
}

async fn fetch(client: &reqwest::Client, origin: &str) -> Answer {
    let asking = client.get(format!("http://{origin}/openapi.json"));
    let Ok(response) = asking.header("accept", "application/json").send().await else {
        return Answer::Silence;
    };
    if !response.status().is_success() {
        return Answer::Templates(None);
    }
    match outbound::read_limited(response, LONGEST).await {
        Ok(Some(body)) => Answer::Templates(Templates::parse(&body)),
        Ok(None) => Answer::Templates(None),
        Err(_broken) => Answer::Silence,
    }
}
