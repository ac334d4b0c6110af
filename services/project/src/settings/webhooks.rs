//! The settings of webhooks.
//!
//! | variable | meaning |
//! |---|---|
//! | `SLIPWAY_WEBHOOKS__ALLOWED_ADDRESSES` | inside addresses at which a webhook may be all the same |
//! | `SLIPWAY_WEBHOOKS__ALLOW_HTTP` | whether messages may go in plain text |
//! | `SLIPWAY_WEBHOOKS__TIMEOUT` | how long a receiver has to answer |
//! | `SLIPWAY_WEBHOOKS__RETRIES` | the pauses between attempts; the list's end is theirs |
//! | `SLIPWAY_WEBHOOKS__DISABLE_AFTER` | after how long without a success a webhook is sent nothing more |
//! | `SLIPWAY_WEBHOOKS__KEEP` | for how long what was sent is shown |

use std::net::IpAddr;

use chassis::settings::{Duration, List, Section};
use serde::{Deserialize, Serialize};

use crate::webhooks::deliveries::Schedule;

/// `[webhooks]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WebhooksSection {
    /// Inside addresses at which a webhook may be all the same.
    pub(crate) allowed_addresses: List,
    /// Whether messages may go in plain text.
    pub(crate) allow_http: bool,
    /// How long a receiver has to answer.
    pub(crate) timeout: Duration,
    /// The pauses between attempts.
    pub(crate) retries: List,
    /// After how long without a success a webhook is sent nothing more.
    pub(crate) disable_after: Duration,
    /// For how long what was sent is shown.
    pub(crate) keep: Duration,
}

/// The standard's example of a schedule: ten attempts in three days.
const RETRIES: [&str; 9] = ["5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"];

impl Default for WebhooksSection {
    fn default() -> Self {
        Self {
            allowed_addresses: List::default(),
            allow_http: false,
            timeout: Duration::secs(15),
            retries: List(RETRIES.map(str::to_owned).to_vec()),
            disable_after: Duration::secs(5 * 24 * 60 * 60),
            keep: Duration::secs(30 * 24 * 60 * 60),
        }
    }
}

/// The longest that a receiver may take, and the longest that anything else here may last.
const LONGEST_TIMEOUT: Duration = Duration::secs(60);
const LONGEST: Duration = Duration::secs(365 * 24 * 60 * 60);
/// The most attempts.
const MOST_RETRIES: usize = 50;

impl WebhooksSection {
    /// The inside addresses that a webhook may have.
    pub(crate) fn allowed(&self) -> anyhow::Result<Vec<IpAddr>> {
        let read = |text: &String| {
            text.parse()
                .map_err(|_why| anyhow::anyhow!("`allowed_addresses`: `{text}` is no address"))
        };
        self.allowed_addresses.0.iter().map(read).collect()
    }

    /// The pauses between attempts.
    pub(crate) fn schedule(&self) -> anyhow::Result<Schedule> {
        let read = |text: &String| match text.parse::<Duration>() {
            Ok(pause) if pause <= LONGEST => Ok(pause.0),
            Ok(_) => Err(anyhow::anyhow!("`retries`: a pause is a year at most")),
            Err(why) => Err(anyhow::anyhow!("`retries`: {why}")),
        };
        Ok(Schedule(
            self.retries.0.iter().map(read).collect::<Result<_, _>>()?,
        ))
    }
}

impl Section for WebhooksSection {
    fn validate(&self) -> Result<(), String> {
        let text = |error: anyhow::Error| error.to_string();
        self.allowed().map_err(text)?;
        self.schedule().map_err(text)?;
        if self.retries.0.len() > MOST_RETRIES {
            return Err(format!("`retries` has {MOST_RETRIES} pauses at most"));
        }
        if self.timeout.0.is_zero() || self.timeout > LONGEST_TIMEOUT {
            return Err("`timeout` must be more than 0, and a minute at most".into());
        }
        for (name, value) in [("disable_after", self.disable_after), ("keep", self.keep)] {
            if value > LONGEST {
                return Err(format!("`{name}` must be a year at most"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_the_standards_unless_told() {
        let Schedule(pauses) = WebhooksSection::default().schedule().unwrap();
        assert_eq!(pauses.len(), 9);
        let whole: std::time::Duration = pauses.iter().sum();
        assert_eq!(whole.as_secs(), 75 * 3_600 + 35 * 60 + 5);
    }

    #[test]
    fn a_setting_of_webhooks_that_cannot_be_is_refused() {
        let list = |text: &str| List(vec![text.into()]);
        let good = WebhooksSection::default();
        assert!(good.validate().is_ok());
        for wrong in [
            WebhooksSection {
                allowed_addresses: list("10.0.0.0/8"),
                ..good.clone()
            },
            WebhooksSection {
                retries: list("soon"),
                ..good.clone()
            },
            WebhooksSection {
                retries: List(vec!["1s".into(); 51]),
                ..good.clone()
            },
            WebhooksSection {
                timeout: Duration::secs(0),
                ..good.clone()
            },
            WebhooksSection {
                timeout: Duration::secs(61),
                ..good.clone()
            },
            WebhooksSection {
                keep: Duration::secs(u64::from(u32::MAX)),
                ..good
            },
        ] {
            assert!(wrong.validate().is_err(), "{wrong:?}");
        }
    }
}
