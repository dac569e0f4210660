//! The file of a page: a header, then keys and values layer by layer; behind
//! them, where the page has a snapshot, what recurrent layers carry on.
//!
//! All numbers are little-endian:
//!
//! | from | what |
//! |---|---|
//! | 0 | `MQKVPAGE` |
//! | 8 | version, `u32` |
//! | 12 | CRC-32 of the page's part of the file without these four bytes |
//! | 16 | length of the page's part, and of the snapshot's behind it (0 if there is none), `u64` each |
//! | 32 | CRC-32 of the snapshot's part |
//! | 36 | number of layers of the snapshot, `u32` |
//! | 40 | hash of the page, then of its parent, 16 bytes each |
//! | 72 | number of tokens and of layers, `u32` each |
//! | 80 | the tokens, `u32` each |
//! | then | a layer: 0 if it keeps nothing, else 1, its keys and its values |
//! | then | a layer of the snapshot: 0 if it carries on nothing, else one more than it has states, and these |
//! | then | zeros up to a multiple of 64, then the elements of the keys and values; those of the states are the other part |
//!
//! A tensor in the header is its type (0 f32, 1 f16, 2 bf16, 3 u32: packed
//! rows), its number of dimensions, both of one byte, and its shape, `u32` each.
//!
//! Invariant: what [`decode`] returns is, but for one flaw in four thousand
//! million, what [`encode`] was given.

use mlx_rs::Dtype;

use crate::cache::{
    PageHash,
    image::{PageImage, Tensor, byte_count},
};

/// Raised with every change of the format.
pub const VERSION: u32 = 3;
const MAGIC: &[u8; 8] = b"MQKVPAGE";
/// Of the header, what is the same in all files.
pub const FIXED: usize = 80;
/// Elements begin at a multiple of this.
const ALIGN: usize = 64;
const MOST_DIMENSIONS: usize = 8;

/// Why a file is not the page that it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    #[error("it is not a page file, or one of another page")]
    Foreign,
    #[error("it was cut short")]
    Truncated,
    #[error("it has another version than {VERSION}")]
    Version,
    #[error("its checksum is wrong")]
    Checksum,
}

/// What the beginning of a file says of its parts, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    pub page: u64,
    /// 0 if there is no snapshot.
    pub states: u64,
}

fn code(dtype: Dtype) -> Option<u8> {
    match dtype {
        Dtype::Float32 => Some(0),
        Dtype::Float16 => Some(1),
        Dtype::Bfloat16 => Some(2),
        Dtype::Uint32 => Some(3),
        _ => None,
    }
}

fn dtype(code: u8) -> Option<(Dtype, usize)> {
    match code {
        0 => Some((Dtype::Float32, 4)),
        1 => Some((Dtype::Float16, 2)),
        2 => Some((Dtype::Bfloat16, 2)),
        3 => Some((Dtype::Uint32, 4)),
        _ => None,
    }
}

/// The header of a page's file; the elements follow it in the order of the
/// layers, those of the states last. `None` if a type cannot be stored.
pub fn encode(page: &PageImage<Vec<u8>>) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(4096);
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend([0; 4]);
    head.extend([0; 8]);
    head.extend(page.state_bytes().to_le_bytes());
    head.extend(checksum([], page.state_tensors()).to_le_bytes());
    let states = page.states.as_deref().unwrap_or_default();
    head.extend((states.len() as u32).to_le_bytes());
    head.extend(page.hash.0);
    head.extend(page.parent.0);
    head.extend((page.tokens.len() as u32).to_le_bytes());
    head.extend((page.layers.len() as u32).to_le_bytes());
    for token in &page.tokens {
        head.extend(token.to_le_bytes());
    }
    for layer in &page.layers {
        head.push(u8::from(layer.is_some()));
        for tensor in layer.iter().flatten() {
            describe(tensor, &mut head)?;
        }
    }
    for layer in states {
        let count = layer.as_ref().map_or(0, |states| states.len() + 1);
        head.push(u8::try_from(count).ok()?);
        for tensor in layer.iter().flatten() {
            describe(tensor, &mut head)?;
        }
    }
    head.resize(head.len().next_multiple_of(ALIGN), 0);
    let length = head.len() as u64 + byte_count(page.contents());
    head[16..24].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum([&head[..12], &head[16..]], page.contents());
    head[12..16].copy_from_slice(&checksum.to_le_bytes());
    Some(head)
}

fn describe(tensor: &Tensor<Vec<u8>>, head: &mut Vec<u8>) -> Option<()> {
    if tensor.shape.len() > MOST_DIMENSIONS {
        return None;
    }
    head.push(code(tensor.dtype)?);
    head.push(tensor.shape.len() as u8);
    for dim in &tensor.shape {
        head.extend(dim.to_le_bytes());
    }
    Some(())
}

fn checksum<'a, const N: usize>(
    head: [&[u8]; N],
    tensors: impl Iterator<Item = &'a Tensor<Vec<u8>>>,
) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    head.iter().for_each(|part| checksum.update(part));
    tensors.for_each(|tensor| checksum.update(&tensor.bytes));
    checksum.finalize()
}

/// What the first [`FIXED`] bytes of a file of the page `hash` say. They are
/// not proved by it: that takes [`decode`].
///
/// # Errors
/// When they are not those of such a file.
pub fn peek(start: &[u8], hash: PageHash) -> Result<Parts, Reject> {
    let parts = parts(start)?;
    match start[40..56] == hash.0 {
        true => Ok(parts),
        false => Err(Reject::Foreign),
    }
}

