//! Pages: the unit in which KV memory is counted and prefixes are found.

use sha2::{Digest, Sha256};

/// Tokens of a page.
pub const PAGE_TOKENS: usize = 64;

/// Pages that `tokens` tokens touch.
pub fn pages(tokens: usize) -> usize {
    tokens.div_ceil(PAGE_TOKENS)
}

/// Names the content of a page and of all pages before it: the same hash means
/// the same keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageHash(pub [u8; 16]);

impl PageHash {
    /// The parent of first pages. `fingerprint` covers everything about the
    /// model that changes keys and values, `salt` keeps users apart.
    pub fn root(fingerprint: &str, salt: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update((fingerprint.len() as u64).to_le_bytes());
        hasher.update(fingerprint);
        hasher.update(salt);
        Self::take(hasher)
    }

    /// The page of `tokens` that follows this one.
    pub fn child(&self, tokens: &[u32]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        for token in tokens {
            hasher.update(token.to_le_bytes());
        }
        Self::take(hasher)
    }

    /// The hashes of all full pages of `tokens`, in order.
    pub fn chain(self, tokens: &[u32]) -> impl Iterator<Item = Self> {
        tokens.chunks_exact(PAGE_TOKENS).scan(self, |parent, page| {
            *parent = parent.child(page);
            Some(*parent)
        })
    }

    /// 128 bits are plenty: no one gains by making two prompts collide.
    fn take(hasher: Sha256) -> Self {
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize()[..16]);
        Self(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_covers_everything_before_it() {
        let tokens: Vec<u32> = (0..200).collect();
        let root = PageHash::root("model", "");
        let chain: Vec<_> = root.chain(&tokens).collect();
        assert_eq!(chain.len(), 3);
        let mut other = tokens.clone();
        other[0] = 7;
        let changed: Vec<_> = root.chain(&other).collect();
        assert!(chain.iter().zip(&changed).all(|(a, b)| a != b));
        other = tokens.clone();
        other[130] = 7;
        let changed: Vec<_> = root.chain(&other).collect();
        assert_eq!(chain[..2], changed[..2]);
        assert_ne!(chain[2], changed[2]);
        assert_ne!(root, PageHash::root("model", "salt"));
        assert_ne!(PageHash::root("ab", "c"), PageHash::root("a", "bc"));
    }
}
