//! Normally distributed numbers that are the same everywhere and every time.

/// SplitMix64 (Steele, Lea and Flood 2014) and Box and Muller's transform.
pub struct Normal {
    state: u64,
    spare: Option<f64>,
}

impl Normal {
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            spare: None,
        }
    }

    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.state;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// In (0, 1].
    fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    pub fn next(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (radius, turn) = (self.uniform(), self.uniform());
        let radius = (-2.0 * radius.ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * turn).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }
}
