//! Rows in few bits: packing them, unpacking them, and attention that reads
//! both kinds.
//!
//! Records are what `maquette_kernels::packing` defines. On a CPU its kernels
//! work as nodes of the graph; elsewhere the same is put together from MLX's
//! operations, or one kernel of ours on NVIDIA's.

use std::sync::Arc;

pub use maquette_kernels::packing::{Packing, Sketch, rotation};
use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{
    cuda,
    heads::{self, Scoring},
    host,
    ops::{on_cpu, on_cuda},
};

type Result<T> = std::result::Result<T, Exception>;

/// Keys and values of some positions, that follow those of the segments before:
/// `[1, heads, rows, width]` each, or records `[1, heads, rows, words]` u32.
#[derive(Debug, Clone)]
pub struct Segment {
    pub keys: Array,
    pub values: Array,
    /// Of keys and of values, if they are packed.
    pub packing: Option<[Arc<Packing>; 2]>,
}

impl Segment {
    pub fn plain(keys: Array, values: Array) -> Self {
        Self {
            keys,
            values,
            packing: None,
        }
    }

    pub fn rows(&self) -> i32 {
        self.keys.dim(2)
    }

    /// Numbers of a row of keys (0) or values (1).
    pub(super) fn width(&self, which: usize) -> i32 {
        match &self.packing {
            None => [&self.keys, &self.values][which].dim(3),
            Some(packing) => packing[which].width() as i32,
        }
    }

    /// Keys and values as numbers.
    ///
    /// # Errors
    /// When MLX refuses an operation.
    pub fn numbers(&self, dtype: Dtype) -> Result<[Array; 2]> {
        Ok(match &self.packing {
            None => [self.keys.clone(), self.values.clone()],
            Some([keys, values]) => [
                unpack_rows(&self.keys, keys, dtype)?,
                unpack_rows(&self.values, values, dtype)?,
            ],
        })
    }
}

/// Keys and values of all segments, one after the other, as numbers.
///
/// # Errors
/// When there is no segment, or they do not fit together.
pub fn join_segments(segments: &[Segment], dtype: Dtype) -> Result<[Array; 2]> {
    let parts: Result<Vec<[Array; 2]>> = segments.iter().map(|s| s.numbers(dtype)).collect();
    let parts = parts?;
    if let [only] = parts.as_slice() {
        return Ok(only.clone());
    }
    let join = |which: usize| {
        let arrays: Vec<&Array> = parts.iter().map(|part| &part[which]).collect();
        ops::concatenate(&arrays, 2)
    };
    Ok([join(0)?, join(1)?])
}

/// [`heads::attention`] over keys and values in segments.
///
/// # Errors
/// When the shapes do not fit or MLX refuses an operation.
pub fn attention_over(q: &Array, segments: &[Segment], scoring: Scoring) -> Result<Array> {
    let packed = || cuda::segment_attention(q, segments, scoring);
    if let Some(done) = on_cuda().then(packed).flatten() {
        return done;
    }
    let plain = matches!(segments, [only] if only.packing.is_none());
    if plain || !on_cpu() || q.dtype() != Dtype::Float32 {
        let [keys, values] = join_segments(segments, q.dtype())?;
        return heads::attention(q, &keys, &values, scoring);
    }
    heads::attention_on_host(q, segments, scoring)
}

/// Records `[1, heads, T, words]` of rows `[1, heads, T, width]`.
///
/// # Errors
/// When the width is another, or MLX refuses an operation.
pub fn pack_rows(rows: &Array, packing: &Arc<Packing>) -> Result<Array> {
    check(rows, packing.width(), "rows to pack")?;
    if on_cuda()
        && let Some(done) = cuda::pack(rows, packing)
    {
        return done;
    }
    let rows = rows.as_dtype(Dtype::Float32)?;
    if !on_cpu() {
        return pack_by_mlx(&rows, packing);
    }
    let shape = with_width(&rows, packing.words());
    let packing = Arc::clone(packing);
    host::node(&[&rows], &shape, Dtype::Uint32, move |inputs, out| {
        packing.pack(&inputs[0].contiguous::<f32>(), out.elements::<u32>());
    })
}

