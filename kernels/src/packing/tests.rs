//! Codebooks and distortions against the exact figures for each width.

use super::{normal::Normal, *};

/// Mean square errors of codebooks for 1 to 4 bits on a unit sphere, computed
/// by integration.
const DISTORTION: [(usize, [f64; 4]); 5] = [
    (64, [0.35839, 0.11453, 0.03339, 0.00913]),
    (80, [0.35939, 0.11511, 0.03362, 0.00920]),
    (96, [0.36006, 0.11551, 0.03377, 0.00925]),
    (128, [0.36089, 0.11600, 0.03397, 0.00931]),
    (256, [0.36214, 0.11674, 0.03426, 0.00941]),
];
const VECTORS: usize = 8192;

fn normals(count: usize, seed: u64) -> Vec<f32> {
    let mut random = Normal::new(seed);
    (0..count).map(|_| random.next() as f32).collect()
}

fn there_and_back(packing: &Packing, rows: &[f32]) -> Vec<f32> {
    let mut records = vec![7; rows.len() / packing.width() * packing.words()];
    packing.pack(rows, &mut records);
    let mut back = vec![f32::NAN; rows.len()];
    packing.unpack(&records, &mut back);
    back
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
    products.sum()
}

/// Mean of |x − x̃|² / |x|² over rows.
fn distortion(width: usize, rows: &[f32], back: &[f32]) -> f64 {
    let pairs = rows.chunks_exact(width).zip(back.chunks_exact(width));
    let errors: Vec<f64> = pairs
        .map(|(x, y)| {
            let missed: Vec<f32> = x.iter().zip(y).map(|(x, y)| x - y).collect();
            dot(&missed, &missed) / dot(x, x)
        })
        .collect();
    errors.iter().sum::<f64>() / errors.len() as f64
}

/// Positive centroids of 1 to 4 bits.
const NORMAL: [&[f64]; 4] = [
    &[0.7979],
    &[0.4528, 1.5104],
    &[0.2451, 0.7560, 1.3439, 2.1520],
    &[
        0.1284, 0.3881, 0.6568, 0.9424, 1.2562, 1.6181, 2.0690, 2.7326,
    ],
];
const OF_128: [&[f64]; 4] = [
    &[0.7994],
    &[0.4525, 1.5052],
    &[0.2444, 0.7533, 1.3366, 2.1315],
    &[
        0.1279, 0.3864, 0.6536, 0.9371, 1.2478, 1.6043, 2.0459, 2.6889,
    ],
];

/// Those of wide rows are the ones that Max (1960) gives for the normal
/// distribution.
#[test]
fn codebooks_are_lloyd_and_max_s() {
    for (width, expected) in [(1 << 20, NORMAL), (128, OF_128)] {
        for (bits, expected) in (1..).zip(expected) {
            let centroids = codebook(width, bits);
            assert!(centroids.is_sorted());
            let (negative, positive) = centroids.split_at(expected.len());
            assert!(
                positive
                    .iter()
                    .zip(negative.iter().rev())
                    .all(|(a, b)| *a == -b)
            );
            for (centroid, expected) in positive.iter().zip(expected) {
                let missed = (centroid - expected).abs();
                assert!(missed < 2e-4, "{width}, {bits} bits: {centroid}");
            }
        }
    }
}

#[test]
fn the_sphere_packing_misses_what_theory_says() {
    for (width, expected) in DISTORTION {
        let rows = normals(VECTORS * width, width as u64);
        for (bits, expected) in (1..).zip(expected) {
            let packing = Packing::sphere(width, bits, None);
            let missed = distortion(width, &rows, &there_and_back(&packing, &rows));
            let ratio = missed / expected;
            assert!(
                (0.98..1.02).contains(&ratio),
                "{width}, {bits} bits: {missed}"
            );
        }
    }
}

/// Products with a sketch: right on average, with the error that theory gives,
/// π/2 times the distortion of one bit less, divided by the width.
#[test]
fn a_sketch_makes_products_unbiased() {
    for (width, of_codes) in [(64, DISTORTION[0].1), (128, DISTORTION[3].1)] {
        let rows = normals(VECTORS * width, 5);
        let others = normals(VECTORS * width, 6);
        for bits in 2..=4 {
            // A new sketch for every part: one alone has an error of its own.
            let parts = 64;
            let size = VECTORS * width / parts;
            let (mut square, mut along, mut norms) = (0.0, 0.0, 0.0);
            for part in 0..parts {
                let sketch = Sketch::new(width, part as u64);
                let packing = Packing::sphere(width, bits, Some(sketch));
                assert_eq!(packing.bits(), bits - 1);
                let rows = &rows[part * size..][..size];
                let back = there_and_back(&packing, rows);
                let others = others[part * size..].chunks_exact(width);
                let triples = rows
                    .chunks_exact(width)
                    .zip(back.chunks_exact(width))
                    .zip(others);
                for ((x, back), y) in triples {
                    let error = dot(y, back) - dot(y, x);
                    square += error * error / (dot(x, x) * dot(y, y));
                    // Along the row itself, where codes alone fall short.
                    along += dot(x, back);
                    norms += dot(x, x);
                }
            }
            let slope = along / norms;
            assert!(
                (slope - 1.0).abs() < 0.02,
                "{width}, {bits} bits: slope {slope}"
            );
            let expected = std::f64::consts::FRAC_PI_2 * of_codes[bits - 2];
            let ratio = square / VECTORS as f64 * width as f64 / expected;
            assert!(
                (0.95..1.05).contains(&ratio),
                "{width}, {bits} bits: {ratio}"
            );
        }
    }
}

