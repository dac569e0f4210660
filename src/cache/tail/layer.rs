//! What a layer keeps of one sequence: the first page and the latest tokens as
//! they are, full pages between them packed where the mode says so.

use mlx_rs::{Array, Dtype, error::Exception, transforms::eval};

use super::run::{GROWTH, Run, Slice, form};
use crate::{
    cache::{page::PAGE_TOKENS, scheme::LayerPacking},
    mlx::{self, Segment},
};

#[derive(Debug, Clone)]
pub struct Layer {
    /// The first page and the packed ones after it, once there are any.
    sealed: Option<Sealed>,
    /// The latest tokens: all of them where nothing is sealed.
    pub recent: Run,
}

#[derive(Debug, Clone)]
struct Sealed {
    first: Run,
    packed: Run,
}

impl Layer {
    pub fn new(recent: Run) -> Self {
        Self {
            sealed: None,
            recent,
        }
    }

    pub fn length(&self) -> usize {
        self.recent.end
    }

    pub fn bytes(&self) -> u64 {
        self.runs().map(Run::bytes).sum()
    }

    pub fn arrays(&self) -> impl Iterator<Item = &Array> {
        self.runs().flat_map(|run| &run.buffers)
    }

    /// In the order of their positions.
    fn runs(&self) -> impl Iterator<Item = &Run> {
        let sealed = self.sealed.iter();
        let sealed = sealed.flat_map(|sealed| [&sealed.first, &sealed.packed]);
        sealed.chain([&self.recent])
    }

    /// Everything it has, as attention reads it.
    pub fn segments(&self, packing: Option<&LayerPacking>) -> Result<Vec<Segment>, Exception> {
        let mut segments = Vec::with_capacity(3);
        for run in self.runs().filter(|run| run.count() > 0) {
            let [keys, values] = run.view()?;
            let packed = keys.dtype() == Dtype::Uint32;
            let packing = packing.filter(|_| packed).map(|p| p.packing.clone());
            segments.push(Segment {
                keys,
                values,
                packing,
            });
        }
        Ok(segments)
    }

    /// The position of the first token that it still has.
    pub fn start(&self) -> usize {
        let sealed = self.sealed.as_ref();
        sealed.map_or(self.recent.start, |sealed| sealed.first.start)
    }

    /// Gives up all tokens before `keep`, and the room of their buffers: there
    /// will be room for `capacity` tokens. Nothing of it is sealed.
    pub fn slide(&mut self, keep: usize, capacity: usize) -> Result<(), Exception> {
        if let Some(kept) = self.recent.slice(keep, self.length()) {
            self.recent = Run::joined(&[kept], keep, capacity)?;
        }
        Ok(())
    }

    /// Its tokens between two positions.
    pub fn slices(&self, from: usize, to: usize) -> Vec<Slice> {
        self.runs().filter_map(|run| run.slice(from, to)).collect()
    }

    /// Packs what has become full pages. Lazy, like every write.
    pub fn pack(&mut self, packing: &LayerPacking, reserve: usize) -> Result<(), Exception> {
        let full = self.length() / PAGE_TOKENS * PAGE_TOKENS;
        if full <= self.recent.start.max(PAGE_TOKENS) {
            return Ok(());
        }
        let latest = self.recent.slice(full, self.length());
        let forms = [form(&self.recent.buffers[0]), form(&self.recent.buffers[1])];
        let mut sealed = match self.sealed.take() {
            Some(sealed) => sealed,
            None => Sealed::new(&self.recent, packing, reserve.max(full))?,
        };
        if let Some(slice) = self.recent.slice(PAGE_TOKENS, full) {
            let records = packed(&slice, packing)?;
            sealed.packed.make_room(slice.count, reserve)?;
            sealed.packed.write([&records[0], &records[1]])?;
        }
        self.recent = match latest {
            Some(latest) => Run::joined(&[latest], full, GROWTH)?,
            None => Run::empty(forms, full, GROWTH)?,
        };
        self.sealed = Some(sealed);
        Ok(())
    }

