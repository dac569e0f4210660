//! Pages as bytes: what tiers below the device's memory keep.
//!
//! Not responsible for where the bytes go, nor for their being right.

use mlx_rs::{Array, Dtype, error::Exception};

use super::{PageContent, PageHash, Snapshot};
use crate::mlx;

/// Keys or values of one layer, or a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<B> {
    pub dtype: Dtype,
    pub shape: Vec<i32>,
    pub bytes: B,
}

/// A page on its way to a lower tier, or from it: `B` is `Vec<u8>` or `&[u8]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PageImage<B> {
    pub hash: PageHash,
    pub parent: PageHash,
    pub tokens: Vec<u32>,
    pub layers: Vec<Option<[Tensor<B>; 2]>>,
    /// The states of its snapshot, by layer, if it has one.
    pub states: Option<Vec<Option<Vec<Tensor<B>>>>>,
}

impl Tensor<Vec<u8>> {
    fn of(array: &Array) -> Result<Self, Exception> {
        Ok(Self {
            dtype: array.dtype(),
            shape: array.shape().to_vec(),
            bytes: mlx::bytes(&array.contiguous()?)?,
        })
    }
}

impl<B: AsRef<[u8]>> Tensor<B> {
    fn parts(&self) -> mlx::Bytes<'_> {
        (self.bytes.as_ref(), &self.shape, self.dtype)
    }

    fn array(&self) -> Result<Array, Exception> {
        mlx::from_bytes(self.bytes.as_ref(), &self.shape, self.dtype)
    }
}

impl PageImage<Vec<u8>> {
    /// A page and its snapshot, if it has one. Waits for their arrays.
    ///
    /// # Errors
    /// When they cannot be computed.
    pub fn of(
        [hash, parent]: [PageHash; 2],
        tokens: &[u32],
        content: &PageContent,
        snapshot: Option<&Snapshot>,
    ) -> Result<Self, Exception> {
        let layer = |layer: &Option<[Array; 2]>| match layer {
            None => Ok(None),
            Some([keys, values]) => Ok(Some([Tensor::of(keys)?, Tensor::of(values)?])),
        };
        let carried = |states: &Option<Vec<Array>>| {
            let states = states.as_ref();
            let tensors = states.map(|states| states.iter().map(Tensor::of).collect());
            tensors.transpose()
        };
        let layers: Result<_, Exception> = content.layers.iter().map(layer).collect();
        let states = snapshot.map(|snapshot| snapshot.states.iter().map(carried).collect());
        let states: Result<_, Exception> = states.transpose();
        Ok(Self {
            hash,
            parent,
            tokens: tokens.to_vec(),
            layers: layers?,
            states: states?,
        })
    }
}

impl<B: AsRef<[u8]>> PageImage<B> {
    pub fn bytes(&self) -> u64 {
        byte_count(self.contents()) + self.state_bytes()
    }

    pub fn state_bytes(&self) -> u64 {
        byte_count(self.state_tensors())
    }

    /// Keys and values, layer by layer.
    pub fn contents(&self) -> impl Iterator<Item = &Tensor<B>> {
        self.layers.iter().flatten().flatten()
    }

    pub fn state_tensors(&self) -> impl Iterator<Item = &Tensor<B>> {
        self.states.iter().flatten().flatten().flatten()
    }

    /// The arrays of the page, each `[1, heads, tokens, width]`.
    ///
    /// # Errors
    /// When they have other shapes.
    pub fn content(&self) -> Result<PageContent, Exception> {
        let odd = |tensor: &&Tensor<B>| match tensor.shape[..] {
            [1, _, tokens, _] => tokens as usize != self.tokens.len(),
            _ => true,
        };
        if let Some(odd) = self.contents().find(odd) {
            return Err(Exception::custom(format!(
                "a page of {} tokens has keys or values {:?}",
                self.tokens.len(),
                odd.shape
            )));
        }
        let parts: Vec<mlx::Bytes> = self.contents().map(Tensor::parts).collect();
        let mut arrays = mlx::arrays_from_bytes(&parts)?.into_iter();
        let mut layer = || Some([arrays.next()?, arrays.next()?]);
        let layers = self.layers.iter();
        let layers = layers.map(|kept| kept.as_ref().and_then(|_| layer()));
        Ok(PageContent {
            layers: layers.collect(),
        })
    }

    /// Its snapshot, if it has one; the page ends after `tokens` tokens.
    ///
    /// # Errors
    /// When MLX refuses an array.
    pub fn snapshot(&self, tokens: usize) -> Result<Option<Snapshot>, Exception> {
        let carried = |states: &Option<Vec<Tensor<B>>>| {
            let arrays = |states: &Vec<Tensor<B>>| states.iter().map(Tensor::array).collect();
            states.as_ref().map(arrays).transpose()
        };
        let Some(states) = &self.states else {
            return Ok(None);
        };
        let states: Result<_, Exception> = states.iter().map(carried).collect();
        Ok(Some(Snapshot {
            tokens,
            states: states?,
        }))
    }
}

pub(super) fn byte_count<'a, B: AsRef<[u8]> + 'a>(
    tensors: impl Iterator<Item = &'a Tensor<B>>,
) -> u64 {
    let bytes = tensors.map(|tensor| tensor.bytes.as_ref().len() as u64);
    bytes.sum()
}
