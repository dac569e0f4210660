//! Random rotations that make any row look like a random point of a sphere.

use super::normal::Normal;

/// An orthogonal matrix `[width, width]`, row-major: the same for the same seed.
///
/// Where the width is a power of two, Hadamard's matrix between random signs,
/// twice (once would leave a row with one large number with two values only);
/// else Gram and Schmidt's basis of random directions.
pub fn rotation(width: usize, seed: u64) -> Vec<f32> {
    let mut random = Normal::new(seed);
    let matrix = match width.is_power_of_two() {
        true => hadamard_twice(width, &mut random),
        false => random_basis(width, &mut random),
    };
    matrix.into_iter().map(|x| x as f32).collect()
}

fn hadamard_twice(width: usize, random: &mut Normal) -> Vec<f64> {
    let mut signs = || -> Vec<f64> {
        let sign = |_| if random.bits() & 1 == 0 { 1.0 } else { -1.0 };
        (0..width).map(sign).collect()
    };
    let (first, second) = (signs(), signs());
    let mut matrix = vec![0.0; width * width];
    for (column, sign) in first.iter().enumerate() {
        let mut image = vec![0.0; width];
        image[column] = *sign;
        hadamard(&mut image);
        image.iter_mut().zip(&second).for_each(|(x, s)| *x *= s);
        hadamard(&mut image);
        for (row, x) in image.into_iter().enumerate() {
            matrix[row * width + column] = x;
        }
    }
    matrix
}

/// x · H / √n in place, by butterflies.
fn hadamard(x: &mut [f64]) {
    let mut half = 1;
    while half < x.len() {
        for block in x.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    let scale = (x.len() as f64).sqrt().recip();
    x.iter_mut().for_each(|x| *x *= scale);
}

fn random_basis(width: usize, random: &mut Normal) -> Vec<f64> {
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(width);
    while rows.len() < width {
        let mut row: Vec<f64> = (0..width).map(|_| random.next()).collect();
        // A second pass takes away what rounding left of the first.
        for _ in 0..2 {
            for other in &rows {
                let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length > 1e-6 {
            rows.push(row.into_iter().map(|x| x / length).collect());
        }
    }
    rows.concat()
}
