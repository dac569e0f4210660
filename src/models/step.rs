//! One pass of a model: which rows, of which sequences, and which logits.
//!
//! Rows are flat: prefill chunks and single decode rows of any number of
//! sequences stand one after another. Everything but attention sees rows only.

use std::{cell::RefCell, collections::HashMap, ops::Range, rc::Rc};

use mlx_rs::{Array, Dtype, error::Exception};

use super::spec::Sight;
use crate::cache::Past;

/// What goes into the first layer.
#[derive(Debug, Clone)]
pub enum Input {
    /// Token ids `[T]`, i32 or u32, each below the vocabulary's size. May be
    /// lazy: the token that the step before has yet to compute.
    Tokens(Array),
    /// Embeddings `[T, hidden]`, for inputs that are not text.
    Embeddings(Array),
}

/// Consecutive rows of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceRows {
    /// The caller's number for the sequence, handed to the KV store.
    pub sequence: usize,
    pub rows: usize,
    /// Position of the first row; the others follow.
    pub position: i32,
    /// How many of the rows, the last ones, are only proposed: they may be taken
    /// back.
    pub proposed: usize,
}

/// Which rows' logits are wanted. The head is a large part of a small model,
/// so prefill asks for as few as it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// None: only keys and values are wanted. The result has no rows.
    None,
    /// The last row of each sequence, in the order of the sequences.
    Last,
    All,
    /// These rows of the step, in this order.
    Only(Vec<u32>),
}

#[derive(Debug, Clone)]
pub struct Step {
    pub input: Input,
    /// Together they make up all rows, in order.
    pub sequences: Vec<SequenceRows>,
    pub logits: Rows,
}

impl Step {
    /// A step of one sequence that wants the logits of its last row.
    pub fn tokens(sequence: usize, tokens: &[u32], position: usize) -> Self {
        Self {
            input: Input::Tokens(Array::from_slice(tokens, &[tokens.len() as i32])),
            sequences: vec![SequenceRows {
                sequence,
                rows: tokens.len(),
                position: position as i32,
                proposed: 0,
            }],
            logits: Rows::Last,
        }
    }
}

/// What the layers of one step share.
#[derive(Debug)]
pub struct Plan<'a> {
    pub sequences: &'a [SequenceRows],
    /// Positions `[T]` when several sequences have one row each.
    pub positions: Option<Array>,
    /// Where one sequence's rows end and the next one's begin.
    pub cuts: Vec<i32>,
    /// The last mask made: layers ask for the same again and again.
    mask: RefCell<Option<(View, Array)>>,
    /// The same for tables of rows.
    tables: RefCell<Vec<(Vec<i32>, Array)>>,
    /// What a layer keeps of a sequence, for later layers: by both.
    lent: RefCell<HashMap<[usize; 2], Rc<Past>>>,
}

impl<'a> Plan<'a> {
    /// # Errors
    /// When the sequences do not make up exactly `rows` rows.
    pub fn new(sequences: &'a [SequenceRows], rows: usize) -> Result<Self, Exception> {
        let total: usize = sequences.iter().map(|s| s.rows).sum();
        if total != rows || rows == 0 || sequences.iter().any(|s| s.rows == 0) {
            return Err(Exception::custom(format!(
                "a step has {rows} rows and its sequences name {total}, each at least one"
            )));
        }
        let ends = sequences.iter().scan(0, |end, s| {
            *end += s.rows as i32;
            Some(*end)
        });
        let positions = (sequences.len() > 1 && rows == sequences.len()).then(|| {
            let positions: Vec<i32> = sequences.iter().map(|s| s.position).collect();
            Array::from_slice(&positions, &[rows as i32])
        });
        Ok(Self {
            sequences,
            positions,
            cuts: ends.take(sequences.len() - 1).collect(),
            mask: RefCell::new(None),
            tables: RefCell::default(),
            lent: RefCell::default(),
        })
    }

    /// Lets later layers look at what one keeps of a sequence.
    pub fn lend(&self, layer_and_sequence: [usize; 2], past: &Rc<Past>) {
        let mut lent = self.lent.borrow_mut();
        lent.insert(layer_and_sequence, Rc::clone(past));
    }

