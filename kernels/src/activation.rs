//! Gated activations.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::{pieces, simd::exp};

/// `out = silu(gate) · up` for rows `[gate | up]` of `2 * width` values, with
/// silu(g) = g / (1 + e^-g).
///
/// # Panics
/// If lengths do not fit.
pub fn swiglu(gate_up: &[f32], width: usize, out: &mut [f32]) {
    assert_eq!(gate_up.len(), 2 * out.len());
    let rows = out.len() / width.max(1);
    // An exponential costs about sixteen multiply-adds.
    let share = rows.div_ceil(pieces(out.len() * 16)).max(1);
    if share >= rows {
        return Arch::new().dispatch(SwiGlu {
            gate_up,
            width,
            out,
        });
    }
    out.par_chunks_mut(share * width)
        .zip(gate_up.par_chunks(share * 2 * width))
        .for_each(|(out, gate_up)| {
            Arch::new().dispatch(SwiGlu {
                gate_up,
                width,
                out,
            })
        });
}

struct SwiGlu<'a> {
    gate_up: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl WithSimd for SwiGlu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let rows = self.gate_up.chunks_exact(2 * self.width);
        for (row, out) in rows.zip(self.out.chunks_exact_mut(self.width)) {
            let (gate, up) = row.split_at(self.width);
            for ((out, g), u) in out.iter_mut().zip(gate).zip(up) {
                *out = g / (1.0 + exp::<S>(-g)) * u;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition_over_the_whole_range() {
        let gate: Vec<f32> = (-2000..2000).map(|i| i as f32 / 20.0).collect();
        let row: Vec<f32> = gate.iter().chain(&gate).copied().collect();
        let mut out = vec![0.0; gate.len()];
        swiglu(&row, gate.len(), &mut out);
        for (g, got) in gate.iter().zip(out) {
            let g = f64::from(*g);
            let want = g / (1.0 + (-g).exp()) * g;
            assert!(
                (f64::from(got) - want).abs() <= 2e-6 * want.abs().max(1e-3),
                "silu({g}) {got} {want}"
            );
        }
    }
}