#[test]
fn affine_codes_are_within_half_a_step() {
    for (width, bits) in [
        (128, 8),
        (128, 4),
        (64, 4),
        (80, 8),
        (96, 3),
        (24, 2),
        (64, 5),
        (64, 6),
    ] {
        let packing = Packing::affine(width, bits);
        let rows = normals(50 * width, 3);
        let back = there_and_back(&packing, &rows);
        let group = packing.group().unwrap();
        for (x, y) in rows.chunks_exact(group).zip(back.chunks_exact(group)) {
            let least = x.iter().copied().fold(f32::INFINITY, f32::min);
            let greatest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let step = (greatest - least) / ((1 << bits) - 1) as f32;
            // Scale and bias have eleven bits.
            let most = 0.5 * step + (greatest - least) * 1.5e-3;
            assert!(
                x.iter().zip(y).all(|(x, y)| (x - y).abs() <= most),
                "{width}, {bits}"
            );
        }
    }
}

#[test]
fn halves_keep_eleven_bits() {
    let rows = normals(40 * 33, 3);
    let back = there_and_back(&Packing::half(33), &rows);
    let close = |(x, y): (&f32, &f32)| (x - y).abs() <= x.abs() * 2f32.powi(-11) + 1e-7;
    assert!(rows.iter().zip(&back).all(close));
}

#[test]
fn odd_rows_come_back_as_they_can() {
    for packing in [
        Packing::half(7),
        Packing::affine(128, 4),
        Packing::sphere(128, 3, None),
        Packing::sphere(128, 4, Some(Sketch::new(128, 1))),
        Packing::affine(20, 3),
        Packing::sphere(20, 3, None),
    ] {
        let width = packing.width();
        assert_eq!(
            there_and_back(&packing, &vec![0.0; 2 * width]),
            vec![0.0; 2 * width]
        );
        assert!(there_and_back(&packing, &[]).is_empty());
        let mut one = vec![0.0; width];
        one[3] = 1e4;
        assert!(there_and_back(&packing, &one).iter().all(|x| x.is_finite()));
    }
    let constant = vec![3.5; 64];
    assert_eq!(there_and_back(&Packing::affine(64, 4), &constant), constant);
    let huge = vec![1e9, -1e9, 0.0, 1.0];
    let back = there_and_back(&Packing::affine(4, 8), &huge);
    assert!(back.iter().all(|x| x.is_finite()));
}

#[test]
fn records_are_as_small_as_they_should_be() {
    let bits = |packing: Packing| packing.words() as f64 * 32.0 / packing.width() as f64;
    assert_eq!(bits(Packing::half(128)), 16.0);
    assert_eq!(bits(Packing::affine(128, 8)), 8.5);
    assert_eq!(bits(Packing::affine(128, 4)), 4.5);
    assert_eq!(bits(Packing::sphere(128, 4, None)), 4.25);
    assert_eq!(bits(Packing::sphere(128, 3, None)), 3.25);
    assert_eq!(bits(Packing::sphere(64, 2, None)), 2.5);
    assert_eq!(
        bits(Packing::sphere(128, 4, Some(Sketch::new(128, 0)))),
        4.5
    );
}

#[test]
fn rotations_are_orthogonal_and_spread() {
    for width in [64, 80, 96, 128, 256] {
        let matrix = rotation(width, 9);
        let row = |i: usize| &matrix[i * width..][..width];
        for i in 0..width {
            for j in 0..=i {
                let expected = f64::from(i == j);
                assert!((dot(row(i), row(j)) - expected).abs() < 1e-5);
            }
        }
        // A row with one large number becomes one of many middling ones.
        let column: Vec<f32> = (0..width).map(|i| row(i)[5]).collect();
        let largest = column.iter().fold(0f32, |most, x| most.max(x.abs()));
        let deviation = (dot(&column, &column) / width as f64).sqrt();
        assert!((deviation * (width as f64).sqrt() - 1.0).abs() < 1e-4);
        assert!(f64::from(largest) < 5.0 * deviation);
    }
    assert_ne!(rotation(64, 1), rotation(64, 2));
}