    /// # Errors
    /// When nothing was lent.
    pub fn lent(&self, layer_and_sequence: [usize; 2]) -> Result<Rc<Past>, Exception> {
        let lent = self.lent.borrow();
        lent.get(&layer_and_sequence).cloned().ok_or_else(|| {
            let [layer, _] = layer_and_sequence;
            Exception::custom(format!("layer {layer} lends neither keys nor values"))
        })
    }

    /// The rows that `wanted` names; `None` for all of them.
    pub fn rows(&self, wanted: &Rows) -> Option<Vec<u32>> {
        match wanted {
            Rows::All => None,
            Rows::None => Some(Vec::new()),
            Rows::Only(rows) => Some(rows.clone()),
            // When every sequence has one row, the last rows are all rows.
            Rows::Last if self.positions.is_some() => None,
            Rows::Last => {
                let total: usize = self.sequences.iter().map(|s| s.rows).sum();
                if total == 1 {
                    return None;
                }
                let ends = self
                    .cuts
                    .iter()
                    .map(|end| *end as u32)
                    .chain([total as u32]);
                Some(ends.map(|end| end - 1).collect())
            }
        }
    }

    /// How many sequences at the beginning have at most `most` rows each, and
    /// all their rows.
    pub fn leading_few(&self, most: usize) -> (usize, usize) {
        let sequences = self.sequences.iter();
        let few = sequences.take_while(|sequence| sequence.rows <= most);
        few.fold((0, 0), |(count, rows), sequence| {
            (count + 1, rows + sequence.rows)
        })
    }

    /// `numbers` as an array `[T, fields]`, the same one for all layers that
    /// ask.
    pub fn row_table(&self, numbers: Vec<i32>, fields: usize) -> Array {
        let mut tables = self.tables.borrow_mut();
        if let Some((_, table)) = tables.iter().find(|(known, _)| *known == numbers) {
            return table.clone();
        }
        let rows = (numbers.len() / fields) as i32;
        let table = Array::from_slice(&numbers, &[rows, fields as i32]);
        tables.push((numbers, table.clone()));
        table
    }

    /// What the last `rows` of the tokens at `positions` see.
    pub fn view(&self, sight: Sight, rows: i32, positions: Range<i32>) -> View {
        View {
            sight,
            rows,
            start: positions.start,
            length: positions.end,
        }
    }
}

/// The keys that rows of a sequence see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    pub sight: Sight,
    pub rows: i32,
    /// The position of the first key that there is.
    pub start: i32,
    /// Tokens of the sequence, the rows at their end.
    pub length: i32,
}

impl View {
    /// The position of the first key that any row sees.
    fn first_seen(&self) -> i32 {
        let first = self.length - self.rows;
        let seen = match self.sight {
            Sight::All => 0,
            Sight::Window(window) => first + 1 - window as i32,
            Sight::Chunk(chunk) => first - first % chunk as i32,
        };
        seen.max(self.start)
    }

    /// Keys at the beginning that no row sees.
    pub fn skip(&self) -> i32 {
        self.first_seen() - self.start
    }

    /// `x [1, H, length - start, D]` without what no row sees.
    ///
    /// # Errors
    /// When MLX cannot split.
    pub fn seen(&self, x: Array) -> Result<Array, Exception> {
        let skip = self.skip();
        if skip == 0 {
            return Ok(x);
        }
        x.split_at_indices(&[skip], 2)?
            .pop()
            .ok_or_else(|| Exception::custom("MLX split keys or values wrongly"))
    }

    /// Whether causality alone hides what the rows do not see of the keys that
    /// are left.
    fn is_causal(&self) -> bool {
        let (first, last) = (self.length - self.rows, self.length - 1);
        self.rows == 1
            || match self.sight {
                Sight::All => true,
                Sight::Window(window) => self.length <= window as i32,
                Sight::Chunk(chunk) => first / chunk as i32 == last / chunk as i32,
            }
    }

