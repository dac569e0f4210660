//! Operations that the device layer will replace by faster ones.

use mlx_rs::{
    Array,
    error::Exception,
    fast::{self, ScaledDotProductAttentionMask},
    nn, ops,
};

pub fn quantized_matmul(
    x: &Array,
    w: &Array,
    scales: &Array,
    biases: &Array,
    group: i32,
    bits: i32,
) -> Result<Array, Exception> {
    ops::quantized_matmul(x, w, scales, biases, true, group, bits)
}

pub fn matmul_t(x: &Array, w: &Array) -> Result<Array, Exception> {
    x.matmul(w.as_dtype(x.dtype())?.transpose()?)
}

pub fn rms_norm(x: &Array, weight: Option<&Array>, eps: f32) -> Result<Array, Exception> {
    fast::rms_norm(x, weight, eps)
}

pub fn rope(
    x: &Array,
    dims: i32,
    traditional: bool,
    base: Option<f32>,
    scale: f32,
    offset: i32,
    freqs: Option<&Array>,
) -> Result<Array, Exception> {
    fast::rope(x, dims, traditional, base, scale, offset, freqs)
}

pub fn attention(
    q: &Array,
    k: &Array,
    v: &Array,
    scale: f32,
    causal: bool,
    mask: Option<&Array>,
) -> Result<Array, Exception> {
    let mask = match mask {
        Some(mask) => Some(ScaledDotProductAttentionMask::Array(mask)),
        None => causal.then_some(ScaledDotProductAttentionMask::Causal),
    };
    fast::scaled_dot_product_attention(q, k, v, scale, mask, None)
}

pub fn swiglu(gate_up: &Array) -> Result<Array, Exception> {
    let parts = gate_up.split_equal(2, 1)?;
    nn::silu(&parts[0])?.multiply(&parts[1])
}
