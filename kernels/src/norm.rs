//! Root-mean-square normalisation.

use pulp::{Arch, Simd, WithSimd};

use crate::simd::dot;

/// `out = x / sqrt(mean(x²) + eps) · weight`, row by row of `width` values.
///
/// # Panics
/// If lengths do not fit.
pub fn rms_norm(x: &[f32], weight: Option<&[f32]>, eps: f32, width: usize, out: &mut [f32]) {
    assert_eq!(x.len(), out.len());
    assert!(weight.is_none_or(|w| w.len() == width));
    Arch::new().dispatch(RmsNorm {
        x,
        weight,
        eps,
        width,
        out,
    });
}

struct RmsNorm<'a> {
    x: &'a [f32],
    weight: Option<&'a [f32]>,
    eps: f32,
    width: usize,
    out: &'a mut [f32],
}

impl WithSimd for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (x, out) in self
            .x
            .chunks_exact(self.width)
            .zip(self.out.chunks_exact_mut(self.width))
        {
            let scale = (dot::<S>(x, x) / self.width as f32 + self.eps)
                .sqrt()
                .recip();
            match self.weight {
                Some(weight) => {
                    for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
                        *out = x * scale * w;
                    }
                }
                None => {
                    for (out, x) in out.iter_mut().zip(x) {
                        *out = x * scale;
                    }
                }
            }
        }
    }
}
