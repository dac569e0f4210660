//! Attention over shapes that come again.
//!
//! On CUDA, MLX hands attention of several rows to cuDNN, which plans every new
//! combination of rows and keys anew, 30 ms each (H200, docs/performance.md):
//! more than the layer's work, and no two prompts have the same lengths. Rows
//! and keys are padded here to a few sizes.

use mlx_rs::{
    Array, Dtype,
    error::Exception,
    fast::{self, ScaledDotProductAttentionMask},
    ops,
};

/// Rows and keys come in multiples of this at least.
const STEP: i32 = 256;
/// Sizes of keys between one power of two and the next.
const SIZES: i32 = 16;

/// Rows that go before and after the given ones, and keys that go after theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Padding {
    front: i32,
    end: i32,
}

/// Rows stand at the last positions and see the keys up to their own: as many
/// rows as keys are added at the end, so that the others see what they saw.
fn padding(rows: i32, keys: i32) -> Option<Padding> {
    let step = STEP.max((keys as u32).next_power_of_two() as i32 / 2 / SIZES);
    let end = (keys + step - 1) / step * step - keys;
    let front = (rows + end + STEP - 1) / STEP * STEP - rows - end;
    let padding = Padding { front, end };
    let fits = front + rows + end <= keys + end;
    (fits && padding != Padding { front: 0, end: 0 }).then_some(padding)
}

/// Causal attention in a padded shape; `None` where nothing is gained.
pub(super) fn padded_attention(
    q: &Array,
    k: &Array,
    v: &Array,
    scale: f32,
) -> Option<Result<Array, Exception>> {
    let half = matches!(q.dtype(), Dtype::Float16 | Dtype::Bfloat16);
    let planned = half && q.dim(2) > 1 && q.dim(3) <= 128 && v.dim(3) <= 128;
    let padding = padding(q.dim(2), k.dim(2)).filter(|_| planned)?;
    Some(attend(q, k, v, scale, padding))
}

fn attend(
    q: &Array,
    k: &Array,
    v: &Array,
    scale: f32,
    Padding { front, end }: Padding,
) -> Result<Array, Exception> {
    let rows = q.dim(2);
    let q = pad(q, front, end)?;
    let (k, v) = (pad(k, 0, end)?, pad(v, 0, end)?);
    let mask = Some(ScaledDotProductAttentionMask::Causal);
    let mixed = fast::scaled_dot_product_attention(&q, &k, &v, scale, mask, None::<&Array>)?;
    Ok(mixed
        .split_at_indices(&[front, front + rows], 2)?
        .swap_remove(1))
}

/// `x [1, heads, rows, width]` with rows of zeros before and after.
fn pad(x: &Array, front: i32, end: i32) -> Result<Array, Exception> {
    let zeros = |rows: i32| {
        let shape = [1, x.dim(1), rows, x.dim(3)];
        ops::zeros_dtype(&shape, x.dtype())
    };
    let (before, after) = (zeros(front)?, zeros(end)?);
    let parts = [(&before, front), (x, x.dim(2)), (&after, end)];
    let parts: Vec<&Array> = parts
        .into_iter()
        .filter(|(_, rows)| *rows > 0)
        .map(|(part, _)| part)
        .collect();
    match parts.as_slice() {
        [only] => Ok((*only).clone()),
        parts => ops::concatenate(parts, 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sizes_serve_all_lengths() {
        let mut shapes = std::collections::HashSet::new();
        for keys in 1..20_000 {
            for rows in [2, 33, 100, 700, 2048] {
                let rows = rows.min(keys);
                let found = padding(rows, keys).unwrap_or(Padding { front: 0, end: 0 });
                shapes.insert((found.front + rows + found.end, keys + found.end));
                assert!(found.end <= STEP.max(keys / SIZES));
            }
        }
        assert!(shapes.len() < 400, "{}", shapes.len());
        assert_eq!(padding(2048, 4096), None);
        let expected = Padding {
            front: 512 - 464 - 33,
            end: 464,
        };
        assert_eq!(padding(33, 8240), Some(expected));
    }

    #[test]
    fn padding_changes_nothing() {
        let number = |i: i32| ((i as f32) * 0.37).sin();
        let rows = |heads: i32, count: i32, seed: i32| {
            let data: Vec<f32> = (0..heads * count * 16)
                .map(|i| number(i * 7 + seed))
                .collect();
            Array::from_slice(&data, &[1, heads, count, 16])
        };
        for (count, keys) in [(5, 5), (33, 300), (256, 300), (1, 7), (300, 1000)] {
            let (q, k, v) = (rows(4, count, 1), rows(2, keys, 2), rows(2, keys, 3));
            let padding = padding(count, keys).expect("not a size");
            let padded = attend(&q, &k, &v, 0.25, padding).unwrap();
            let plain = crate::mlx::attention(
                &q,
                &k,
                &v,
                crate::mlx::Scoring {
                    scale: 0.25,
                    causal: true,
                    ..Default::default()
                },
            )
            .unwrap();
            let numbers =
                |x: &Array| -> Vec<f32> { x.contiguous().unwrap().to_vec_cast().unwrap() };
            let (padded, plain) = (numbers(&padded), numbers(&plain));
            let same = padded.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-5);
            assert!(same, "{count} rows of {keys}");
        }
    }
}