/// The rows of `records`, in `dtype`.
///
/// # Errors
/// As for [`pack_rows`].
pub fn unpack_rows(records: &Array, packing: &Arc<Packing>, dtype: Dtype) -> Result<Array> {
    check(records, packing.words(), "records to unpack")?;
    if on_cuda()
        && let Some(done) = cuda::unpack(records, packing, dtype)
    {
        return done;
    }
    if !on_cpu() {
        return unpack_by_mlx(records, packing)?.as_dtype(dtype);
    }
    let shape = with_width(records, packing.width());
    let packing = Arc::clone(packing);
    let rows = host::node(&[records], &shape, Dtype::Float32, move |inputs, out| {
        packing.unpack(&inputs[0].contiguous::<u32>(), out.elements::<f32>());
    })?;
    rows.as_dtype(dtype)
}

fn check(array: &Array, width: usize, what: &str) -> Result<()> {
    match array.shape() {
        [1, _, _, own] if *own as usize == width => Ok(()),
        shape => Err(Exception::custom(format!(
            "{what} are {shape:?}: expected [1, heads, rows, {width}]"
        ))),
    }
}

fn with_width(array: &Array, width: usize) -> [i32; 4] {
    [array.dim(0), array.dim(1), array.dim(2), width as i32]
}

fn number(value: f32) -> Array {
    Array::from_f32(value)
}

/// `[…, groups, size]`.
fn grouped(x: &Array, groups: usize) -> Result<Array> {
    let [a, b, c, width] = with_width(x, x.dim(3) as usize);
    x.reshape(&[a, b, c, groups as i32, width / groups as i32])
}

fn pack_by_mlx(rows: &Array, packing: &Packing) -> Result<Array> {
    if packing.is_half() {
        let halves = ops::clip(rows, (-65504.0, 65504.0))?.as_dtype(Dtype::Float16)?;
        return pack_codes(
            &halves.view_dtype(Dtype::Uint16)?.as_dtype(Dtype::Uint32)?,
            16,
        );
    }
    let Some(codebook) = packing.codebook() else {
        return pack_affine(rows, packing);
    };
    let radius = (packing.width() as f32).sqrt();
    let length = rows.square()?.sum_axis(-1, true)?.sqrt()?;
    // A row of zeros has codes like any other, times a length of 0.
    let inverse = number(radius).divide(ops::maximum(&length, number(f32::MIN_POSITIVE))?)?;
    let middles: Vec<f32> = codebook.windows(2).map(|c| 0.5 * (c[0] + c[1])).collect();
    let middles = Array::from_slice(&middles, &[middles.len() as i32]);
    let on_sphere = rows.multiply(inverse)?.expand_dims(-1)?;
    let above = on_sphere.gt(&middles)?.as_dtype(Dtype::Uint32)?;
    let codes = above.sum_axis(-1, false)?;
    let mut record = vec![pack_codes(&codes, packing.bits())?];
    let word = |length: &Array| length.view_dtype(Dtype::Uint32);
    match packing.sketch() {
        None => record.push(word(&length)?),
        Some(sketch) => {
            let table = Array::from_slice(codebook, &[codebook.len() as i32]);
            let scale = length.divide(number(radius))?;
            let missed = rows.subtract(table.take_axis(&codes, 0)?.multiply(scale)?)?;
            let along = ops::matmul(&missed, directions(sketch, packing.width()).t())?;
            let signs = along.ge(number(0.0))?.as_dtype(Dtype::Uint32)?;
            record.push(pack_codes(&signs, 1)?);
            record.push(word(&length)?);
            record.push(word(&missed.square()?.sum_axis(-1, true)?.sqrt()?)?);
        }
    }
    ops::concatenate(&record, -1)
}

fn pack_affine(rows: &Array, packing: &Packing) -> Result<Array> {
    let groups = packing.width() / packing.group().unwrap_or(1);
    let most = ((1u32 << packing.bits()) - 1) as f32;
    let numbers = grouped(rows, groups)?;
    let (least, greatest) = (numbers.min_axis(-1, true)?, numbers.max_axis(-1, true)?);
    let half = |x: &Array| ops::clip(x, (-65504.0, 65504.0))?.as_dtype(Dtype::Float16);
    let bias = half(&least)?;
    let scale = half(&greatest.subtract(&least)?.divide(number(most))?)?;
    let float = |x: &Array| x.as_dtype(Dtype::Float32);
    let step = float(&scale)?;
    let divisor = ops::select(step.gt(number(0.0))?, &step, number(f32::INFINITY))?;
    let codes = numbers.subtract(float(&bias)?)?.divide(divisor)?;
    let codes = ops::clip(codes.round(0)?, (0.0, most))?.as_dtype(Dtype::Uint32)?;
    let codes = codes.reshape(rows.shape())?;
    let word = |x: &Array| x.view_dtype(Dtype::Uint16)?.as_dtype(Dtype::Uint32);
    let high = word(&bias)?.multiply(Array::from_slice(&[1u32 << 16], &[1]))?;
    let numbers = word(&scale)?.add(high)?;
    let numbers = numbers.reshape(&with_width(rows, groups))?;
    ops::concatenate(&[pack_codes(&codes, packing.bits())?, numbers], -1)
}

