//! The columns of the table and how they share the width.

use ratatui::text::Line;

use crate::tui::text::{pad_left, pad_right};

/// From this width on every column is shown.
const WIDE: usize = 104;
/// Cells of a bar.
pub(super) const BAR: usize = 10;

/// The widths of the columns; 0 leaves one out.
pub(super) struct Columns {
    pub name: usize,
    pub family: usize,
    pub parameters: usize,
    pub quantisation: usize,
    pub size: usize,
    pub fits: usize,
    pub place: usize,
}

impl Columns {
    pub fn new(width: usize) -> Self {
        let (family, fits, place) = if width >= WIDE {
            (9, BAR + 14, 18)
        } else {
            (0, 13, 16)
        };
        let mut columns = Self {
            name: 0,
            family,
            parameters: 7,
            quantisation: 9,
            size: 8,
            fits,
            place,
        };
        if width < 72 {
            (columns.quantisation, columns.fits) = (0, 0);
        }
        let taken = columns
            .parts()
            .iter()
            .skip(1)
            .filter(|w| **w > 0)
            .map(|w| w + 1)
            .sum::<usize>();
        columns.name = width.saturating_sub(taken + 3);
        columns
    }

    fn parts(&self) -> [usize; 7] {
        [
            self.name,
            self.family,
            self.parameters,
            self.quantisation,
            self.size,
            self.fits,
            self.place,
        ]
    }
}

pub(super) fn header(columns: &Columns) -> Line<'static> {
    let names = ["NAME", "FAMILY", "PARAMS", "QUANT", "SIZE", "FITS", "WHERE"];
    let right = [false, false, true, false, true, false, false];
    let mut text = String::from("   ");
    for ((name, width), right) in names.into_iter().zip(columns.parts()).zip(right) {
        if width > 0 {
            text += &if right {
                pad_left(name, width)
            } else {
                pad_right(name, width)
            };
            text.push(' ');
        }
    }
    Line::from(text)
}
