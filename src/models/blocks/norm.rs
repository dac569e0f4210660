//! Norms over the last axis: `x / √(mean(x²) + ε) · w`, or the same of `x` less
//! its mean, with a bias.

use mlx_rs::{Array, error::Exception, fast};

use crate::mlx;

#[derive(Debug, Clone)]
pub struct Norm {
    /// `[width]`, or of any shape that fits what is normed.
    pub weight: Option<Array>,
    pub bias: Option<Array>,
    pub eps: f32,
    /// Layer norm instead of RMS norm.
    pub centred: bool,
}

impl Norm {
    pub fn rms(weight: Array, eps: f32) -> Self {
        Self {
            weight: Some(weight),
            bias: None,
            eps,
            centred: false,
        }
    }

    pub fn forward(&self, x: &Array) -> Result<Array, Exception> {
        let weight = self.weight.as_ref();
        // MLX wants one weight for all.
        if let Some(own) = weight.filter(|weight| weight.ndim() > 1) {
            let normed = self.bare().forward(x)?.multiply(own)?;
            return match &self.bias {
                Some(bias) => normed.add(bias),
                None => Ok(normed),
            };
        }
        match self.centred {
            true => fast::layer_norm(x, weight, self.bias.as_ref(), self.eps),
            false => mlx::rms_norm(x, weight, self.eps),
        }
    }

    fn bare(&self) -> Self {
        Self {
            weight: None,
            bias: None,
            ..*self
        }
    }

    /// Of each of `groups` equal parts of `x [T, width]`.
    pub fn by_groups(&self, x: &Array, groups: i32) -> Result<Array, Exception> {
        if groups == 1 {
            return self.forward(x);
        }
        let parts = x.reshape(&[x.dim(0), groups, x.dim(1) / groups])?;
        let mut normed = self.bare().forward(&parts)?.reshape(x.shape())?;
        if let Some(weight) = &self.weight {
            normed = normed.multiply(weight)?;
        }
        match &self.bias {
            Some(bias) => normed.add(bias),
            None => Ok(normed),
        }
    }

    /// `x + branch`, and its norm.
    pub fn after(&self, x: &Array, branch: &Array) -> Result<(Array, Array), Exception> {
        if let Some(weight) = self.rms_weight() {
            return mlx::add_norm(x, branch, weight, self.eps);
        }
        let sum = x.add(branch)?;
        let normed = self.forward(&sum)?;
        Ok((sum, normed))
    }

    /// The weight, if that is all that an RMS norm needs to know beside ε.
    pub fn rms_weight(&self) -> Option<&Array> {
        let weight = self.weight.as_ref();
        weight.filter(|weight| !self.centred && weight.ndim() == 1)
    }

    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.weight.iter().chain(&self.bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_norm_takes_off_the_mean() {
        let x = Array::from_slice(&[1.0f32, 2.0, 3.0, 6.0], &[1, 4]);
        let norm = Norm {
            weight: Some(Array::from_slice(&[1.0f32, 1.0, 2.0, 1.0], &[4])),
            bias: Some(Array::from_slice(&[0.0f32, 0.5, 0.0, 0.0], &[4])),
            eps: 0.0,
            centred: true,
        };
        let deviation = 3.5f32.sqrt();
        let expected = [
            -2.0 / deviation,
            0.5 - 1.0 / deviation,
            0.0,
            3.0 / deviation,
        ];
        let close = |got: &Array| {
            let got = got.to_vec_cast::<f32>().unwrap();
            got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5)
        };
        assert!(close(&norm.forward(&x).unwrap()));
        let half = x.multiply(Array::from_f32(0.5)).unwrap();
        let (sum, normed) = norm.after(&half, &half).unwrap();
        assert_eq!(sum.to_vec_cast::<f32>().unwrap(), [1.0, 2.0, 3.0, 6.0]);
        assert!(close(&normed));
    }
}
