//! What happens inside the heads: rotation and attention.

use maquette_kernels as kernels;
use mlx_rs::{
    Array, Dtype,
    error::Exception,
    fast::{self, ScaledDotProductAttentionMask},
    ops,
};

use super::{
    host::{self, View},
    ops::{on_cpu, on_cuda},
    packing::Segment,
    padded::padded_attention,
};

type Result<T> = std::result::Result<T, Exception>;

/// Rotary position embedding of `x`, `[1, heads, T, head_dim]`, whose tokens
/// stand at `offset`, `offset + 1`, …
///
/// The angle of pair i at position p is `p · scale · base^(-2i/dims)`, or
/// `p · scale / freqs[i]` when `freqs` (`[dims / 2]`) replaces `base`.
/// `traditional` pairs neighbours instead of halves.
pub fn rope(
    x: &Array,
    dims: i32,
    traditional: bool,
    base: Option<f32>,
    scale: f32,
    offset: i32,
    freqs: Option<&Array>,
) -> Result<Array> {
    if !on_cpu() || x.dtype() != Dtype::Float32 || x.ndim() != 4 || x.dim(0) != 1 {
        return fast::rope(for_rope(x)?, dims, traditional, base, scale, offset, freqs);
    }
    let half = dims as usize / 2;
    let from_base: Vec<f32> = (0..half)
        .map(|i| (-(i as f64) * f64::from(base.unwrap_or(1.0)).ln() / half as f64).exp() as f32)
        .collect();
    let inputs: Vec<&Array> = std::iter::once(x).chain(freqs).collect();
    host::node(&inputs, x.shape(), Dtype::Float32, move |inputs, out| {
        let x = &inputs[0];
        let mut frequencies = match inputs.get(1) {
            Some(freqs) => freqs
                .contiguous::<f32>()
                .iter()
                .map(|f| f.recip())
                .collect(),
            None => from_base.clone(),
        };
        frequencies.iter_mut().for_each(|f| *f *= scale);
        let rope = kernels::Rope {
            dims: dims as usize,
            interleaved: traditional,
            frequencies: &frequencies,
            offset: offset as usize,
        };
        let shape = [x.dim(1), x.dim(2), x.dim(3)];
        if x.stride(3) == 1 || x.dim(3) == 1 {
            kernels::rope(
                x.elements(),
                [x.stride(1), x.stride(2)],
                shape,
                &rope,
                out.elements(),
            );
        } else {
            let strides = [shape[1] * shape[2], shape[2]];
            kernels::rope(&x.contiguous(), strides, shape, &rope, out.elements());
        }
    })
}

/// [`rope`] of `x`, `[T, heads, 1, head_dim]`, each row at its own place in
/// `positions [T]`.
pub fn rope_each(
    x: &Array,
    dims: i32,
    traditional: bool,
    base: Option<f32>,
    scale: f32,
    positions: &Array,
    freqs: Option<&Array>,
) -> Result<Array> {
    fast::rope_dynamic(
        for_rope(x)?,
        dims,
        traditional,
        base,
        scale,
        positions,
        freqs,
    )
}

/// MLX 0.32.2 on CUDA now and then rotates wrong numbers when given a view that
/// is not row-major (docs/performance.md): views are copied before.
fn for_rope(x: &Array) -> Result<Array> {
    match on_cuda() {
        true => x.contiguous(),
        false => Ok(x.clone()),
    }
}

/// How queries and keys become weights.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scoring<'a> {
    pub scale: f32,
    /// Later positions are hidden.
    pub causal: bool,
    /// `[T, L]`, of the type of the queries, added to the scores; excludes
    /// `causal`.
    pub mask: Option<&'a Array>,
    /// `[H]`, of the type of the queries: a score a head that takes part in the
    /// softmax and has no value.
    pub sinks: Option<&'a Array>,
    /// Scores become `cap · tanh(scores / cap)` before the mask.
    pub cap: Option<f32>,
}

