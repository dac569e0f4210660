//! Multi-head latent attention: the cache holds a latent and one rotated key a
//! token, from which every head's keys and values come.
//!
//! Single rows meet the latents themselves: queries are taken into their space
//! and the result out of it, so that keys and values are never made. For many
//! rows it costs less to make them.

use mlx_rs::{Array, error::Exception, ops};

use super::{Context, Indexer, Linear, Norm, Rope, on_gpu, split};
use crate::{
    mlx::{self, ExpertRows},
    models::{
        spec::{MlaSpec, Temperature},
        step::SequenceRows,
    },
};

#[derive(Debug, Clone)]
pub struct Mla {
    parts: MlaParts,
    rope: Option<Rope>,
    heads: i32,
    rank: i32,
    plain: i32,
    rotated: i32,
    value: i32,
    scale: f32,
    /// Of rotated queries, for keys as well.
    stretch: f32,
    temperature: Option<Temperature>,
}

/// The weights of latent attention.
#[derive(Debug, Clone)]
pub struct MlaParts {
    /// The queries' own latent and its norm, where there is one.
    pub query_down: Option<(Linear, Norm)>,
    pub query: Linear,
    /// To the latent and the key with position.
    pub down: Linear,
    pub norm: Norm,
    /// From the space of queries to that of latents, `[heads, rank, plain]`.
    pub key_up: Array,
    /// `[heads, value, rank]`
    pub value_up: Array,
    pub output: Linear,
    /// Chooses what is attended to.
    pub indexer: Option<Indexer>,
}

impl Mla {
    pub fn new(spec: &MlaSpec, parts: MlaParts) -> Self {
        let magnitude = spec.rope.as_ref().map_or(1.0, Rope::magnitude);
        Self {
            parts,
            rope: spec
                .rope
                .as_ref()
                .map(|rope| Rope::new(rope, spec.rope_dim)),
            heads: spec.heads as i32,
            rank: spec.kv_rank as i32,
            plain: spec.plain_dim as i32,
            rotated: spec.rope_dim as i32,
            value: spec.value_dim as i32,
            scale: spec.scale as f32,
            stretch: (magnitude * magnitude) as f32,
            temperature: spec.temperature,
        }
    }

    pub fn arrays(&self) -> Vec<&Array> {
        let parts = &self.parts;
        let mut arrays = vec![&parts.key_up, &parts.value_up];
        arrays.extend(parts.norm.arrays());
        if let Some((down, norm)) = &parts.query_down {
            arrays.extend(down.arrays());
            arrays.extend(norm.arrays());
        }
        arrays.extend(parts.indexer.iter().flat_map(Indexer::arrays));
        for linear in [&parts.query, &parts.down, &parts.output] {
            arrays.extend(linear.arrays());
        }
        arrays
    }

    /// From `[T, hidden]` to `[T, hidden]`.
    pub fn forward(&self, x: &Array, at: &mut Context) -> Result<Array, Exception> {
        let parts = &self.parts;
        let source = match &parts.query_down {
            Some((down, norm)) => norm.forward(&down.forward(x)?)?,
            None => x.clone(),
        };
        let query = parts.query.forward(&source)?;
        let [latent, key] = split(&parts.down.forward(x)?, self.rank, 1)?;
        // Latents are normed before they are kept.
        let mut rows = vec![query, parts.norm.forward(&latent.contiguous()?)?, key];
        if let Some(indexer) = &parts.indexer {
            rows.extend(indexer.rows(x, &source)?);
        }
        let mixed = self.by_sequence(&rows, at)?;
        parts.output.forward(&mixed)
    }

