//! Rows of arrays, copied: joined in buffers of their own, as bytes and back.

use mlx_rs::{Array, Dtype, error::Exception, ops};

use super::{
    cuda,
    device::{Backend, backend},
    host::{self, View},
    ops::on_cuda,
};

type Result<T> = std::result::Result<T, Exception>;

/// `count` rows of `array` from `start` on.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub array: &'a Array,
    pub start: usize,
    pub count: usize,
}

/// The rows of all parts along axis 2 of `[1, heads, rows, width]` arrays, one
/// part after the other, in a buffer of its own with room for `capacity` rows.
/// What lies behind the last row is anything.
///
/// Lazy: evaluate before anything writes into a part's buffer in place.
///
/// # Errors
/// When there are no parts, or they do not fit together or into `capacity`.
pub fn join_rows(parts: &[Part], capacity: usize) -> Result<Array> {
    let Some(first) = parts.first().map(|part| part.array) else {
        return Err(Exception::custom("join_rows: there are no parts"));
    };
    let total: usize = parts.iter().map(|part| part.count).sum();
    let like = |a: &Array| {
        a.ndim() == 4
            && a.dtype() == first.dtype()
            && (a.dim(0), a.dim(1), a.dim(3)) == (1, first.dim(1), first.dim(3))
    };
    let fits = |part: &Part| like(part.array) && part.start + part.count <= rows_of(part.array);
    if total > capacity || !parts.iter().all(fits) {
        let shapes: Vec<&[i32]> = parts.iter().map(|part| part.array.shape()).collect();
        return Err(Exception::custom(format!(
            "join_rows: {total} rows of {shapes:?} do not fit into {capacity}"
        )));
    }
    let shape = [1, first.dim(1), capacity as i32, first.dim(3)];
    if backend() != Backend::Cpu || !matches!(first.item_size(), 2 | 4) {
        return join_by_mlx(parts, &shape, total);
    }
    let inputs: Vec<&Array> = parts.iter().map(|part| part.array).collect();
    let ranges: Vec<(usize, usize)> = parts.iter().map(|p| (p.start, p.count)).collect();
    let wide = first.item_size() == 4;
    host::node(&inputs, &shape, first.dtype(), move |inputs, out| {
        if wide {
            copy::<u32>(inputs, &ranges, out);
        } else {
            copy::<u16>(inputs, &ranges, out);
        }
    })
}

fn rows_of(array: &Array) -> usize {
    array.dim(2) as usize
}

fn copy<T: host::Element>(inputs: &[View], ranges: &[(usize, usize)], out: &mut host::ViewMut) {
    let (heads, capacity) = (out.shape()[1] as usize, out.shape()[2] as usize);
    let width = out.shape()[3] as usize;
    let out = out.elements::<T>();
    let mut at = 0;
    for (input, (start, count)) in inputs.iter().zip(ranges) {
        let dense = (width == 1 || input.stride(3) == 1) && input.stride(2) == width;
        let copied = (!dense).then(|| input.contiguous::<T>());
        let (elements, head_stride) = match &copied {
            Some(copied) => (copied.as_ref(), input.dim(2) * width),
            None => (input.elements::<T>(), input.stride(1)),
        };
        for head in 0..heads {
            let from = &elements[head * head_stride + start * width..][..count * width];
            out[(head * capacity + at) * width..][..count * width].copy_from_slice(from);
        }
        at += count;
    }
}

fn join_by_mlx(parts: &[Part], shape: &[i32; 4], total: usize) -> Result<Array> {
    let joined = || cuda::join(parts, shape);
    if let Some(done) = on_cuda().then(joined).flatten() {
        return done;
    }
    let mut pieces = Vec::with_capacity(parts.len() + 1);
    for part in parts {
        pieces.push(slice(part)?);
    }
    let room = shape[2] - total as i32;
    if room > 0 {
        let shape = [shape[0], shape[1], room, shape[3]];
        pieces.push(ops::zeros_dtype(&shape, parts[0].array.dtype())?);
    }
    match pieces.as_slice() {
        // Its own greater: MLX might share the buffer of a plain copy.
        [only] => ops::maximum(only, only),
        many => ops::concatenate(many, 2),
    }
}

fn slice(part: &Part) -> Result<Array> {
    let (start, end) = (part.start as i32, (part.start + part.count) as i32);
    if start == 0 && end == part.array.dim(2) {
        return Ok(part.array.clone());
    }
    let pieces = part.array.split_at_indices(&[start, end], 2)?;
    let piece = pieces.into_iter().nth(1);
    piece.ok_or_else(|| Exception::custom("MLX split rows wrongly"))
}