/// Scaled dot-product attention.
///
/// `q` is `[1, H, T, D]`, `k` `[1, Hkv, L, D]`, `v` `[1, Hkv, L, Dv]`, with the
/// queries at the last `T` of `L` positions. Gives `[1, H, T, Dv]`.
pub fn attention(q: &Array, k: &Array, v: &Array, scoring: Scoring) -> Result<Array> {
    let Scoring {
        scale,
        causal,
        mask,
        sinks,
        cap,
    } = scoring;
    let plain = |a: &Array| a.dtype() == Dtype::Float32 && a.ndim() == 4 && a.dim(0) == 1;
    let plain_mask = mask.is_none_or(|m| m.dtype() == Dtype::Float32 && m.ndim() == 2);
    let plain_sinks = sinks.is_none_or(|s| s.dtype() == Dtype::Float32);
    if !on_cpu() || !plain(q) || !plain(k) || !plain(v) || !plain_mask || !plain_sinks {
        if cap.is_some() {
            return attention_in_steps(q, k, v, scoring);
        }
        if on_cuda()
            && causal
            && mask.is_none()
            && sinks.is_none()
            && let Some(done) = padded_attention(q, k, v, scale)
        {
            return done;
        }
        // One query sees everything, and without a mask GPUs take a faster path.
        let mode = match (mask, causal && q.dim(2) > 1) {
            (Some(mask), _) => Some(ScaledDotProductAttentionMask::Array(mask)),
            (None, true) => Some(ScaledDotProductAttentionMask::Causal),
            (None, false) => None,
        };
        return fast::scaled_dot_product_attention(q, k, v, scale, mode, sinks);
    }
    let segment = Segment::plain(k.clone(), v.clone());
    attention_on_host(q, &[segment], scoring)
}

/// [`attention`] by the CPU's own kernel, over segments that may be packed.
pub(super) fn attention_on_host(
    q: &Array,
    segments: &[Segment],
    scoring: Scoring,
) -> Result<Array> {
    let Scoring {
        scale,
        causal,
        mask,
        sinks,
        cap,
    } = scoring;
    let (heads, tokens) = (q.dim(1), q.dim(2));
    let length: i32 = segments.iter().map(Segment::rows).sum();
    let kv_heads = segments.first().map_or(0, |first| first.keys.dim(1));
    let value_dim = segments.first().map_or(0, |first| first.width(1));
    let fits = kv_heads > 0
        && heads % kv_heads == 0
        && tokens <= length
        && segments.iter().all(|segment| {
            let rows = [1, kv_heads, segment.rows()];
            segment.keys.shape()[..3] == rows
                && segment.values.shape()[..3] == rows
                && [segment.width(0), segment.width(1)] == [q.dim(3), value_dim]
        })
        && mask.is_none_or(|m| m.shape() == [tokens, length])
        && sinks.is_none_or(|s| s.shape() == [heads]);
    if !fits {
        let shapes = segments.iter().map(|s| [s.keys.shape(), s.values.shape()]);
        return Err(Exception::custom(format!(
            "attention: queries {:?} and keys and values {:?} do not fit",
            q.shape(),
            shapes.collect::<Vec<_>>()
        )));
    }
    let parts = segments.iter().flat_map(|s| [&s.keys, &s.values]);
    let extras = mask.into_iter().chain(sinks);
    let inputs: Vec<&Array> = std::iter::once(q).chain(parts).chain(extras).collect();
    let (masked, sinking) = (mask.is_some(), sinks.is_some());
    let packings: Vec<_> = segments.iter().map(|s| s.packing.clone()).collect();
    let shape = [1, heads, tokens, value_dim];
    let causal = causal && mask.is_none();
    host::node(&inputs, &shape, Dtype::Float32, move |inputs, out| {
        let (q, rest) = (&inputs[0], &inputs[1..]);
        let (rest, extras) = rest.split_at(2 * packings.len());
        let mut extras = extras.iter().map(|extra| extra.contiguous::<f32>());
        let mask = masked.then(|| extras.next()).flatten();
        let sinks = sinking.then(|| extras.next()).flatten();
        let attention = kernels::Attention {
            heads: q.dim(1),
            kv_heads: kv_heads as usize,
            tokens: q.dim(2),
            length: length as usize,
            key_dim: q.dim(3),
            value_dim: value_dim as usize,
            scale,
            causal,
            mask: mask.as_deref(),
            cap,
            sinks: sinks.as_deref(),
        };
        let mut copies: Vec<Copied> = rest.iter().map(|_| Copied::default()).collect();
        let mut rows = copies
            .iter_mut()
            .zip(rest)
            .enumerate()
            .map(|(at, (copy, view))| {
                let packing = packings[at / 2].as_ref().map(|packing| &*packing[at % 2]);
                rows_of(view, packing, copy)
            });
        let mut segments = Vec::with_capacity(packings.len());
        let mut length = rest.iter().step_by(2).map(|keys| keys.dim(2));
        while let (Some(keys), Some(values), Some(length)) =
            (rows.next(), rows.next(), length.next())
        {
            segments.push(kernels::Segment {
                keys,
                values,
                length,
            });
        }
        let mut copy = None;
        kernels::attention(
            &attention,
            heads_of(q, &mut copy),
            &segments,
            out.elements(),
        );
    })
}