    /// A layer of `parts`, one after the other, that begin at `start`, with room
    /// for `reserve` tokens. Packed layers begin at 0.
    ///
    /// Lazy: evaluate before anything writes into the parts' buffers in place.
    pub fn gather(
        parts: &[Slice],
        start: usize,
        packing: Option<&LayerPacking>,
        reserve: usize,
    ) -> Result<Self, Exception> {
        let length: usize = parts.iter().map(|part| part.count).sum();
        let capacity = length.max(reserve).next_multiple_of(GROWTH);
        let full = length / PAGE_TOKENS * PAGE_TOKENS;
        let Some(packing) = packing.filter(|_| full > PAGE_TOKENS) else {
            let parts = as_numbers(parts, packing)?;
            return Run::joined(&parts, start, capacity).map(Self::new);
        };
        let first = as_numbers(&between(parts, 0, PAGE_TOKENS), Some(packing))?;
        let first = Run::joined(&first, 0, PAGE_TOKENS)?;
        let middle = between(parts, PAGE_TOKENS, full);
        let middle: Result<Vec<Slice>, Exception> = middle
            .iter()
            .map(|part| packed(part, packing).map(Slice::whole))
            .collect();
        let latest = as_numbers(&between(parts, full, length), Some(packing))?;
        let recent = match latest.as_slice() {
            [] => {
                let forms = [form(&first.buffers[0]), form(&first.buffers[1])];
                Run::empty(forms, full, GROWTH)?
            }
            latest => Run::joined(latest, full, GROWTH)?,
        };
        let packed = Run::joined(&middle?, PAGE_TOKENS, capacity - PAGE_TOKENS)?;
        Ok(Self {
            sealed: Some(Sealed { first, packed }),
            recent,
        })
    }

    /// Forgets all tokens from `length` on.
    pub fn truncate(
        &mut self,
        length: usize,
        packing: Option<&LayerPacking>,
        reserve: usize,
    ) -> Result<(), Exception> {
        if length >= self.recent.start {
            self.recent.end = self.recent.end.min(length);
            return Ok(());
        }
        let cut = Self::gather(&self.slices(0, length), 0, packing, reserve)?;
        eval(cut.arrays())?;
        *self = cut;
        Ok(())
    }

    /// The tokens between two positions in buffers of their own: records if
    /// they are a full page after the first of a packed layer.
    pub fn cut(
        &self,
        from: usize,
        to: usize,
        packing: Option<&LayerPacking>,
    ) -> Result<[Array; 2], Exception> {
        let parts = self.slices(from, to);
        let parts = match packing {
            Some(packing) if from > 0 && to - from == PAGE_TOKENS => parts
                .iter()
                .map(|part| packed(part, packing).map(Slice::whole))
                .collect::<Result<_, _>>()?,
            _ => as_numbers(&parts, packing)?,
        };
        Run::joined(&parts, from, to - from).map(|run| run.buffers)
    }
}

impl Sealed {
    /// The first page of `run`, and an empty run of packed tokens.
    fn new(run: &Run, packing: &LayerPacking, reserve: usize) -> Result<Self, Exception> {
        let first = run.slice(0, PAGE_TOKENS);
        let first = first.ok_or_else(|| Exception::custom("a sequence lacks its first page"))?;
        let form = |which: usize| {
            let words = packing.packing[which].words() as i32;
            ([run.buffers[which].dim(1), words], Dtype::Uint32)
        };
        let capacity = (reserve - PAGE_TOKENS).next_multiple_of(GROWTH);
        Ok(Self {
            first: Run::joined(&[first], 0, PAGE_TOKENS)?,
            packed: Run::empty([form(0), form(1)], PAGE_TOKENS, capacity)?,
        })
    }
}

/// The parts of `parts`, which begin at position 0, between two positions.
fn between(parts: &[Slice], from: usize, to: usize) -> Vec<Slice> {
    let mut start = 0;
    let mut found = Vec::new();
    for part in parts {
        let (low, high) = (from.max(start), to.min(start + part.count));
        if low < high {
            found.push(part.part_of(low - start, high - low));
        }
        start += part.count;
    }
    found
}

/// Records of a slice's tokens.
fn packed(slice: &Slice, packing: &LayerPacking) -> Result<[Array; 2], Exception> {
    let rows = [slice.rows(0)?, slice.rows(1)?];
    if slice.is_packed() {
        return Ok(rows);
    }
    let [keys, values] = &packing.packing;
    Ok([
        mlx::pack_rows(&rows[0], keys)?,
        mlx::pack_rows(&rows[1], values)?,
    ])
}

/// The slices, those of records unpacked.
fn as_numbers(parts: &[Slice], packing: Option<&LayerPacking>) -> Result<Vec<Slice>, Exception> {
    let plain = parts.iter().find(|part| !part.is_packed());
    let dtype = plain.map(|part| part.arrays[0].dtype());
    let one = |part: &Slice| -> Result<Slice, Exception> {
        let Some(packing) = packing.filter(|_| part.is_packed()) else {
            return Ok(part.clone());
        };
        let dtype = dtype.unwrap_or(packing.dtype);
        let [keys, values] = &packing.packing;
        Ok(Slice::whole([
            mlx::unpack_rows(&part.rows(0)?, keys, dtype)?,
            mlx::unpack_rows(&part.rows(1)?, values, dtype)?,
        ]))
    };
    parts.iter().map(one).collect()
}