/// Powers of two `[count]`, each `step` bits above the one before.
fn shifts(count: usize, step: usize) -> Array {
    let powers: Vec<u32> = (0..count).map(|i| 1 << (i * step)).collect();
    Array::from_slice(&powers, &[count as i32])
}

fn two() -> Array {
    Array::from_slice(&[2u32], &[1])
}

/// Words of codes `[1, heads, T, width]`, from the lowest bit up.
fn pack_codes(codes: &Array, bits: usize) -> Result<Array> {
    let [a, b, c, width] = with_width(codes, codes.dim(3) as usize);
    let each = codes.expand_dims(-1)?.floor_divide(shifts(bits, 1))?;
    let stream = each
        .remainder(two())?
        .reshape(&[a, b, c, width * bits as i32])?;
    let words = (width * bits as i32 + 31) / 32;
    let missing = words * 32 - width * bits as i32;
    let stream = match missing {
        0 => stream,
        _ => {
            let zeros = ops::zeros_dtype(&[a, b, c, missing], Dtype::Uint32)?;
            ops::concatenate(&[stream, zeros], -1)?
        }
    };
    let stream = stream.reshape(&[a, b, c, words, 32])?;
    stream.multiply(shifts(32, 1))?.sum_axis(-1, false)
}

/// Codes `[1, heads, T, width]` u32 of their words.
fn unpack_codes(words: &Array, bits: usize, width: usize) -> Result<Array> {
    let [a, b, c, count] = with_width(words, words.dim(3) as usize);
    let words = words.expand_dims(-1)?;
    let all = if 32 % bits == 0 {
        let each = words.floor_divide(shifts(32 / bits, bits))?;
        let mask = Array::from_slice(&[1u32 << bits], &[1]);
        each.remainder(mask)?
            .reshape(&[a, b, c, count * 32 / bits as i32])?
    } else {
        let stream = words.floor_divide(shifts(32, 1))?.remainder(two())?;
        let stream = stream.reshape(&[a, b, c, count * 32])?;
        let used = first(&stream, width * bits)?.reshape(&[a, b, c, width as i32, bits as i32])?;
        used.multiply(shifts(bits, 1))?.sum_axis(-1, false)?
    };
    first(&all, width)
}

/// The first `count` of the last axis.
fn first(x: &Array, count: usize) -> Result<Array> {
    if x.dim(-1) as usize == count {
        return Ok(x.clone());
    }
    Ok(x.split_at_indices(&[count as i32], -1)?.swap_remove(0))
}

fn directions(sketch: &Sketch, width: usize) -> Array {
    Array::from_slice(sketch.directions(), &[width as i32, width as i32])
}

