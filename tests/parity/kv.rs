//! The plainest possible KV store: one growing array a sequence and layer.

use std::collections::HashMap;

use maquette::cache::{KvStore, Past, Taken};
use mlx_rs::{Array, error::Exception, ops};

#[derive(Default)]
pub struct GrowingKv {
    kept: HashMap<(usize, usize), (Array, Array)>,
    states: HashMap<(usize, usize), Vec<Array>>,
}

impl KvStore for GrowingKv {
    fn update(
        &mut self,
        sequence: usize,
        layer: usize,
        keys: Array,
        values: Array,
    ) -> Result<Past, Exception> {
        let (keys, values) = match self.kept.get(&(sequence, layer)) {
            None => (keys, values),
            Some((k, v)) => (
                ops::concatenate(&[k, &keys], 2)?,
                ops::concatenate(&[v, &values], 2)?,
            ),
        };
        self.kept
            .insert((sequence, layer), (keys.clone(), values.clone()));
        Ok(Past::plain(keys, values))
    }

    fn state(&mut self, sequence: usize, layer: usize) -> Result<Option<Vec<Array>>, Exception> {
        Ok(self.states.get(&(sequence, layer)).cloned())
    }

    fn set_state(
        &mut self,
        sequence: usize,
        layer: usize,
        _: Taken,
        state: Vec<Array>,
    ) -> Result<(), Exception> {
        self.states.insert((sequence, layer), state);
        Ok(())
    }
}