    /// What is added to the scores `[rows, keys]` where causality alone does
    /// not say it: 0 for what a row sees, else -∞.
    ///
    /// # Errors
    /// When MLX cannot convert to `dtype`.
    pub fn mask(&self, plan: &Plan, dtype: Dtype) -> Result<Option<Array>, Exception> {
        if self.is_causal() {
            return Ok(None);
        }
        let mut kept = plan.mask.borrow_mut();
        if let Some((view, mask)) = &*kept
            && view == self
        {
            return Ok(Some(mask.clone()));
        }
        let visible = |row: i32, key: i32| {
            key <= row
                && match self.sight {
                    Sight::All => true,
                    Sight::Window(window) => row < key + window as i32,
                    Sight::Chunk(chunk) => row / chunk as i32 == key / chunk as i32,
                }
        };
        let (seen, first) = (self.first_seen(), self.length - self.rows);
        let score = |row, key| match visible(row, key) {
            true => 0.0,
            false => f32::NEG_INFINITY,
        };
        let scores: Vec<f32> = (first..self.length)
            .flat_map(|row| (seen..self.length).map(move |key| score(row, key)))
            .collect();
        let mask = Array::from_slice(&scores, &[self.rows, self.length - seen]).as_dtype(dtype)?;
        *kept = Some((*self, mask.clone()));
        Ok(Some(mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(sequence: usize, rows: usize, position: i32) -> SequenceRows {
        SequenceRows {
            sequence,
            rows,
            position,
            proposed: 0,
        }
    }

    #[test]
    fn last_rows_are_the_ends_of_the_sequences() {
        let sequences = [rows(7, 3, 0), rows(2, 1, 9), rows(4, 2, 5)];
        let plan = Plan::new(&sequences, 6).unwrap();
        assert_eq!(plan.cuts, [3, 4]);
        assert_eq!(plan.rows(&Rows::Last), Some(vec![2, 3, 5]));
        assert_eq!(plan.rows(&Rows::All), None);
        assert!(plan.positions.is_none());
    }

    #[test]
    fn single_rows_are_rotated_together() {
        let sequences = [rows(0, 1, 4), rows(1, 1, 8)];
        let plan = Plan::new(&sequences, 2).unwrap();
        let positions = plan.positions.as_ref().unwrap();
        assert_eq!(positions.try_as_slice::<i32>().unwrap(), [4, 8]);
        assert_eq!(plan.rows(&Rows::Last), None);
    }

    #[test]
    fn a_step_whose_rows_do_not_add_up_is_refused() {
        assert!(Plan::new(&[rows(0, 2, 0)], 3).is_err());
        assert!(Plan::new(&[rows(0, 0, 0)], 0).is_err());
        assert!(Plan::new(&[], 0).is_err());
        assert!(Plan::new(&[rows(0, 0, 0), rows(1, 1, 0)], 1).is_err());
    }

    #[test]
    fn a_window_hides_the_future_and_the_distant_past() {
        let sequences = [rows(0, 2, 0)];
        let plan = Plan::new(&sequences, 2).unwrap();
        let scores = |view: View| {
            let mask = view.mask(&plan, Dtype::Float32).unwrap();
            mask.map(|mask| mask.try_as_slice::<f32>().unwrap().to_vec())
        };
        let no = f32::NEG_INFINITY;
        let window = scores(plan.view(Sight::Window(3), 2, 0..4)).unwrap();
        assert_eq!(window, [0.0, 0.0, 0.0, no, no, 0.0, 0.0, 0.0]);
        assert_eq!(scores(plan.view(Sight::Window(3), 2, 0..3)), None);
        assert_eq!(scores(plan.view(Sight::Window(3), 1, 0..9)), None);
        // Rows 3 and 4 of chunks of four: the second sees itself alone.
        let chunk = scores(plan.view(Sight::Chunk(4), 2, 0..5)).unwrap();
        assert_eq!(chunk, [0.0, 0.0, 0.0, 0.0, no, no, no, no, no, 0.0]);
        assert_eq!(scores(plan.view(Sight::Chunk(4), 2, 0..7)), None);
        let keys = Array::from_iter(0..7, &[1, 1, 7, 1]);
        let seen = plan.view(Sight::Chunk(4), 2, 0..7).seen(keys).unwrap();
        assert_eq!(seen.try_as_slice::<i32>().unwrap(), [4, 5, 6]);
        // The same when older keys are gone.
        let late = plan.view(Sight::Window(3), 2, 1..5);
        assert_eq!(late.skip(), 0);
        assert_eq!(scores(late).unwrap(), window);
        assert_eq!(plan.view(Sight::Window(3), 2, 0..5).skip(), 1);
        assert_eq!(plan.view(Sight::Chunk(4), 2, 3..7).skip(), 1);
        assert_eq!(plan.view(Sight::Chunk(4), 2, 4..7).skip(), 0);
    }
}
