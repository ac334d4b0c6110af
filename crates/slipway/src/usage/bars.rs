//! Bars of plain text.

use super::{Bar, grouped};
use crate::output::Style;

/// How many characters the longest bar has.
const WIDTH: u64 = 40;
/// A character of a bar in eighths, from the left.
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A line for each bar: its name, itself, what it stands for.
pub(super) fn lines(bars: &[Bar], style: Style) -> Vec<String> {
    let longest = bars.iter().map(|bar| bar.calls).max().unwrap_or_default();
    let width = |text: fn(&Bar) -> String| {
        let widths = bars.iter().map(|bar| text(bar).chars().count());
        widths.max().unwrap_or_default()
    };
    let (name_width, calls_width) = (
        width(|bar| bar.name.clone()),
        width(|bar| grouped(bar.calls)),
    );
    let line = |bar: &Bar| {
        let mut line = format!(
            "{:name_width$}  {}  {:>calls_width$}",
            bar.name,
            style.green(&drawn(bar.calls, longest)),
            grouped(bar.calls),
        );
        if bar.errors > 0 {
            let errors = format!("  {} refused or failed", grouped(bar.errors));
            line.push_str(&style.red(&errors));
        }
        line
    };
    bars.iter().map(line).collect()
}

/// A bar, with blanks up to the longest one's end.
fn drawn(calls: u64, longest: u64) -> String {
    let eighths = (u128::from(calls) * u128::from(WIDTH) * 8).div_ceil(u128::from(longest.max(1)));
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX);
    let mut bar = "█".repeat(eighths / 8);
    bar.extend(EIGHTHS.get(eighths % 8).filter(|_| eighths % 8 > 0));
    let blanks = usize::try_from(WIDTH).unwrap_or_default();
    format!("{bar:blanks$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_numbers_and_whatever_was_called_has_one() {
        let bar = |name: &str, calls, errors| Bar {
            name: name.into(),
            calls,
            errors,
        };
        let lines = lines(
            &[bar("größe", 10_000, 1), bar("b", 5_000, 0), bar("c", 1, 0)],
            Style::plain(),
        );
        assert_eq!(
            lines,
            [
                format!("größe  {}  10,000  1 refused or failed", "█".repeat(40)),
                format!("b      {}{}   5,000", "█".repeat(20), " ".repeat(20)),
                format!("c      ▏{}       1", " ".repeat(39)),
            ]
        );
    }
}
