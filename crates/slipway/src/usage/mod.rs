//! `slipway usage`: how often one has called what, as bars in the terminal or as a picture.

mod bars;
mod glyphs;
mod plot;

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::Value;

use crate::api::UsageQuestion;
use crate::cli::{UsageArgs, UsageBy};
use crate::output::{self, Style};
use crate::sign_in;

/// A bar: what it stands for, and how long it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bar {
    name: String,
    calls: u64,
    /// Of these, how many were refused or failed.
    errors: u64,
}

/// Shows the caller's usage, or for an operator anybody's.
pub(crate) async fn run(arguments: UsageArgs) -> anyhow::Result<ExitCode> {
    let api = match &arguments.user {
        Some(_) => sign_in::admin(&arguments.platform).await?,
        None => sign_in::person(&arguments.platform).await?.api,
    };
    let question = UsageQuestion {
        from: arguments.from,
        to: arguments.to,
        group_by: arguments.by.name(),
        user: arguments.user,
    };
    let rows = api.all_usage(&question).await?;
    if arguments.json {
        for row in &rows {
            output::json(row)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let bars = top(bars(&rows, arguments.by), arguments.by, arguments.limit);
    if let Some(file) = &arguments.plot {
        plot::write(&bars, title(arguments.by), file)?;
        output::note(format_args!("{} is written.", file.display()));
    } else if bars.is_empty() {
        output::note("Nothing was called in this time.");
    } else {
        for line in bars::lines(&bars, Style::result()) {
            output::line(line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn title(by: UsageBy) -> &'static str {
    match by {
        UsageBy::Endpoint => "Calls by endpoint",
        UsageBy::Key => "Calls by key",
        UsageBy::Day => "Calls by day",
    }
}

/// One bar for each name, in the names' order.
fn bars(rows: &[Value], by: UsageBy) -> Vec<Bar> {
    let mut bars: BTreeMap<String, Bar> = BTreeMap::new();
    for row in rows {
        let text = |field: &str| row.get(field).and_then(Value::as_str);
        let number = |field: &str| row.get(field).and_then(Value::as_u64).unwrap_or_default();
        let name = match by {
            UsageBy::Endpoint => {
                let parts =
                    ["service", "method", "endpoint"].map(|field| text(field).unwrap_or("-"));
                parts.join(" ")
            }
            UsageBy::Key => text("key_id").unwrap_or("without a key").to_owned(),
            UsageBy::Day => text("day").unwrap_or_default().to_owned(),
        };
        let bar = bars.entry(name.clone()).or_default();
        bar.name = name;
        bar.calls += number("count");
        if text("status_class").is_some_and(|class| class.starts_with(['4', '5'])) {
            bar.errors += number("count");
        }
    }
    bars.into_values().collect()
}

/// The longest bars first, or the latest days in their order; what is left out is one bar, the last.
fn top(mut bars: Vec<Bar>, by: UsageBy, limit: usize) -> Vec<Bar> {
    let left_out = bars.len().saturating_sub(limit);
    let rest = if by == UsageBy::Day {
        bars.drain(..left_out).collect()
    } else {
        bars.sort_by(|one, other| other.calls.cmp(&one.calls).then(one.name.cmp(&other.name)));
        bars.split_off(bars.len() - left_out)
    };
    if left_out > 0 {
        bars.push(Bar {
            name: format!("{left_out} more"),
            calls: rest.iter().map(|bar| bar.calls).sum(),
            errors: rest.iter().map(|bar| bar.errors).sum(),
        });
    }
    bars
}

/// A number as people read it: `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows() -> Vec<Value> {
        let row = |endpoint: &str, class: &str, day: &str, count: u64| {
            json!({ "service": "shop", "method": "GET", "endpoint": endpoint, "status_class": class,
                "day": day, "key_id": null, "count": count })
        };
        vec![
            row("/a", "2xx", "2026-11-02", 5),
            row("/a", "5xx", "2026-11-01", 1),
            row("/b", "2xx", "2026-11-01", 9),
            row("/c", "4xx", "2026-11-03", 2),
        ]
    }

    fn told(bars: &[Bar]) -> Vec<(&str, u64, u64)> {
        let bars = bars.iter();
        bars.map(|bar| (bar.name.as_str(), bar.calls, bar.errors))
            .collect()
    }

    #[test]
    fn endpoints_come_together_over_their_statuses_and_the_busiest_is_first() {
        let bars = top(bars(&rows(), UsageBy::Endpoint), UsageBy::Endpoint, 2);
        assert_eq!(
            told(&bars),
            [
                ("shop GET /b", 9, 0),
                ("shop GET /a", 6, 1),
                ("1 more", 2, 2)
            ]
        );
    }

    #[test]
    fn days_stand_in_their_order_and_the_oldest_are_left_out() {
        let bars = top(bars(&rows(), UsageBy::Day), UsageBy::Day, 2);
        assert_eq!(
            told(&bars),
            [
                ("2026-11-02", 5, 0),
                ("2026-11-03", 2, 2),
                ("1 more", 10, 1)
            ]
        );
        let by_key = super::bars(&rows(), UsageBy::Key);
        assert_eq!(told(&by_key), [("without a key", 17, 3)]);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
