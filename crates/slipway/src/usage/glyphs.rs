//! Letters for pictures made of pixels, so that no font has to be on the machine.

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts as _};
use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingAreaErrorKind, DrawingBackend, RGBColor, Rectangle};
use plotters::style::Color as _;

/// How many pixels a dot of a letter is wide and high.
const DOT: i32 = 2;
/// How wide and high a letter is.
pub(super) const LETTER: i32 = 8 * DOT;

/// Writes a line of text, its upper left corner here.
pub(super) fn write<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    text: &str,
    (left, top): (i32, i32),
    colour: RGBColor,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let letters = text.chars().map(|letter| {
        BASIC_FONTS
            .get(letter)
            .or_else(|| LATIN_FONTS.get(letter))
            .or_else(|| BASIC_FONTS.get('?'))
            .unwrap_or_default()
    });
    let mut x = left;
    for letter in letters {
        let mut y = top;
        for row in letter {
            for (column, at) in (0..8).map(|column| (column, x + column * DOT)) {
                if (row >> column) & 1 == 1 {
                    // What is filled ends before its second corner.
                    let dot = [(at, y), (at + DOT, y + DOT)];
                    area.draw(&Rectangle::new(dot, colour.filled()))?;
                }
            }
            y += DOT;
        }
        x += LETTER;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use plotters::prelude::{BitMapBackend, IntoDrawingArea as _, WHITE};
    use plotters::style::BLACK;

    use super::*;

    /// How many pixels of a text are dark.
    fn dark(text: &str) -> u32 {
        let mut pixels = vec![0; 3 * 64 * 16];
        {
            let area = BitMapBackend::with_buffer(&mut pixels, (64, 16)).into_drawing_area();
            area.fill(&WHITE).unwrap();
            write(&area, text, (0, 0), BLACK).unwrap();
        }
        let dark = pixels.chunks(3).filter(|pixel| pixel[0] == 0);
        u32::try_from(dark.count()).unwrap()
    }

    #[test]
    fn letters_are_drawn_whole_and_unknown_ones_as_a_question() {
        let dots: u32 = BASIC_FONTS
            .get('I')
            .unwrap()
            .iter()
            .map(|row| row.count_ones())
            .sum();
        assert_eq!(dark("I"), dots * 4);
        assert_eq!(dark("II"), dots * 8);
        assert_eq!(dark("漢"), dark("?"));
        assert_ne!(dark("é"), dark("?"));
        assert_eq!(dark(" "), 0);
    }
}
