//! Kernels against MLX's own operations.

use super::{
    super::{Scoring, attention, heads::attention_in_steps, rope},
    *,
};

fn values(shape: &[i32], seed: i32) -> Array {
    let size: i32 = shape.iter().product();
    let data: Vec<f32> = (0..size)
        .map(|i| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0)
        .collect();
    Array::from_slice(&data, shape)
}

fn scoring(scale: f32, causal: bool) -> Scoring<'static> {
    Scoring {
        scale,
        causal,
        ..Scoring::default()
    }
}

#[track_caller]
fn assert_close(a: &Array, b: &Array, tolerance: f32) {
    assert_eq!(a.shape(), b.shape());
    let (a, b) = (
        a.to_vec_cast::<f32>().unwrap(),
        b.to_vec_cast::<f32>().unwrap(),
    );
    for (a, b) in a.iter().zip(&b) {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + b.abs()),
            "{a} is not {b}"
        );
    }
}

#[test]
fn products_agree_with_mlx() {
    let w = values(&[48, 128], 3);
    for tokens in [1, 5] {
        let x = values(&[tokens, 128], 7);
        for dtype in [Dtype::Float32, Dtype::Bfloat16, Dtype::Float16] {
            let w = w.as_dtype(dtype).unwrap();
            let mlx = ops::matmul(&x, w.as_dtype(Dtype::Float32).unwrap().t()).unwrap();
            assert_close(&matmul_t(&x, &w).unwrap(), &mlx, 1e-5);
        }
        for bits in [2, 3, 4, 5, 6, 8] {
            for group in [32, 64, 128] {
                let (q, scales, biases) = ops::quantize(&w, group, bits).unwrap();
                let mlx =
                    ops::quantized_matmul(&x, &q, &scales, &biases, true, group, bits).unwrap();
                let own = quantized_matmul(&x, &q, &scales, &biases, group, bits).unwrap();
                assert_close(&own, &mlx, 1e-5);
            }
        }
    }
}

#[test]
fn fused_operations_agree_with_mlx() {
    let x = values(&[6, 32], 1);
    let weight = values(&[32], 2);
    for weight in [Some(&weight), None] {
        let mlx = fast::rms_norm(&x, weight, 1e-5).unwrap();
        assert_close(&rms_norm(&x, weight, 1e-5).unwrap(), &mlx, 1e-5);
    }
    // As the decoder makes them: heads by transposing, not contiguous.
    let heads = values(&[6, 4, 16], 5);
    let heads = heads
        .transpose_axes(&[1, 0, 2])
        .unwrap()
        .expand_dims(0)
        .unwrap();
    let freqs = values(&[4], 8)
        .abs()
        .unwrap()
        .add(Array::from_f32(1.0))
        .unwrap();
    for traditional in [false, true] {
        let mlx = fast::rope(&heads, 8, traditional, 1e4, 0.5, 11, None).unwrap();
        assert_close(
            &rope(&heads, 8, traditional, Some(1e4), 0.5, 11, None).unwrap(),
            &mlx,
            1e-5,
        );
        let mlx = fast::rope(&heads, 8, traditional, None, 1.0, 3, &freqs).unwrap();
        assert_close(
            &rope(&heads, 8, traditional, None, 1.0, 3, Some(&freqs)).unwrap(),
            &mlx,
            1e-5,
        );
    }
    let (k, v) = (values(&[1, 2, 9, 16], 2), values(&[1, 2, 9, 16], 4));
    let mlx = fast::scaled_dot_product_attention(
        &heads,
        &k,
        &v,
        0.25,
        fast::ScaledDotProductAttentionMask::Causal,
        None::<&Array>,
    );
    assert_close(
        &attention(&heads, &k, &v, scoring(0.25, true)).unwrap(),
        &mlx.unwrap(),
        1e-5,
    );
    let sinks = values(&[4], 9);
    let sinking = Scoring {
        sinks: Some(&sinks),
        ..scoring(0.25, true)
    };
    let mlx = fast::scaled_dot_product_attention(
        &heads,
        &k,
        &v,
        0.25,
        fast::ScaledDotProductAttentionMask::Causal,
        &sinks,
    );
    let own = attention(&heads, &k, &v, sinking).unwrap();
    assert_close(&own, &mlx.unwrap(), 1e-5);
    let capped = Scoring {
        cap: Some(0.5),
        ..scoring(0.25, true)
    };
    let own = attention(&heads, &k, &v, capped).unwrap();
    assert_close(
        &own,
        &attention_in_steps(&heads, &k, &v, capped).unwrap(),
        1e-5,
    );
    let gate_up = values(&[3, 20], 6);
    let parts = gate_up.split_equal(2, -1).unwrap();
    let sigmoid = ops::sigmoid(&parts[0]).unwrap();
    let mlx = parts[0]
        .multiply(&sigmoid)
        .unwrap()
        .multiply(&parts[1])
        .unwrap();
    assert_close(&swiglu(&gate_up).unwrap(), &mlx, 1e-5);
}

#[test]
fn rows_are_written_where_they_belong() {
    for dtype in [Dtype::Float32, Dtype::Bfloat16] {
        let dst = ops::zeros_dtype(&[1, 2, 5, 3], dtype).unwrap();
        let rows = values(&[2, 2, 3], 1).as_dtype(dtype).unwrap();
        let rows = rows
            .transpose_axes(&[1, 0, 2])
            .unwrap()
            .expand_dims(0)
            .unwrap();
        let mlx = slice_update(&dst, &rows, 2, 2).unwrap();
        mlx.eval().unwrap();
        assert_close(&write_rows(&dst, &rows, 2, 2).unwrap(), &mlx, 0.0);
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let x = values(&[2, 64], 1);
    assert!(matmul_t(&x, &values(&[4, 32], 1)).is_err());
    let (q, scales, biases) = ops::quantize(values(&[4, 128], 1), 64, 4).unwrap();
    assert!(quantized_matmul(&x, &q, &scales, &biases, 64, 4).is_err());
    assert!(write_rows(&x, &values(&[2, 64], 1), 0, 1).is_err());
    let q = values(&[1, 4, 1, 8], 1);
    assert!(
        attention(
            &q,
            &values(&[1, 3, 2, 8], 1),
            &values(&[1, 3, 2, 8], 1),
            scoring(1.0, false),
        )
        .is_err()
    );
}
