//! Where attention finds its rows: plain or packed, in one piece or several.

use super::BLOCK;
use crate::packing::Packing;

/// Heads in a slice: values of a head's row lie side by side.
#[derive(Clone, Copy)]
pub struct Heads<'a> {
    pub data: &'a [f32],
    /// Distance between heads, and between rows of a head, in values.
    pub strides: [usize; 2],
}

impl<'a> Heads<'a> {
    pub(super) fn row(&self, head: usize, row: usize, width: usize) -> &'a [f32] {
        &self.data[head * self.strides[0] + row * self.strides[1]..][..width]
    }
}

/// Packed heads in a slice: records of a head's rows lie side by side.
#[derive(Clone, Copy)]
pub struct Records<'a> {
    pub data: &'a [u32],
    /// Distance between heads, in words.
    pub stride: usize,
    pub packing: &'a Packing,
}

/// Keys or values of some positions.
#[derive(Clone, Copy)]
pub enum Rows<'a> {
    Plain(Heads<'a>),
    Packed(Records<'a>),
}

/// Keys and values of `length` positions, that follow those before.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    pub keys: Rows<'a>,
    pub values: Rows<'a>,
    pub length: usize,
}

impl Rows<'_> {
    /// `count` rows of a head from `first` on, and the distance between them.
    /// Packed ones are unpacked into `room`.
    pub(super) fn block<'r>(
        &'r self,
        [head, first, count]: [usize; 3],
        width: usize,
        room: &'r mut Vec<f32>,
    ) -> (&'r [f32], usize) {
        match self {
            Self::Plain(heads) => {
                let start = head * heads.strides[0] + first * heads.strides[1];
                (&heads.data[start..], heads.strides[1])
            }
            Self::Packed(records) => {
                room.resize(count * width, 0.0);
                records.unpack([head, first, count], room);
                (room, width)
            }
        }
    }

    /// Writes `count` rows of a head.
    fn copy(&self, [head, count]: [usize; 2], width: usize, out: &mut [f32]) {
        match self {
            Self::Plain(heads) => {
                for (row, out) in out.chunks_exact_mut(width).enumerate() {
                    out.copy_from_slice(heads.row(head, row, width));
                }
            }
            Self::Packed(records) => records.unpack([head, 0, count], out),
        }
    }
}

impl Records<'_> {
    fn unpack(&self, [head, first, count]: [usize; 3], out: &mut [f32]) {
        let words = self.packing.words();
        let records = &self.data[head * self.stride + first * words..][..count * words];
        self.packing.unpack_here(records, out);
    }
}

/// All segments in blocks of rows: the position of a block's first row, its
/// segment, and which row of it that is and how many follow.
pub(super) fn blocks<'a>(
    segments: &'a [Segment<'a>],
) -> impl Iterator<Item = (usize, &'a Segment<'a>, [usize; 2])> {
    let starts = segments.iter().scan(0, |end, segment| {
        *end += segment.length;
        Some(*end - segment.length)
    });
    starts.zip(segments).flat_map(|(start, segment)| {
        let rows = (0..segment.length).step_by(BLOCK);
        rows.map(move |first| {
            let count = BLOCK.min(segment.length - first);
            (start + first, segment, [first, count])
        })
    })
}

/// A head's rows of all parts, one after the other.
pub(super) fn joined<'a>(
    parts: impl Iterator<Item = (Rows<'a>, usize)>,
    head: usize,
    width: usize,
    out: &mut Vec<f32>,
) {
    for (rows, count) in parts {
        let start = out.len();
        out.resize(start + count * width, 0.0);
        rows.copy([head, count], width, &mut out[start..]);
    }
}
