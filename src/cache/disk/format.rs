//! The file of a page: a header, then keys and values layer by layer.
//!
//! All numbers are little-endian:
//!
//! | from | what |
//! |---|---|
//! | 0 | `MQKVPAGE` |
//! | 8 | version, `u32` |
//! | 12 | CRC-32 of the whole file without these four bytes |
//! | 16 | length of the file, `u64` |
//! | 24 | hash of the page, then of its parent, 16 bytes each |
//! | 56 | number of tokens and of layers, `u32` each |
//! | 64 | the tokens, `u32` each |
//! | then | a layer: 0 if it keeps nothing, else 1 and for keys and for values the type (0 f32, 1 f16, 2 bf16, 3 u32: packed rows) and four `u32` of shape |
//! | then | zeros up to a multiple of 64, then the elements |
//!
//! Invariant: what [`decode`] returns is, but for one flaw in four thousand
//! million, what [`encode`] was given.

use mlx_rs::Dtype;

use crate::cache::PageHash;

/// Raised with every change of the format.
pub const VERSION: u32 = 2;
const MAGIC: &[u8; 8] = b"MQKVPAGE";
const FIXED: usize = 64;
/// Elements begin at a multiple of this.
const ALIGN: usize = 64;

/// Keys or values of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<B> {
    pub dtype: Dtype,
    pub shape: [i32; 4],
    pub bytes: B,
}

/// A page on its way to the disk, or from it: `B` is `Vec<u8>` or `&[u8]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PageImage<B> {
    pub hash: PageHash,
    pub parent: PageHash,
    pub tokens: Vec<u32>,
    pub layers: Vec<Option<[Tensor<B>; 2]>>,
}

impl PageImage<Vec<u8>> {
    pub fn bytes(&self) -> u64 {
        let tensors = self.layers.iter().flatten().flatten();
        tensors.map(|tensor| tensor.bytes.len() as u64).sum()
    }
}

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
/// layers. `None` if a type cannot be stored.
pub fn encode(page: &PageImage<Vec<u8>>) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(4096);
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend([0; 12]);
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
            head.push(code(tensor.dtype)?);
            for dim in tensor.shape {
                head.extend(dim.to_le_bytes());
            }
        }
    }
    head.resize(head.len().next_multiple_of(ALIGN), 0);
    let length = head.len() as u64 + page.bytes();
    head[16..24].copy_from_slice(&length.to_le_bytes());
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&head[..12]);
    checksum.update(&head[16..]);
    for tensor in page.layers.iter().flatten().flatten() {
        checksum.update(&tensor.bytes);
    }
    head[12..16].copy_from_slice(&checksum.finalize().to_le_bytes());
    Some(head)
}

/// Reads the file of the page `hash`.
///
/// # Errors
/// What is wrong with the file.
pub fn decode(file: &[u8], hash: PageHash) -> Result<PageImage<&[u8]>, Reject> {
    let known = file.len().min(MAGIC.len());
    if file[..known] != MAGIC[..known] {
        return Err(Reject::Foreign);
    }
    if file.len() < FIXED {
        return Err(Reject::Truncated);
    }
    if number(file, 8) != Some(VERSION) {
        return Err(Reject::Version);
    }
    let mut reader = Reader { file, at: 16 };
    let length = u64::from_le_bytes(reader.array().ok_or(Reject::Truncated)?);
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&file[..12]);
    checksum.update(&file[16..]);
    if number(file, 12) != Some(checksum.finalize()) {
        // A file that lacks its end says so in its length.
        let short = length > file.len() as u64;
        return Err(if short {
            Reject::Truncated
        } else {
            Reject::Checksum
        });
    }
    // From here on the file is as it was written, but maybe not by this program.
    match reader.page() {
        Some(page) if page.hash == hash && length == file.len() as u64 => Ok(page),
        _ => Err(Reject::Foreign),
    }
}

