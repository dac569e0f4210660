//! What happens inside the heads: rotation and attention.

use maquette_kernels as kernels;
use mlx_rs::{
    Array, Dtype,
    error::Exception,
    fast::{self, ScaledDotProductAttentionMask},
};

use super::{
    host::{self, View},
    ops::{on_cpu, on_cuda},
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

/// Scaled dot-product attention.
///
/// `q` is `[1, H, T, D]`, `k` `[1, Hkv, L, D]`, `v` `[1, Hkv, L, Dv]`, with the
/// queries at the last `T` of `L` positions. `causal` hides later positions;
/// `mask` (`[T, L]`, of the type of `q`) is added to the scores and excludes
/// `causal`. Gives `[1, H, T, Dv]`.
pub fn attention(
    q: &Array,
    k: &Array,
    v: &Array,
    scale: f32,
    causal: bool,
    mask: Option<&Array>,
) -> Result<Array> {
    let plain = |a: &Array| a.dtype() == Dtype::Float32 && a.ndim() == 4 && a.dim(0) == 1;
    let plain_mask = mask.is_none_or(|m| m.dtype() == Dtype::Float32 && m.ndim() == 2);
    if !on_cpu() || !plain(q) || !plain(k) || !plain(v) || !plain_mask {
        // One query sees everything, and without a mask GPUs take a faster path.
        let mode = match (mask, causal && q.dim(2) > 1) {
            (Some(mask), _) => Some(ScaledDotProductAttentionMask::Array(mask)),
            (None, true) => Some(ScaledDotProductAttentionMask::Causal),
            (None, false) => None,
        };
        return fast::scaled_dot_product_attention(q, k, v, scale, mode, None::<&Array>);
    }
    let (heads, tokens) = (q.dim(1), q.dim(2));
    let fits = k.shape() == [1, k.dim(1), k.dim(2), q.dim(3)]
        && v.shape()[..3] == k.shape()[..3]
        && k.dim(1) > 0
        && heads % k.dim(1) == 0
        && tokens <= k.dim(2)
        && mask.is_none_or(|m| m.shape() == [tokens, k.dim(2)]);
    if !fits {
        return Err(Exception::custom(format!(
            "attention: queries {:?}, keys {:?} and values {:?} do not fit",
            q.shape(),
            k.shape(),
            v.shape()
        )));
    }
    let inputs: Vec<&Array> = [q, k, v].into_iter().chain(mask).collect();
    let shape = [1, heads, tokens, v.dim(3)];
    let causal = causal && mask.is_none();
    host::node(&inputs, &shape, Dtype::Float32, move |inputs, out| {
        let [q, k, v] = [&inputs[0], &inputs[1], &inputs[2]];
        let mask = inputs.get(3).map(|m| m.contiguous::<f32>());
        let attention = kernels::Attention {
            heads: q.dim(1),
            kv_heads: k.dim(1),
            tokens: q.dim(2),
            length: k.dim(2),
            key_dim: q.dim(3),
            value_dim: v.dim(3),
            scale,
            causal,
            mask: mask.as_deref(),
        };
        let (mut q_copy, mut k_copy, mut v_copy) = (None, None, None);
        kernels::attention(
            &attention,
            heads_of(q, &mut q_copy),
            heads_of(k, &mut k_copy),
            heads_of(v, &mut v_copy),
            out.elements(),
        );
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
