//! How a gateway finds out, without a call, whether an instance of a service is well.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest path, in bytes.
const LONGEST_PATH: usize = 256;
/// The longest time between two checks, in seconds.
const LONGEST_INTERVAL: u32 = 300;
/// The longest that one may take, in seconds.
const LONGEST_TIMEOUT: u32 = 30;
/// The most checks in a row.
const MOST_IN_A_ROW: u32 = 20;

/// A question that each instance is asked again and again: `GET` of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// What is asked for: a path, with a query if there is one.
    pub path: String,
    /// Seconds from one check of an instance to the next, 1 to 300; 10 unless told.
    #[serde(default = "interval")]
    pub interval: u32,
    /// For how many seconds the head of an answer is waited for, 1 to 30 and no more than the interval;
    /// 2, or the interval if that is less, unless told.
    #[serde(default)]
    pub timeout: Option<u32>,
    /// How many checks in a row an unhealthy instance has to pass before it gets calls again, 1 to 20;
    /// 2 unless told.
    #[serde(default = "healthy_after")]
    pub healthy_after: u32,
    /// How many in a row an instance has to fail before it gets no more, 1 to 20; 3 unless told.
    #[serde(default = "unhealthy_after")]
    pub unhealthy_after: u32,
    /// The status of an instance that is well; any 2xx unless told.
    #[serde(default)]
    pub status: Option<u16>,
}

fn interval() -> u32 {
    10
}

fn healthy_after() -> u32 {
    2
}

fn unhealthy_after() -> u32 {
    3
}

impl HealthCheck {
    /// For how many seconds the head of an answer is waited for.
    #[must_use]
    pub fn patience(&self) -> u32 {
        self.timeout.unwrap_or_else(|| self.interval.min(2))
    }

    /// Which field is wrong, and what is.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if !is_path(&self.path) {
            return Err(("path", "must be a path such as /healthz"));
        }
        if !(1..=LONGEST_INTERVAL).contains(&self.interval) {
            return Err(("interval", "must be 1 to 300 seconds"));
        }
        if !(1..=LONGEST_TIMEOUT.min(self.interval)).contains(&self.patience()) {
            let message = "must be 1 to 30 seconds, and no more than the interval";
            return Err(("timeout", message));
        }
        for (field, count) in [
            ("healthy_after", self.healthy_after),
            ("unhealthy_after", self.unhealthy_after),
        ] {
            if !(1..=MOST_IN_A_ROW).contains(&count) {
                return Err((field, "must be 1 to 20"));
            }
        }
        if self
            .status
            .is_some_and(|status| !(200..=599).contains(&status))
        {
            return Err(("status", "must be 200 to 599"));
        }
        Ok(())
    }
}

/// Whether this can stand in a request's line as it is.
fn is_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"#\\\"<>^`{|}".contains(&byte);
    let (before_query, _) = path.split_once('?').unwrap_or((path, ""));
    let dotted = |segment: &str| matches!(segment, "." | "..");
    path.starts_with('/')
        && path.len() <= LONGEST_PATH
        && path.bytes().all(plain)
        && !before_query.split('/').any(dotted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: Value) -> Result<HealthCheck, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn a_path_is_enough() {
        let check = read(json!({ "path": "/healthz" })).unwrap();
        assert_eq!(check.check(), Ok(()));
        assert_eq!((check.interval, check.patience()), (10, 2));
        assert_eq!((check.healthy_after, check.unhealthy_after), (2, 3));
        let often = read(json!({ "path": "/up?full=1", "interval": 1 })).unwrap();
        assert_eq!((often.check(), often.patience()), (Ok(()), 1));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (field, value) in [
            ("path", json!("healthz")),
            ("path", json!("/a b")),
            ("path", json!("/a\r\nx: y")),
            ("path", json!("/a/../b")),
            ("path", json!("/a#b")),
            ("path", json!(format!("/{}", "a".repeat(LONGEST_PATH)))),
            ("interval", json!(0)),
            ("interval", json!(301)),
            ("timeout", json!(0)),
            ("timeout", json!(11)),
            ("healthy_after", json!(0)),
            ("unhealthy_after", json!(21)),
            ("status", json!(100)),
        ] {
            let mut check = json!({ "path": "/healthz" });
            check[field] = value;
            let wrong = read(check).unwrap().check().unwrap_err();
            assert_eq!(wrong.0, field);
        }
        assert!(read(json!({ "path": "/", "interval": "1s" })).is_err());
        assert!(read(json!({ "path": "/", "method": "POST" })).is_err());
        assert!(read(json!({})).is_err());
    }
}