/// Attention whose scores are capped, which MLX has no kernel for; without
/// sinks.
pub(super) fn attention_in_steps(
    q: &Array,
    k: &Array,
    v: &Array,
    scoring: Scoring,
) -> Result<Array> {
    let (heads, kv_heads) = (q.dim(1), k.dim(1));
    let (rows, length) = (q.dim(2), k.dim(2));
    // [kv heads, query heads that share one, rows, width]
    let q = q.reshape(&[kv_heads, heads / kv_heads, rows, q.dim(3)])?;
    let k = k.reshape(&[kv_heads, 1, length, k.dim(3)])?;
    let values = v.reshape(&[kv_heads, 1, length, v.dim(3)])?;
    let number = |x: f32| Array::from_f32(x).as_dtype(q.dtype());
    let mut scores = ops::matmul(q.multiply(number(scoring.scale)?)?, k.swap_axes(-1, -2)?)?;
    if let Some(cap) = scoring.cap {
        let cap = number(cap)?;
        scores = ops::tanh(scores.divide(&cap)?)?.multiply(&cap)?;
    }
    if let Some(mask) = scoring.mask {
        scores = scores.add(mask)?;
    } else if scoring.causal && rows > 1 {
        let own = Array::from_iter(length - rows..length, &[rows, 1]);
        let visible = Array::from_iter(0..length, &[1, length]).le(own)?;
        let hidden = number(f32::NEG_INFINITY)?;
        scores = ops::select(&visible, &scores, &hidden)?;
    }
    let weights = ops::softmax_axis(&scores, -1, true)?;
    ops::matmul(weights, values)?.reshape(&[1, heads, rows, v.dim(3)])
}

/// Rows that were not side by side, copied.
#[derive(Default)]
struct Copied {
    numbers: Option<Vec<f32>>,
    words: Option<Vec<u32>>,
}

fn rows_of<'a>(
    view: &View<'a>,
    packing: Option<&'a kernels::Packing>,
    copy: &'a mut Copied,
) -> kernels::Rows<'a> {
    let Some(packing) = packing else {
        return kernels::Rows::Plain(heads_of(view, &mut copy.numbers));
    };
    let words = packing.words();
    let dense = view.stride(3) == 1 && (view.stride(2) == words || view.dim(2) == 1);
    let (data, stride) = if dense {
        (view.elements(), view.stride(1))
    } else {
        let copied = copy.words.insert(view.contiguous().into_owned());
        (copied.as_slice(), view.dim(2) * words)
    };
    kernels::Rows::Packed(kernels::Records {
        data,
        stride,
        packing,
    })
}

/// Heads of `[1, heads, rows, width]`, copied only if a row is not contiguous.
fn heads_of<'a>(view: &View<'a>, copy: &'a mut Option<Vec<f32>>) -> kernels::Heads<'a> {
    if view.stride(3) == 1 || view.dim(3) == 1 {
        return kernels::Heads {
            data: view.elements(),
            strides: [view.stride(1), view.stride(2)],
        };
    }
    kernels::Heads {
        data: copy.insert(view.contiguous().into_owned()),
        strides: [view.dim(2) * view.dim(3), view.dim(3)],
    }
}
