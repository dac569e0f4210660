//! Prints the speed of the products: `cargo run --release -p maquette-kernels --example speed`.

use std::time::Instant;

use maquette_kernels::{Dense, Quantised, dense_matmul, quantized_matmul};

fn main() {
    for (rows, cols) in [(768, 256), (3072, 1024), (1024, 3072), (32768, 1024)] {
        for tokens in [1, 2, 8, 256] {
            let x = vec![0.5; tokens * cols];
            let mut out = vec![0.0; tokens * rows];
            for bits in [2, 3, 4, 5, 6, 8] {
                let packed = vec![0x1234_5678; rows * cols * bits / 32];
                let scales = vec![0.01; rows * cols / 64];
                let w = Quantised {
                    packed: &packed,
                    scales: &scales,
                    biases: &scales,
                    rows,
                    cols,
                    group: 64,
                    bits,
                };
                report(
                    &format!("{bits}-bit"),
                    rows,
                    cols,
                    tokens,
                    rows * cols * bits / 8,
                    || quantized_matmul(&x, w, &mut out),
                );
            }
            let w = vec![0x3c00; rows * cols];
            report("bf16", rows, cols, tokens, rows * cols * 2, || {
                dense_matmul(&x, Dense::Bf16(&w), rows, cols, &mut out)
            });
            let w = vec![0.5; rows * cols];
            report("f32", rows, cols, tokens, rows * cols * 4, || {
                dense_matmul(&x, Dense::F32(&w), rows, cols, &mut out)
            });
        }
    }
}

fn report(
    kind: &str,
    rows: usize,
    cols: usize,
    tokens: usize,
    bytes: usize,
    mut run: impl FnMut(),
) {
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!(
        "{kind:6} [{tokens:3}, {cols:5}] x {rows:5}: {:8.1} us  {:6.1} GB/s  {:7.1} GFLOP/s",
        median * 1e6,
        bytes as f64 / median / 1e9,
        2.0 * (rows * cols * tokens) as f64 / median / 1e9
    );
}
