//! Which proposals are kept, so that the answer's distribution stays exact.
//!
//! A proposal that was not drawn but looked up, or is the draft's likeliest
//! token, is a distribution of one point. Then it is enough to draw the row's
//! token as ever and to go on while it equals the proposal: a proposal x comes
//! with probability p(x), and any other token with what p leaves without x. The
//! token is that of the same number without proposals, so greedy and seeded
//! requests cannot tell the difference.
//!
//! A proposal drawn from a draft's distribution q is kept with probability
//! min(1, p(x)/q(x)); otherwise the token is drawn from max(0, p - q),
//! normalised (Leviathan, Kalman and Matias 2023; Chen et al. 2023). More are
//! kept so, but which token comes then depends on whether one was proposed.

use mlx_rs::{Array, error::Exception, ops};

use super::draft::DraftRow;

/// How many of a sequence's `sampled` tokens count, one more than `proposals`
/// each: those up to the first that is not the proposal, that one included.
pub(in crate::engine) fn kept(sampled: &[u32], proposals: &[u32]) -> usize {
    let pairs = sampled.iter().zip(proposals);
    let accepted = pairs.take_while(|(token, proposal)| token == proposal);
    (accepted.count() + 1).min(sampled.len())
}

/// Rows that a draft has made proposals for.
#[derive(Debug)]
pub(in crate::engine) struct Verdict {
    /// Whether the proposal stays, and the proposal, `[B]`.
    accepted: Array,
    proposals: Array,
    /// What to draw from where it does not, `[B, V]`, not normalised.
    pub rest: Array,
}

impl Verdict {
    /// Judges proposals by what the model gives each token, `weights [B, V]`,
    /// not normalised.
    pub fn new(weights: &Array, rows: &[&DraftRow]) -> Result<Self, Exception> {
        let p = weights.divide(weights.sum_axis(-1, true)?)?;
        let q: Vec<&Array> = rows.iter().map(|row| &row.probabilities).collect();
        let q = ops::concatenate(&q, 0)?;
        let proposals: Vec<&Array> = rows.iter().map(|row| &row.token).collect();
        let proposals = ops::concatenate(&proposals, 0)?;
        let count = rows.len() as i32;
        let column = proposals.reshape(&[count, 1])?;
        let at = |of: &Array| ops::indexing::take_along_axis(of, &column, -1)?.reshape(&[count]);
        let numbers: Vec<f32> = rows.iter().map(|row| row.number).collect();
        let numbers = Array::from_slice(&numbers, &[count]);
        Ok(Self {
            accepted: at(&q)?.multiply(numbers)?.lt(at(&p)?)?,
            proposals,
            rest: ops::maximum(p.subtract(q)?, Array::from_f32(0.0))?,
        })
    }

    /// The tokens `[B]`: proposals that stay, and what was `drawn` from the
    /// rest.
    pub fn tokens(&self, drawn: &Array) -> Result<Array, Exception> {
        ops::select(&self.accepted, &self.proposals, drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_differs_is_the_last_to_count() {
        assert_eq!(kept(&[1, 2, 3], &[1, 2]), 3);
        assert_eq!(kept(&[1, 9, 3], &[1, 2]), 2);
        assert_eq!(kept(&[9, 2, 3], &[1, 2]), 1);
        assert_eq!(kept(&[9], &[]), 1);
        assert_eq!(kept(&[], &[]), 0);
    }
}