fn number(file: &[u8], at: usize) -> Option<u32> {
    let bytes = file.get(at..at + 4)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

struct Reader<'a> {
    file: &'a [u8],
    at: usize,
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

    fn page(&mut self) -> Option<PageImage<&'a [u8]>> {
        let hash = PageHash(self.array()?);
        let parent = PageHash(self.array()?);
        let (tokens, layers) = (self.u32()?, self.u32()?);
        let tokens = self.take(tokens as usize * 4)?.chunks_exact(4);
        let tokens = tokens.filter_map(|t| t.try_into().ok().map(u32::from_le_bytes));
        let tokens = tokens.collect();
        let mut shapes = Vec::new();
        for _ in 0..layers {
            shapes.push(match self.take(1)? {
                [0] => None,
                [1] => Some([self.shape()?, self.shape()?]),
                _ => return None,
            });
        }
        self.at = self.at.next_multiple_of(ALIGN);
        let mut layers = Vec::with_capacity(shapes.len());
        for layer in shapes {
            layers.push(match layer {
                None => None,
                Some([keys, values]) => Some([self.tensor(keys)?, self.tensor(values)?]),
            });
        }
        let page = PageImage {
            hash,
            parent,
            tokens,
            layers,
        };
        (self.at == self.file.len()).then_some(page)
    }

    fn shape(&mut self) -> Option<(u8, [i32; 4])> {
        let code = self.array::<1>()?[0];
        let mut shape = [0; 4];
        for dim in &mut shape {
            *dim = i32::try_from(self.u32()?).ok()?;
        }
        Some((code, shape))
    }

    fn tensor(&mut self, (code, shape): (u8, [i32; 4])) -> Option<Tensor<&'a [u8]>> {
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
mod tests {
    use super::*;

    fn page() -> PageImage<Vec<u8>> {
        let tensor = |first: u8, dtype, each: i32| Tensor {
            dtype,
            shape: [1, 2, 3, 4],
            bytes: (0..24 * each as u8)
                .map(|i| i.wrapping_mul(7) ^ first)
                .collect(),
        };
        PageImage {
            hash: PageHash([7; 16]),
            parent: PageHash([8; 16]),
            tokens: vec![1, 70_000, 3],
            layers: vec![
                Some([tensor(1, Dtype::Float32, 4), tensor(2, Dtype::Float32, 4)]),
                None,
                Some([tensor(3, Dtype::Bfloat16, 2), tensor(4, Dtype::Float16, 2)]),
            ],
        }
    }

    fn file(page: &PageImage<Vec<u8>>) -> Vec<u8> {
        let mut file = encode(page).unwrap();
        for tensor in page.layers.iter().flatten().flatten() {
            file.extend(&tensor.bytes);
        }
        file
    }

    #[test]
    fn a_page_comes_back() {
        let page = page();
        let file = file(&page);
        let back = decode(&file, page.hash).unwrap();
        assert_eq!((back.parent, &back.tokens), (page.parent, &page.tokens));
        for (a, b) in back.layers.iter().zip(&page.layers) {
            let (a, b) = (a.iter().flatten(), b.iter().flatten());
            assert!(a.zip(b).all(|(a, b)| {
                (a.dtype, a.shape, a.bytes) == (b.dtype, b.shape, b.bytes.as_slice())
            }));
        }
        assert_eq!(back.layers.len(), 3);
        assert_eq!(decode(&file, PageHash([9; 16])), Err(Reject::Foreign));
    }

    #[test]
    fn one_flipped_bit_anywhere_is_seen() {
        let page = page();
        let file = file(&page);
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut flipped = file.clone();
                flipped[at] ^= 1 << bit;
                let expected: &[Reject] = match at {
                    0..8 => &[Reject::Foreign],
                    8..12 => &[Reject::Version],
                    16..24 => &[Reject::Checksum, Reject::Truncated],
                    _ => &[Reject::Checksum],
                };
                let error = decode(&flipped, page.hash).unwrap_err();
                assert!(expected.contains(&error), "{error} at {at}");
            }
        }
    }

    #[test]
    fn every_shorter_or_longer_file_is_seen() {
        let page = page();
        let mut file = file(&page);
        for length in 0..file.len() {
            assert_eq!(decode(&file[..length], page.hash), Err(Reject::Truncated));
        }
        file.push(0);
        assert_eq!(decode(&file, page.hash), Err(Reject::Checksum));
    }

    #[test]
    fn a_true_checksum_does_not_make_a_page() {
        let page = page();
        let good = file(&page);
        for (at, value) in [
            (24, 1u8),
            (56, 200),
            (57, 255),
            (60, 2),
            (60, 200),
            (76, 9),
            (77, 4),
        ] {
            let mut file = good.clone();
            file[at] = value;
            let mut checksum = crc32fast::Hasher::new();
            checksum.update(&file[..12]);
            checksum.update(&file[16..]);
            file[12..16].copy_from_slice(&checksum.finalize().to_le_bytes());
            assert_eq!(decode(&file, page.hash), Err(Reject::Foreign), "{at}");
        }
    }
}