    /// Single rows at the beginning of a step together, other sequences each.
    fn by_sequence(&self, rows: &[Array], at: &mut Context) -> Result<Array, Exception> {
        let sequences = at.plan.sequences;
        let singles = match self.rope.as_ref().is_none_or(Rope::is_static) {
            true => at.plan.leading_few(1).0,
            false => 0,
        };
        let mut groups = Vec::new();
        if singles > 0 {
            groups.push(&sequences[..singles]);
        }
        groups.extend(sequences[singles..].chunks(1));
        if let [only] = groups[..] {
            return self.mix(rows, only, at);
        }
        let (mut mixed, mut row) = (Vec::with_capacity(groups.len()), 0);
        for group in groups {
            let end = row + group.iter().map(|rows| rows.rows as i32).sum::<i32>();
            let part = |x: &Array| {
                x.split_at_indices(&[row, end], 0)
                    .map(|mut p| p.swap_remove(1))
            };
            let rows: Result<Vec<Array>, _> = rows.iter().map(part).collect();
            mixed.push(self.mix(&rows?, group, at)?);
            row = end;
        }
        ops::concatenate(&mixed, 0)
    }

    /// Queries, latents, keys that are rotated and what the indexer made of one
    /// sequence, or of one row of each of several, to `[T, heads · value]`.
    fn mix(
        &self,
        rows: &[Array],
        sequences: &[SequenceRows],
        at: &mut Context,
    ) -> Result<Array, Exception> {
        let [query, latent, key, index @ ..] = rows else {
            return Err(Exception::custom("latent attention got too few arrays"));
        };
        let (count, total) = (sequences.len() as i32, query.dim(0));
        let rows = total / count;
        let by_head = |x: &Array, heads: i32| {
            let shape = [count, rows, heads, x.dim(1) / heads];
            x.reshape(&shape)?.transpose_axes(&[0, 2, 1, 3])
        };
        let query = match self.temperature {
            None => query.clone(),
            Some(temperature) => {
                query.multiply(temperature.of_rows(sequences).as_dtype(query.dtype())?)?
            }
        };
        let [plain, turned] = split(&by_head(&query, self.heads)?, self.plain, 3)?;
        let turned = turn(self.rope.as_ref(), &turned, sequences)?;
        let turned = match self.stretch {
            1.0 => turned,
            stretch => turned.multiply(Array::from_f32(stretch).as_dtype(turned.dtype())?)?,
        };
        let mut key = turn(self.rope.as_ref(), &by_head(key, 1)?, sequences)?;
        let mut judged = None;
        if let (Some(indexer), [queries, keys, weights]) = (&self.parts.indexer, index) {
            let turned = |x: &Array, heads| turn(indexer.rope(), &by_head(x, heads)?, sequences);
            key = ops::concatenate(&[key, turned(keys, 1)?], 3)?;
            judged = Some((
                turned(queries, indexer.heads())?.split_equal(count, 0)?,
                by_head(weights, indexer.heads())?.split_equal(count, 0)?,
            ));
        }
        let latent = latent.reshape(&[count, 1, rows, self.rank])?;
        let absorbed = self.is_cheaper_absorbed(rows);
        let queries = match absorbed {
            true => self.to_latent(&plain)?,
            false => plain,
        };
        let queries = ops::concatenate(&[queries, turned], 3)?;
        let split_all = |x: &Array| x.split_equal(count, 0);
        let (queries, latent, key) = (split_all(&queries)?, split_all(&latent)?, split_all(&key)?);
        let mut mixed = Vec::with_capacity(sequences.len());
        let each = sequences.iter().zip(queries).zip(latent).zip(key);
        for (place, (((own, q), latent), key)) in each.enumerate() {
            let past = at.kv.update(own.sequence, at.layer, latent, key)?;
            let [latents, mut keys] = past.numbers()?;
            let mut mask = None;
            if let (Some(indexer), Some((queries, weights))) = (&self.parts.indexer, &judged) {
                let [own, index] = split(&keys, self.rotated, 3)?;
                keys = own;
                mask = indexer.mask(&queries[place], &weights[place], &index)?;
            }
            mixed.push(match absorbed {
                true => self.attend(&q, &[latents.clone(), keys], &latents, mask)?,
                false => self.attend_expanded(&q, &latents, &keys, mask)?,
            });
        }
        let mixed = match &mixed[..] {
            [only] => only.clone(),
            parts => ops::concatenate(parts, 0)?,
        };
        let mixed = match absorbed {
            true => self.by_head(&mixed, &self.parts.value_up)?,
            false => mixed,
        };
        let mixed = mixed.transpose_axes(&[0, 2, 1, 3])?;
        mixed.reshape(&[total, self.heads * self.value])
    }

