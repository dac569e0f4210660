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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PageHash(pub [u8; 16]);

impl PageHash {
    /// The parent of first pages. `fingerprint` covers everything about the
    /// model that changes keys and values, `mode` is how they are kept, `salt`
    /// keeps users apart.
    pub fn root(fingerprint: &str, mode: &str, salt: &str) -> Self {
        let mut hasher = Sha256::new();
        for part in [fingerprint, mode, salt] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
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

    /// 128 bits are plenty: no one gains by making two prompts collide.
    fn take(hasher: Sha256) -> Self {
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize()[..16]);
        Self(hash)
    }
}

impl std::fmt::Display for PageHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_covers_everything_before_it() {
        let tokens: Vec<u32> = (0..192).collect();
        let root = PageHash::root("model", "plain", "");
        let chain = |tokens: &[u32]| {
            let mut hash = root;
            let pages = tokens.chunks(PAGE_TOKENS);
            let next = |page| {
                hash = hash.child(page);
                hash
            };
            pages.map(next).collect::<Vec<_>>()
        };
        let hashes = chain(&tokens);
        let mut other = tokens.clone();
        other[0] = 7;
        let changed = chain(&other);
        assert!(hashes.iter().zip(&changed).all(|(a, b)| a != b));
        other = tokens.clone();
        other[130] = 7;
        let changed = chain(&other);
        assert_eq!(hashes[..2], changed[..2]);
        assert_ne!(hashes[2], changed[2]);
        assert_ne!(root, PageHash::root("model", "plain", "salt"));
        assert_ne!(root, PageHash::root("model", "affine 8", ""));
        assert_ne!(PageHash::root("ab", "c", ""), PageHash::root("a", "bc", ""));
        assert_eq!(root.to_string().len(), 32);
    }
}
