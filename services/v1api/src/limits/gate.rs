//! The limits that a call has to pass, and what its answer says of them
//! (draft-ietf-httpapi-ratelimit-headers-10).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use chassis::http::ApiError;
use common::problem::Problem;

use super::broker::Meters;
use super::meter::{Meter, Take};
use super::{Limit, Period};

/// How long a call waits for the database where this process has no share yet.
const WAIT: Duration = Duration::from_secs(3);

/// The problem type that the draft registers.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

const POLICY_HEADER: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT_HEADER: HeaderName = HeaderName::from_static("ratelimit");

/// All limits of one caller of one service.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    gates: Vec<Gate>,
    policy: Option<HeaderValue>,
}

#[derive(Debug)]
struct Gate {
    /// What the policy is called.
    name: String,
    meter: Arc<Meter>,
}

/// What an answer says of its caller's limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    policy: Option<HeaderValue>,
    limit: Option<HeaderValue>,
}

/// Why a call doesn't pass.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The answer.
    pub(crate) error: ApiError,
    /// What it says beside.
    pub(crate) fields: Fields,
}

impl Gates {
    /// The limits of these subjects. `kind` tells apart whose a policy is: the user's own have the
    /// period's bare name.
    pub(crate) fn new<'a>(
        meters: &Meters,
        subjects: impl IntoIterator<Item = (String, String, &'a [Limit])>,
    ) -> Self {
        let mut gates = Vec::new();
        let mut policy = String::new();
        for (kind, subject, limits) in subjects {
            for limit in limits {
                let name = format!("{kind}{}", limit.period.as_str());
                let separator = if policy.is_empty() { "" } else { ", " };
                // Writing to a text can't fail.
                let _written = write!(
                    policy,
                    "{separator}\"{name}\";q={};w={}",
                    limit.quota,
                    limit.period.seconds()
                );
                let meter = meters.get(&subject, limit);
                gates.push(Gate { name, meter });
            }
        }
        // Those without a database first: what they refuse needs no share.
        gates.sort_by_key(|gate| gate.meter.period != Period::Second);
        let policy = HeaderValue::from_str(&policy)
            .ok()
            .filter(|_| !gates.is_empty());
        Self { gates, policy }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.gates.is_empty()
    }

    /// Takes one from each limit, or nothing from any.
    pub(crate) async fn pass(&self, meters: &Meters) -> Result<Fields, Box<Refused>> {
        let mut taken: Vec<(i64, i64)> = Vec::with_capacity(self.gates.len());
        for gate in &self.gates {
            match take(meters, &gate.meter).await {
                Ok(one) => taken.push(one),
                Err(refusal) => {
                    for (gate, (_, window)) in self.gates.iter().zip(&taken) {
                        gate.meter.put_back(*window);
                    }
                    return Err(Box::new(self.refuse(gate, refusal)));
                }
            }
        }
        let now = meters.now();
        let mut text = String::with_capacity(32 * self.gates.len());
        for (gate, (left, _)) in self.gates.iter().zip(&taken) {
            item(&mut text, gate, *left, gate.meter.resets_in(now));
        }
        Ok(self.fields(&text))
    }

    fn refuse(&self, gate: &Gate, refusal: Refusal) -> Refused {
        let wait = match refusal {
            Refusal::Empty(wait) => wait,
            Refusal::Down => {
                let detail = "Quotas can't be checked at the moment";
                return Refused {
                    error: Problem::unavailable("quota_unavailable", detail).into(),
                    fields: Fields::default(),
                };
            }
        };
        let detail = format!(
            "The quota of {} calls a {} is used up",
            gate.meter.quota(),
            gate.meter.period.as_str()
        );
        let problem = Problem::new(429, "quota_exceeded", detail)
            .with_type(QUOTA_EXCEEDED)
            .with("violated-policies", vec![gate.name.clone()])
            .retry_after(u32::try_from(wait).unwrap_or(u32::MAX));
        let mut text = String::new();
        item(&mut text, gate, 0, wait);
        Refused {
            error: problem.into(),
            fields: self.fields(&text),
        }
    }

    fn fields(&self, limit: &str) -> Fields {
        Fields {
            policy: self.policy.clone(),
            limit: HeaderValue::from_str(limit).ok(),
        }
    }
}

impl Fields {
    /// Puts them on an answer, in the place of what an upstream says of limits of its own.
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
        if let (Some(policy), Some(limit)) = (&self.policy, &self.limit) {
            headers.insert(POLICY_HEADER, policy.clone());
            headers.insert(LIMIT_HEADER, limit.clone());
        }
    }
}

fn item(text: &mut String, gate: &Gate, left: i64, resets_in: i64) {
    let separator = if text.is_empty() { "" } else { ", " };
    // Writing to a text can't fail.
    let _written = write!(text, "{separator}\"{}\";r={left};t={resets_in}", gate.name);
}

enum Refusal {
    Empty(i64),
    Down,
}

/// Takes one from a meter: what is left, and the window that it was taken from. Only where there is no
/// share does this wait for the database, once for all who wait.
async fn take(meters: &Meters, meter: &Arc<Meter>) -> Result<(i64, i64), Refusal> {
    let waiting = async {
        loop {
            // Before the look: an answer that arrives after it is not to be missed.
            let settled = meter.settled();
            match meter.take(meters.now(), meters.lease()) {
                Take::Taken { left, low, window } => {
                    if low {
                        meters.request(meter);
                    }
                    return Ok((left, window));
                }
                Take::Empty { wait, look } => {
                    if look {
                        meters.request(meter);
                    }
                    return Err(Refusal::Empty(wait));
                }
                Take::Down => return Err(Refusal::Down),
                Take::Unknown => {
                    meters.request(meter);
                    if let Some(settled) = settled {
                        settled.await;
                    }
                }
            }
        }
    };
    // A future that is ready at once costs no timer.
    tokio::pin!(waiting);
    match futures_util::poll!(&mut waiting) {
        std::task::Poll::Ready(taken) => taken,
        std::task::Poll::Pending => tokio::time::timeout(WAIT, waiting)
            .await
            .unwrap_or(Err(Refusal::Down)),
    }
}
