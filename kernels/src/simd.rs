//! Small helpers that every kernel's inner loop shares.

use pulp::Simd;

/// Lanes that inner loops work on: one 512-bit register, two of 256 bits.
pub const LANES: usize = 16;

/// `a * b + c`, fused where the instruction set has it: without one, a fused
/// multiply-add is a slow library call.
#[inline(always)]
pub fn fma<S: Simd>(a: f32, b: f32, c: f32) -> f32 {
    if S::IS_SCALAR {
        a * b + c
    } else {
        a.mul_add(b, c)
    }
}

/// Adds the lanes pairwise, so that every instruction set rounds alike.
#[inline(always)]
pub fn horizontal_sum(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Four accumulators hide the latency of the multiply-add.
#[inline(always)]
pub fn dot<S: Simd>(a: &[f32], b: &[f32]) -> f32 {
    const BLOCK: usize = 4 * LANES;
    let mut sums = [[0.0; LANES]; 4];
    let (a_blocks, a_rest) = a.as_chunks::<BLOCK>();
    let (b_blocks, b_rest) = b.as_chunks::<BLOCK>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for (part, sum) in sums.iter_mut().enumerate() {
            for i in 0..LANES {
                sum[i] = fma::<S>(x[part * LANES + i], y[part * LANES + i], sum[i]);
            }
        }
    }
    let mut lanes = [0.0; LANES];
    for (i, lane) in lanes.iter_mut().enumerate() {
        *lane = (sums[0][i] + sums[1][i]) + (sums[2][i] + sums[3][i]);
    }
    let mut total = horizontal_sum(lanes);
    for (x, y) in a_rest.iter().zip(b_rest) {
        total = fma::<S>(*x, *y, total);
    }
    total
}

/// `e^x` to two units in the last place, without a branch so that it
/// vectorises: x = n ln 2 + r, a degree-6 polynomial in r (Cephes), then n goes
/// into the exponent. Flushes to 0 below -87.3.
#[inline(always)]
pub fn exp<S: Simd>(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.3, 88.7);
    // Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let n = fma::<S>(clamped, LOG2_E, ROUND) - ROUND;
    let r = fma::<S>(n, -LN2_HIGH, clamped);
    let r = fma::<S>(n, -LN2_LOW, r);
    let mut p = 1.987_569_2e-4;
    for c in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5e-1,
    ] {
        p = fma::<S>(p, r, c);
    }
    let p = fma::<S>(p * r, r, r + 1.0);
    let scale = f32::from_bits((((n as i32) + 127) << 23) as u32);
    let result = p * scale;
    if x < -87.3 { 0.0 } else { result }
}
