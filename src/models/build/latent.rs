//! The weights of latent attention.

use mlx_rs::Array;

use super::Builder;
use crate::models::{
    ModelError,
    blocks::{Indexer, IndexerParts, Matrix, Mla, MlaParts, Norm},
    spec::{IndexerSpec, MlaSpec},
    weights::ExpertNames,
};

impl Builder<'_> {
    /// The name of a part of latent attention within its layer.
    fn latent(&self, part: &str) -> String {
        format!("{}.{part}", self.spec.names.latent)
    }

    pub(super) fn mla(&mut self, spec: &MlaSpec) -> Result<Mla, ModelError> {
        let hidden = self.spec.hidden;
        let width = spec.heads * spec.query_dim();
        let (query_down, query) = match spec.query_rank {
            None => (
                None,
                self.linear(&self.latent("q_proj"), width, hidden, false)?,
            ),
            Some(rank) => {
                let down = self.linear(&self.latent("q_a_proj"), rank, hidden, spec.bias)?;
                let norm = self.latent_norm(&self.latent("q_a_layernorm"), rank, spec, 0)?;
                let up = self.linear(&self.latent("q_b_proj"), width, rank, false)?;
                (Some((down, norm)), up)
            }
        };
        let latent = spec.kv_rank + spec.rope_dim;
        let down = self.linear(
            &self.latent("kv_a_proj_with_mqa"),
            latent,
            hidden,
            spec.bias,
        )?;
        let norm = self.latent_norm(&self.latent("kv_a_layernorm"), spec.kv_rank, spec, 1)?;
        let (key_up, value_up) = self.latent_up(spec)?;
        let values = spec.heads * spec.value_dim;
        let parts = MlaParts {
            query_down,
            query,
            down,
            norm,
            key_up,
            value_up,
            output: self.linear(&self.latent("o_proj"), hidden, values, spec.bias)?,
            indexer: match &spec.indexer {
                Some(indexer) => Some(self.indexer(spec, indexer)?),
                None => None,
            },
        };
        Ok(Mla::new(spec, parts))
    }

    fn indexer(&mut self, mla: &MlaSpec, spec: &IndexerSpec) -> Result<Indexer, ModelError> {
        /// As PyTorch and MLX have it where nobody says.
        const EPS: f32 = 1e-5;
        let (hidden, rank) = (self.spec.hidden, mla.query_rank.unwrap_or(self.spec.hidden));
        let width = spec.heads * spec.dim;
        let parts = IndexerParts {
            query: self.linear(&self.latent("indexer.wq_b"), width, rank, false)?,
            key: self.linear(&self.latent("indexer.wk"), spec.dim, hidden, false)?,
            norm: Norm {
                weight: Some(self.tensor(&self.latent("indexer.k_norm.weight"), &[spec.dim])?),
                bias: Some(self.tensor(&self.latent("indexer.k_norm.bias"), &[spec.dim])?),
                eps: EPS,
                centred: true,
            },
            weights: self.linear(
                &self.latent("indexer.weights_proj"),
                spec.heads,
                hidden,
                false,
            )?,
        };
        Ok(Indexer::new(mla, spec, parts))
    }

    /// Of the queries' latent (0) or the other (1), with its scale.
    fn latent_norm(
        &mut self,
        part: &str,
        length: usize,
        spec: &MlaSpec,
        which: usize,
    ) -> Result<Norm, ModelError> {
        let (eps, scale) = (spec.norm_eps, spec.latent_scales[which]);
        let mut norm = self.norm(self.in_layer(part), length)?;
        if let (Some(weight), true) = (&mut norm.weight, scale != 1.0) {
            *weight = weight.multiply(Array::from_f32(scale).as_dtype(weight.dtype())?)?;
        }
        Ok(Norm { eps, ..norm })
    }

    /// What makes keys and values of latents, `[heads, rank, plain]` and
    /// `[heads, value, rank]`: stored by head, or as one matrix that makes both
    /// for one head after another. Not quantised: heads use it both ways.
    fn latent_up(&mut self, spec: &MlaSpec) -> Result<(Array, Array), ModelError> {
        let (heads, rank) = (spec.heads, spec.kv_rank);
        let (plain, value) = (spec.plain_dim, spec.value_dim);
        let key_module = self.in_layer(&self.latent("embed_q"));
        if self
            .source
            .stored(&format!("{key_module}.weight"))
            .is_some()
        {
            let key = self.by_head(key_module, [heads, rank, plain])?;
            let value_module = self.in_layer(&self.latent("unembed_out"));
            return Ok((key, self.by_head(value_module, [heads, value, rank])?));
        }
        let both = self.in_layer(&self.latent("kv_b_proj"));
        let both = self.source.matrix(&both, heads * (plain + value), rank)?;
        let shape = [heads, plain + value, rank].map(|n| n as i32);
        let both = self.unpacked(&both)?.reshape(&shape)?;
        let mut parts = both.split_at_indices(&[plain as i32], 1)?;
        let value = parts.swap_remove(1).contiguous()?;
        let key = parts.swap_remove(0).swap_axes(-1, -2)?.contiguous()?;
        Ok((key, value))
    }

    fn by_head(&mut self, module: String, shape: [usize; 3]) -> Result<Array, ModelError> {
        let names = ExpertNames {
            each: format!("{module}.{{}}"),
            stacked: module,
        };
        let matrix = self.source.experts(&names, shape)?;
        self.unpacked(&matrix)
    }

    fn unpacked(&self, matrix: &Matrix) -> Result<Array, ModelError> {
        Ok(match matrix {
            Matrix::Dense(weight) => weight.clone(),
            packed => packed.dense(self.precision.activations)?,
        })
    }
}
