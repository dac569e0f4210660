//! Norms: of what kind they are, and where those of a layer stand.

/// The norm of hidden states: `(x − m) / √(mean((x − m)²) + ε) · w + b`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormSpec {
    /// `m` is the mean of `x` (layer norm); otherwise 0 (RMS norm).
    pub centred: bool,
    /// Whether there is a `w`, and a `b`.
    pub weight: bool,
    pub bias: bool,
    pub offset: NormOffset,
    pub eps: f32,
}

/// What is added to the weights of the norms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormOffset {
    None,
    /// Weights are kept as distances from 1.
    One,
    /// They are in what the makers published, and not any more in what was
    /// converted for MLX: told apart by how convolutions are stored.
    OneIfPublished,
    /// Distances from 1, but after mixers from 5⁻¹ and after MLPs from 5^-1.5
    /// (PLaMo 2).
    Fifths,
    /// The same, told apart by a tensor that layers of published ones have.
    OneIfStored(&'static str),
}

/// Norms around the mixer and the MLP, each of which is added to its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormPlaces {
    /// `x + f(norm(x))`
    Before,
    /// `x + norm(f(x))`
    After,
    /// `x + norm(f(norm(x)))`
    Around,
    /// Mixer and MLP see the same: `x + f(n) + g(n)` with `n = norm(x)`.
    Shared,
    /// They are side by side, with norms of their own: `x + f(norm(x)) +
    /// g(norm(x))`.
    Beside,
}

impl NormSpec {
    pub const fn rms(eps: f32) -> Self {
        Self {
            centred: false,
            weight: true,
            bias: false,
            offset: NormOffset::None,
            eps,
        }
    }

    pub const fn layer(eps: f32, bias: bool) -> Self {
        Self {
            centred: true,
            bias,
            ..Self::rms(eps)
        }
    }

    /// Numbers that it has for `width` numbers.
    pub fn parameters(&self, width: usize) -> usize {
        (usize::from(self.weight) + usize::from(self.bias)) * width
    }
}

impl NormPlaces {
    /// Whether there is a norm before the mixer, and one before the MLP.
    pub fn before(self) -> [bool; 2] {
        match self {
            Self::Before | Self::Around | Self::Beside => [true, true],
            Self::Shared => [true, false],
            Self::After => [false, false],
        }
    }

    /// Whether there is a norm after each.
    pub fn after(self) -> bool {
        matches!(self, Self::After | Self::Around)
    }

    /// Whether mixer and MLP are side by side.
    pub fn is_parallel(self) -> bool {
        matches!(self, Self::Shared | Self::Beside)
    }
}
