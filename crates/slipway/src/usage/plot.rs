//! The same bars as a picture.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Context as _;
use plotters::coord::Shift;
use plotters::prelude::{
    BitMapBackend, DrawingArea, DrawingAreaErrorKind, DrawingBackend, IntoDrawingArea as _,
    IntoFont as _, RGBColor, Rectangle, SVGBackend, Text, WHITE,
};
use plotters::style::Color as _;

use super::glyphs::{self, LETTER};
use super::{Bar, grouped};

/// The size of things, in pixels.
const WIDTH: i32 = 1_200;
const MARGIN: i32 = 32;
const ROW: i32 = 34;
const HEADING: i32 = 3 * MARGIN;
/// The most letters of a name, and room for the numbers behind the bars.
const LONGEST_NAME: usize = 36;
const NUMBERS: i32 = 12 * LETTER;

const INK: RGBColor = RGBColor(33, 37, 41);
const GOOD: RGBColor = RGBColor(47, 133, 90);
const BAD: RGBColor = RGBColor(197, 48, 48);
const LINE: RGBColor = RGBColor(222, 226, 230);

/// How letters come into a picture.
#[derive(Clone, Copy)]
enum Letters {
    /// As text, drawn by whoever shows it.
    Text,
    /// As pixels of our own.
    Pixels,
}

/// Writes a picture, of the kind that the file's name says.
pub(super) fn write(bars: &[Bar], title: &str, file: &Path) -> anyhow::Result<()> {
    let rows = i32::try_from(bars.len()).unwrap_or(i32::MAX / ROW).max(1);
    let height = HEADING + rows * ROW + MARGIN;
    let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
    let extension = file.extension().map(OsStr::to_ascii_lowercase);
    let wrote = match extension.as_deref().and_then(|kind| kind.to_str()) {
        Some("svg") => {
            let area = SVGBackend::new(file, size).into_drawing_area();
            draw(&area, bars, title, Letters::Text).map_err(|error| error.to_string())
        }
        Some("png") => {
            let area = BitMapBackend::new(file, size).into_drawing_area();
            draw(&area, bars, title, Letters::Pixels).map_err(|error| error.to_string())
        }
        _ => anyhow::bail!("`{}`: a plot is an .svg or a .png file", file.display()),
    };
    wrote
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("{} can't be written", file.display()))
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    bars: &[Bar],
    title: &str,
    letters: Letters,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    area.fill(&WHITE)?;
    let all: u64 = bars.iter().map(|bar| bar.calls).sum();
    let heading = format!("{title}: {}", grouped(all));
    label(area, &heading, (MARGIN, MARGIN), letters)?;
    let names = bars.iter().map(|bar| bar.name.chars().count());
    let widest = names.max().unwrap_or_default().min(LONGEST_NAME);
    let left = MARGIN + (i32::try_from(widest).unwrap_or_default() + 1) * LETTER;
    let room = (WIDTH - MARGIN - NUMBERS - left).max(1);
    let longest = bars.iter().map(|bar| bar.calls).max().unwrap_or_default();
    let length = |calls: u64| {
        let pixels = u128::from(calls) * u128::from(room.unsigned_abs());
        let pixels = pixels.div_ceil(u128::from(longest.max(1)));
        i32::try_from(pixels).unwrap_or(room)
    };
    let bottom = HEADING + i32::try_from(bars.len()).unwrap_or_default() * ROW;
    for quarter in 0..=4 {
        let x = left + room * quarter / 4;
        area.draw(&Rectangle::new(
            [(x, HEADING - 8), (x + 1, bottom)],
            LINE.filled(),
        ))?;
    }
    for (bar, top) in bars
        .iter()
        .zip((HEADING..).step_by(ROW.unsigned_abs() as usize))
    {
        let text_top = top + (ROW - LETTER) / 2;
        label(area, &shortened(&bar.name), (MARGIN, text_top), letters)?;
        let end = left + length(bar.calls);
        let shape = |from, to| [(from, top + 5), (to, top + ROW - 5)];
        area.draw(&Rectangle::new(shape(left, end), GOOD.filled()))?;
        if bar.errors > 0 {
            let start = end - length(bar.errors);
            area.draw(&Rectangle::new(shape(start, end), BAD.filled()))?;
        }
        label(area, &grouped(bar.calls), (end + LETTER, text_top), letters)?;
    }
    area.present()
}

fn label<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    text: &str,
    place: (i32, i32),
    letters: Letters,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    match letters {
        Letters::Text => {
            let font = ("monospace", f64::from(LETTER) * 1.6)
                .into_font()
                .color(&INK);
            area.draw(&Text::new(text.to_owned(), place, font))
        }
        Letters::Pixels => glyphs::write(area, text, place, INK),
    }
}

/// A name that fits beside the bars; its end tells more than its beginning.
fn shortened(name: &str) -> String {
    let length = name.chars().count();
    if length <= LONGEST_NAME {
        return name.to_owned();
    }
    let end: String = name.chars().skip(length + 2 - LONGEST_NAME).collect();
    format!("..{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars() -> Vec<Bar> {
        let bar = |name: &str, calls, errors| Bar {
            name: name.into(),
            calls,
            errors,
        };
        vec![
            bar("shop GET /products/:id", 12_345, 0),
            bar("shop POST /orders <&>", 6_000, 2_000),
            bar(&"ž".repeat(60), 1, 0),
        ]
    }

    #[test]
    fn a_picture_is_of_the_kind_that_its_name_says() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        write(&bars(), "Calls by endpoint", &file("x.svg")).unwrap();
        let svg = std::fs::read_to_string(file("x.svg")).unwrap();
        assert!(
            svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
            "{svg}"
        );
        for text in [
            "Calls by endpoint: 18,346",
            "shop GET /products/:id",
            "12,345",
            "&lt;&amp;&gt;",
        ] {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        assert!(!svg.contains("width=\"0\""), "{svg}");
        write(&bars(), "Calls by endpoint", &file("x.PNG")).unwrap();
        let png = std::fs::read(file("x.PNG")).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.len() > 1_000);
        write(&[], "Calls by day", &file("empty.png")).unwrap();
        let error = write(&bars(), "", &file("x.pdf")).unwrap_err().to_string();
        assert!(error.contains(".svg") && error.contains(".png"), "{error}");
        let error = write(&bars(), "", &file("nowhere/x.svg")).unwrap_err();
        assert!(error.to_string().contains("can't be written"), "{error}");
    }

    #[test]
    fn a_long_name_keeps_its_end() {
        let name = format!("{}/the/end", "x".repeat(60));
        let short = shortened(&name);
        assert_eq!(short.chars().count(), LONGEST_NAME);
        assert!(
            short.starts_with("..x") && short.ends_with("/the/end"),
            "{short}"
        );
    }
}
