//! The short convolution of LFM2: `out(c · conv(b · x))`, with b, c and x from
//! one projection.

use mlx_rs::{Array, error::Exception};

use super::{CausalConv, Context, Linear, by_sequence};

#[derive(Debug, Clone)]
pub struct ShortConv {
    /// To `[b | c | x]`.
    pub input: Linear,
    pub conv: CausalConv,
    pub output: Linear,
}

impl ShortConv {
    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array, at: &mut Context) -> Result<Array, Exception> {
        let parts = self.input.forward(x)?.split_equal(3, 1)?;
        let (gate, x) = (&parts[1], parts[0].multiply(&parts[2])?);
        let dtype = x.dtype();
        let mixed = by_sequence(&x, at, |rows, past| {
            let past = past.as_ref().and_then(|past| past.first());
            let (y, past) = self.conv.forward(rows, past)?;
            Ok((y.as_dtype(dtype)?, vec![past]))
        })?;
        self.output.forward(&gate.multiply(mixed)?)
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let mut arrays = self.input.arrays();
        arrays.extend(self.conv.arrays());
        arrays.extend(self.output.arrays());
        arrays
    }
}
