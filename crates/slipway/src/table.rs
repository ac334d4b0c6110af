//! Tables of plain text.

use crate::output::Style;

/// Rows of cells under a heading; each column is as wide as its widest cell.
#[derive(Clone, Debug)]
pub(crate) struct Table<const N: usize> {
    heading: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    pub(crate) fn new(heading: [&'static str; N]) -> Self {
        Self {
            heading,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// The table's lines, without white space at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let heading = self.heading.map(str::to_owned);
        let all = || std::iter::once(&heading).chain(&self.rows);
        let mut widths = [0; N];
        for row in all() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        all().map(|row| aligned(row, &widths)).collect()
    }

    /// The same, with the heading set off where the style has a way to.
    pub(crate) fn styled_lines(&self, style: Style) -> Vec<String> {
        let mut lines = self.lines();
        if let Some(heading) = lines.first_mut() {
            *heading = style.bold(heading);
        }
        lines
    }
}

fn aligned<const N: usize>(row: &[String; N], widths: &[usize; N]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(cell);
        let padding = (width + 2).saturating_sub(cell.chars().count());
        line.extend(std::iter::repeat_n(' ', padding));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["APP", "STATUS"]);
        table.row(["größe".into(), "live".into()]);
        table.row(["a".into(), String::new()]);
        assert_eq!(table.lines(), ["APP    STATUS", "größe  live", "a"]);
    }
}