fn parts(file: &[u8]) -> Result<Parts, Reject> {
    let known = file.len().min(MAGIC.len());
    if file[..known] != MAGIC[..known] {
        return Err(Reject::Foreign);
    }
    // Older files may be shorter than what is looked at here.
    match number(file, 8) {
        Some(VERSION) if file.len() >= FIXED => {}
        Some(VERSION) | None => return Err(Reject::Truncated),
        Some(_) => return Err(Reject::Version),
    }
    let mut reader = Reader { file, at: 16 };
    let mut length = || reader.array().map(u64::from_le_bytes);
    let parts = length().zip(length());
    let (page, states) = parts.ok_or(Reject::Truncated)?;
    Ok(Parts { page, states })
}

/// Whether the checksums of a file are right, and where its page ends; `file`
/// is the whole of it or its page's part, without the states.
///
/// # Errors
/// What is wrong with the file.
pub fn verify(file: &[u8]) -> Result<usize, Reject> {
    let parts = parts(file)?;
    let length = file.len() as u64;
    // A file that lacks its end says so in its length.
    let whole = parts.page.saturating_add(parts.states);
    let wrong = match length < parts.page || (length > parts.page && length < whole) {
        true => Reject::Truncated,
        false => Reject::Checksum,
    };
    let end = usize::try_from(parts.page.min(length)).unwrap_or(file.len());
    let (page, states) = file.split_at(end.max(FIXED));
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&page[..12]);
    checksum.update(&page[16..]);
    if number(file, 12) != Some(checksum.finalize()) {
        return Err(wrong);
    }
    let alone = states.is_empty() && length == parts.page;
    if !alone && (length != whole || number(file, 32) != Some(crc32fast::hash(states))) {
        return Err(wrong);
    }
    Ok(page.len())
}

/// Reads the file of the page `hash`, which [`verify`] says ends at `end`.
///
/// # Errors
/// When it is as it was written, but not by this program.
pub fn image(file: &[u8], end: usize, hash: PageHash) -> Result<PageImage<&[u8]>, Reject> {
    let (page, states) = file.split_at_checked(end).ok_or(Reject::Truncated)?;
    match read(page, states) {
        Some(page) if page.hash == hash => Ok(page),
        _ => Err(Reject::Foreign),
    }
}

fn number(file: &[u8], at: usize) -> Option<u32> {
    let bytes = file.get(at..at + 4)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// Type and shape.
type Form = (u8, Vec<i32>);

struct Reader<'a> {
    file: &'a [u8],
    at: usize,
}

/// The page of a file that is known to be whole; without the states if these
/// are left away.
fn read<'a>(page: &'a [u8], states: &'a [u8]) -> Option<PageImage<&'a [u8]>> {
    let mut reader = Reader { file: page, at: 36 };
    let carriers = reader.u32()?;
    let hash = PageHash(reader.array()?);
    let parent = PageHash(reader.array()?);
    let (tokens, layers) = (reader.u32()?, reader.u32()?);
    let tokens = reader.take(tokens as usize * 4)?.chunks_exact(4);
    let tokens = tokens.filter_map(|t| t.try_into().ok().map(u32::from_le_bytes));
    let tokens = tokens.collect();
    let mut forms = Vec::new();
    for _ in 0..layers {
        forms.push(match reader.take(1)? {
            [0] => None,
            [1] => Some([reader.form()?, reader.form()?]),
            _ => return None,
        });
    }
    let mut state_forms = Vec::new();
    for _ in 0..carriers {
        let count = reader.take(1)?[0].checked_sub(1);
        let forms = |count| {
            (0..count)
                .map(|_| reader.form())
                .collect::<Option<Vec<_>>>()
        };
        state_forms.push(match count.map(forms) {
            None => None,
            Some(forms) => Some(forms?),
        });
    }
    reader.at = reader.at.next_multiple_of(ALIGN);
    let mut layers = Vec::with_capacity(forms.len());
    for layer in forms {
        layers.push(match layer {
            None => None,
            Some([keys, values]) => Some([reader.tensor(keys)?, reader.tensor(values)?]),
        });
    }
    if reader.at != page.len() {
        return None;
    }
    Some(PageImage {
        hash,
        parent,
        tokens,
        layers,
        states: match states.is_empty() {
            true => None,
            false => Some(read_states(states, state_forms)?),
        },
    })
}

type States<'a> = Vec<Option<Vec<Tensor<&'a [u8]>>>>;

fn read_states(part: &[u8], forms: Vec<Option<Vec<Form>>>) -> Option<States<'_>> {
    let mut reader = Reader { file: part, at: 0 };
    let mut states = Vec::with_capacity(forms.len());
    for layer in forms {
        states.push(match layer {
            None => None,
            Some(forms) => {
                let tensors = forms.into_iter().map(|form| reader.tensor(form));
                Some(tensors.collect::<Option<Vec<_>>>()?)
            }
        });
    }
    (reader.at == part.len()).then_some(states)
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.file.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn form(&mut self) -> Option<Form> {
        let [code, dimensions] = self.array()?;
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(i32::try_from(self.u32()?).ok()?);
        }
        Some((code, shape))
    }

    fn tensor(&mut self, (code, shape): Form) -> Option<Tensor<&'a [u8]>> {
        let (dtype, each) = dtype(code)?;
        let count = shape.iter().try_fold(each, |count, dim| {
            count.checked_mul(usize::try_from(*dim).ok()?)
        })?;
        Some(Tensor {
            dtype,
            shape,
            bytes: self.take(count)?,
        })
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