fn unpack_by_mlx(records: &Array, packing: &Packing) -> Result<Array> {
    let (codes, signs) = (packing.code_words() as i32, packing.sign_words() as i32);
    let parts = records.split_at_indices(&[codes, codes + signs], -1)?;
    let [codes, signs, numbers] = <[Array; 3]>::try_from(parts)
        .map_err(|_| Exception::custom("MLX split records wrongly"))?;
    let width = packing.width();
    let codes = unpack_codes(&codes, packing.bits(), width)?;
    if packing.is_half() {
        return codes.as_dtype(Dtype::Uint16)?.view_dtype(Dtype::Float16);
    }
    let Some(codebook) = packing.codebook() else {
        let groups = numbers.dim(3) as usize;
        let half = |bits: Array| {
            let bits = bits.as_dtype(Dtype::Uint16)?.view_dtype(Dtype::Float16)?;
            bits.as_dtype(Dtype::Float32)?.expand_dims(-1)
        };
        let low = Array::from_slice(&[1u32 << 16], &[1]);
        let scale = half(numbers.remainder(&low)?)?;
        let bias = half(numbers.floor_divide(&low)?)?;
        let codes = grouped(&codes.as_dtype(Dtype::Float32)?, groups)?;
        let shape = with_width(records, width);
        return codes.multiply(scale)?.add(bias)?.reshape(&shape);
    };
    let numbers = numbers.view_dtype(Dtype::Float32)?;
    let scale = first(&numbers, 1)?.divide(number((width as f32).sqrt()))?;
    let table = Array::from_slice(codebook, &[codebook.len() as i32]);
    let rows = table.take_axis(codes, 0)?.multiply(scale)?;
    let Some(sketch) = packing.sketch() else {
        return Ok(rows);
    };
    let signs = unpack_codes(&signs, 1, width)?.as_dtype(Dtype::Float32)?;
    let signs = signs.multiply(number(2.0))?.subtract(number(1.0))?;
    let along = ops::matmul(&signs, directions(sketch, width))?;
    let missed = numbers.split_at_indices(&[1], -1)?.swap_remove(1);
    let weight = missed.multiply(number(sketch.weight()))?;
    rows.add(along.multiply(weight)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: i32, width: i32) -> Array {
        let data: Vec<f32> = (0..2 * count * width)
            .map(|i| ((i as f32) * 0.7).sin() * (1.0 + (i % 13) as f32))
            .collect();
        Array::from_slice(&data, &[1, 2, count, width])
    }

    fn packings(width: usize) -> Vec<Arc<Packing>> {
        let sketch = Sketch::new(width, 3);
        let all = [
            Packing::half(width),
            Packing::affine(width, 8),
            Packing::affine(width, 4),
            Packing::affine(width, 3),
            Packing::sphere(width, 4, None),
            Packing::sphere(width, 3, None),
            Packing::sphere(width, 2, None),
            Packing::sphere(width, 4, Some(sketch)),
        ];
        all.into_iter().map(Arc::new).collect()
    }

    fn floats(array: &Array) -> Vec<f32> {
        array.contiguous().unwrap().to_vec_cast().unwrap()
    }

    #[test]
    fn mlx_packs_and_unpacks_as_the_kernels_do() {
        for width in [64, 80] {
            let rows = rows(9, width as i32);
            for packing in packings(width) {
                let records = pack_rows(&rows, &packing).unwrap();
                assert_eq!(records.shape(), [1, 2, 9, packing.words() as i32]);
                let unpacked = floats(&unpack_rows(&records, &packing, Dtype::Float32).unwrap());
                for records in [&records, &pack_by_mlx(&rows, &packing).unwrap()] {
                    let other = floats(&unpack_by_mlx(records, &packing).unwrap());
                    let close = unpacked
                        .iter()
                        .zip(&other)
                        .filter(|(a, b)| (*a - *b).abs() < 1e-4);
                    // A number in the middle between two codes may go either way.
                    assert!(close.count() >= unpacked.len() - 4, "{packing:?}");
                }
            }
        }
    }

    #[test]
    fn attention_reads_packed_and_plain_rows() {
        let (width, packed, all) = (64, 100, 130);
        let (k, v) = (
            rows(all, width),
            rows(all, width).multiply(number(-0.3)).unwrap(),
        );
        for packing in packings(width as usize) {
            let cut = |x: &Array| x.split_at_indices(&[packed], 2).unwrap();
            let (keys, values) = (cut(&k), cut(&v));
            let segments = [
                Segment {
                    keys: pack_rows(&keys[0], &packing).unwrap(),
                    values: pack_rows(&values[0], &packing).unwrap(),
                    packing: Some([packing.clone(), packing.clone()]),
                },
                Segment::plain(keys[1].clone(), values[1].clone()),
            ];
            let [keys, values] = join_segments(&segments, Dtype::Float32).unwrap();
            assert_eq!(keys.dim(2), all);
            for tokens in [1, 5] {
                let q = ops::concatenate(&[rows(tokens, width), rows(tokens, width)], 1).unwrap();
                let scoring = Scoring {
                    scale: 0.1,
                    causal: true,
                    ..Scoring::default()
                };
                let expected = heads::attention(&q, &keys, &values, scoring).unwrap();
                let got = attention_over(&q, &segments, scoring).unwrap();
                let pairs = floats(&expected);
                let pairs = pairs.iter().zip(floats(&got));
                assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-4));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let packing = Arc::new(Packing::affine(64, 4));
        assert!(pack_rows(&rows(3, 32), &packing).is_err());
        assert!(unpack_rows(&rows(3, 64), &packing, Dtype::Float32).is_err());
        assert!(join_segments(&[], Dtype::Float32).is_err());
    }
}
