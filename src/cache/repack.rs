//! Pages that are plain in memory and packed on the disk.
//!
//! First pages stay plain there too, and so does what a mode leaves plain in
//! memory. A page of which anything is packed already is not packed again.

use mlx_rs::{Array, Dtype, error::Exception};

use super::{PageContent, Scheme, scheme::LayerPacking};
use crate::mlx;

impl Scheme {
    /// A page as this scheme keeps it; the first one of a prompt stays as it is.
    ///
    /// # Errors
    /// When MLX refuses an operation.
    pub(super) fn pack(&self, page: PageContent, first: bool) -> Result<PageContent, Exception> {
        if first || page.arrays().any(is_packed) {
            return Ok(page);
        }
        self.each(page, packed)
    }

    /// What [`Self::pack`] was given, as exactly as its mode keeps it. Pages
    /// that `memory` packs are left as they are.
    ///
    /// # Errors
    /// When MLX refuses an operation.
    pub(super) fn unpack(
        &self,
        page: PageContent,
        memory: &Self,
    ) -> Result<PageContent, Exception> {
        if memory.packs() {
            return Ok(page);
        }
        self.each(page, unpacked)
    }

    /// Changes the layers that the scheme packs.
    fn each(
        &self,
        mut page: PageContent,
        change: impl Fn([Array; 2], &LayerPacking) -> Result<[Array; 2], Exception>,
    ) -> Result<PageContent, Exception> {
        for (at, layer) in page.layers.iter_mut().enumerate() {
            if let Some(packing) = self.layer(at)
                && let Some(rows) = layer.take()
            {
                *layer = Some(change(rows, packing)?);
            }
        }
        Ok(page)
    }
}

fn is_packed(array: &Array) -> bool {
    array.dtype() == Dtype::Uint32
}

fn packed([keys, values]: [Array; 2], how: &LayerPacking) -> Result<[Array; 2], Exception> {
    let [keys, values] = match &how.rotation {
        Some(rotation) => [rotation.rotate(&keys)?, rotation.rotate(&values)?],
        None => [keys, values],
    };
    let [of_keys, of_values] = &how.packing;
    Ok([
        mlx::pack_rows(&keys, of_keys)?,
        mlx::pack_rows(&values, of_values)?,
    ])
}

/// Numbers of records; numbers are left as they are.
fn unpacked([keys, values]: [Array; 2], how: &LayerPacking) -> Result<[Array; 2], Exception> {
    if !is_packed(&keys) {
        return Ok([keys, values]);
    }
    let [of_keys, of_values] = &how.packing;
    let keys = mlx::unpack_rows(&keys, of_keys, how.dtype)?;
    let values = mlx::unpack_rows(&values, of_values, how.dtype)?;
    match &how.rotation {
        Some(rotation) => Ok([rotation.rotate_back(&keys)?, rotation.rotate_back(&values)?]),
        None => Ok([keys, values]),
    }
}