    /// Whether `rows` queries cost less in the space of latents: there, every
    /// key costs more for each of them, but nothing once.
    fn is_cheaper_absorbed(&self, rows: i32) -> bool {
        let absorbed = rows * (2 * self.rank + self.rotated);
        let each = rows * (self.plain + self.rotated + self.value);
        absorbed <= each + self.rank * (self.plain + self.value)
    }

    fn to_latent(&self, plain: &Array) -> Result<Array, Exception> {
        self.by_head(plain, &self.parts.key_up)
    }

    /// `x [B, heads, T, n]` times `w[head]ᵀ`, with `w [heads, m, n]`.
    fn by_head(&self, x: &Array, w: &Array) -> Result<Array, Exception> {
        let (batch, heads, rows, out) = (x.dim(0), self.heads, x.dim(2), w.dim(1));
        if on_gpu() {
            return ops::matmul(x, w.swap_axes(-1, -2)?);
        }
        let flat = x.reshape(&[batch * heads * rows, x.dim(3)])?;
        let ids = (0..batch * heads * rows).map(|row| (row / rows % heads) as u32);
        let ids = Array::from_iter(ids, &[batch * heads * rows]);
        let rows_of = ExpertRows {
            experts: &ids,
            share: 1,
            sorted: false,
        };
        mlx::expert_matmul_t(&flat, w, rows_of)?.reshape(&[batch, heads, rows, out])
    }

    /// Keys and values made from the latents `[1, 1, L, rank]`.
    fn attend_expanded(
        &self,
        q: &Array,
        latents: &Array,
        keys: &Array,
        mask: Option<Array>,
    ) -> Result<Array, Exception> {
        let length = latents.dim(2);
        let latents = latents.reshape(&[length, self.rank])?;
        let expand = |w: &Array| {
            let width = w.dim(1);
            let w = w.reshape(&[self.heads * width, self.rank])?;
            mlx::matmul_t(&latents, &w)?
                .reshape(&[1, length, self.heads, width])?
                .transpose_axes(&[0, 2, 1, 3])
        };
        let plain = expand(&self.parts.key_up.swap_axes(-1, -2)?)?;
        let values = expand(&self.parts.value_up)?;
        let keys = ops::broadcast_to(keys, &[1, self.heads, length, self.rotated])?;
        self.attend(q, &[plain, keys], &values, mask)
    }

    /// Attention to keys whose two parts stand side by side.
    fn attend(
        &self,
        q: &Array,
        keys: &[Array; 2],
        values: &Array,
        mask: Option<Array>,
    ) -> Result<Array, Exception> {
        let keys = ops::concatenate(keys, 3)?;
        let scoring = mlx::Scoring {
            scale: self.scale,
            causal: q.dim(2) > 1 && mask.is_none(),
            mask: mask.as_ref(),
            sinks: None,
            cap: None,
        };
        mlx::attention(q, &keys, values, scoring)
    }
}

/// Rotates the rows of one sequence, or one row of each of several.
fn turn(rope: Option<&Rope>, x: &Array, sequences: &[SequenceRows]) -> Result<Array, Exception> {
    let Some(rope) = rope else {
        return Ok(x.clone());
    };
    if let [only] = sequences {
        return rope.forward(x, only.position);
    }
    let positions = sequences.iter().map(|rows| rows.position);
    let positions = Array::from_iter(positions, &[sequences.len() as i32]);
    rope.forward_each(x, &positions)
}