/// The bytes of an array, row-major, in this machine's order. Waits for it.
///
/// # Errors
/// When it cannot be computed or has elements of another type than f32, f16,
/// bf16 and u32.
pub fn bytes(array: &Array) -> Result<Vec<u8>> {
    fn raw<T>(slice: &[T]) -> Vec<u8> {
        // SAFETY: `T` is a plain number without padding; any byte may be read.
        unsafe { std::slice::from_raw_parts(slice.as_ptr().cast(), size_of_val(slice)) }.to_vec()
    }
    let words = |error: mlx_rs::error::AsSliceError| Exception::custom(error.to_string());
    if array.size() == 0 {
        return Ok(Vec::new());
    }
    match array.dtype() {
        Dtype::Float32 => array.try_as_slice::<f32>().map(raw).map_err(words),
        Dtype::Float16 => array.try_as_slice::<half::f16>().map(raw).map_err(words),
        Dtype::Bfloat16 => array.try_as_slice::<half::bf16>().map(raw).map_err(words),
        Dtype::Uint32 => array.try_as_slice::<u32>().map(raw).map_err(words),
        other => Err(Exception::custom(format!(
            "bytes of {other:?} were asked for"
        ))),
    }
}

/// Bytes of an array of this shape, if [`bytes`] knows its type.
pub(super) fn size(shape: &[i32], dtype: Dtype) -> Option<usize> {
    let each = match dtype {
        Dtype::Float32 | Dtype::Uint32 => 4,
        Dtype::Float16 | Dtype::Bfloat16 => 2,
        _ => return None,
    };
    shape.iter().try_fold(each, |count: usize, dim| {
        count.checked_mul(usize::try_from(*dim).ok()?)
    })
}

/// An array of what [`bytes`] gave.
///
/// # Errors
/// When the bytes are not as many as the shape has.
pub fn from_bytes(bytes: &[u8], shape: &[i32], dtype: Dtype) -> Result<Array> {
    if size(shape, dtype) != Some(bytes.len()) {
        return Err(Exception::custom(format!(
            "{} bytes are not {shape:?} of {dtype:?}",
            bytes.len()
        )));
    }
    // MLX reads through a pointer to elements, which must be aligned.
    let aligned: Vec<u32>;
    let data = if bytes.as_ptr().addr().is_multiple_of(4) {
        bytes.as_ptr()
    } else {
        let words = bytes.chunks(4).map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_ne_bytes(word)
        });
        aligned = words.collect();
        aligned.as_ptr().cast()
    };
    // SAFETY: `data` points at as many elements as `shape` has, checked above,
    // and MLX copies them before it returns.
    Ok(unsafe { Array::from_raw_data(data.cast(), shape, dtype) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(from: usize, heads: usize, rows: usize, width: usize) -> Array {
        let data: Vec<f32> = (from..from + heads * rows * width)
            .map(|i| i as f32)
            .collect();
        Array::from_slice(&data, &[1, heads as i32, rows as i32, width as i32])
    }

    #[test]
    fn rows_are_joined_as_mlx_joins_them() {
        let (a, b) = (counting(0, 2, 5, 3), counting(100, 2, 4, 3));
        let turned = counting(50, 2, 3, 4).transpose_axes(&[0, 1, 3, 2]).unwrap();
        let part = |array, start, count| Part {
            array,
            start,
            count,
        };
        let parts = [part(&a, 1, 3), part(&b, 0, 4), part(&turned, 2, 2)];
        for dtype in [Dtype::Float32, Dtype::Float16] {
            let cast = |part: &Part| part.array.as_dtype(dtype).unwrap();
            let arrays: Vec<Array> = parts.iter().map(cast).collect();
            let parts: Vec<Part> = parts
                .iter()
                .zip(&arrays)
                .map(|(p, array)| Part { array, ..*p })
                .collect();
            let expected = join_by_mlx(&parts, &[1, 2, 9, 3], 9).unwrap();
            let joined = join_rows(&parts, 12).unwrap();
            assert_eq!(joined.shape(), [1, 2, 12, 3]);
            let head = joined.split_at_indices(&[9], 2).unwrap().swap_remove(0);
            assert_eq!(bytes(&head.contiguous().unwrap()), bytes(&expected));
        }
        assert!(join_rows(&parts, 8).is_err());
        assert!(join_rows(&[part(&a, 4, 2)], 8).is_err());
        assert!(join_rows(&[part(&a, 0, 1), part(&counting(0, 1, 1, 3), 0, 1)], 8).is_err());
        assert!(join_rows(&[], 8).is_err());
    }

    #[test]
    fn arrays_become_bytes_and_come_back() {
        let array = counting(3, 2, 4, 5);
        for dtype in [Dtype::Float32, Dtype::Float16, Dtype::Bfloat16] {
            let array = array.as_dtype(dtype).unwrap();
            let mut shifted = vec![0];
            shifted.extend(bytes(&array).unwrap());
            let back = from_bytes(&shifted[1..], array.shape(), dtype).unwrap();
            assert_eq!(bytes(&back), bytes(&array));
        }
        assert!(from_bytes(&[0; 7], &[2], Dtype::Float32).is_err());
        assert!(from_bytes(&[0; 8], &[-2], Dtype::Float32).is_err());
        assert!(bytes(&array.as_dtype(Dtype::Int32).unwrap()).is_err());
    }
}
