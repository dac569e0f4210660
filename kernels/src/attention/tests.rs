//! Attention against its definition, in f64.

use super::*;
use crate::Packing;

fn values(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32)
        .map(|i| {
            ((i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 8_388_608.0) - 1.0
        })
        .collect()
}

fn definition(a: &Attention, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    for head in 0..a.heads {
        let kv = head / (a.heads / a.kv_heads);
        for t in 0..a.tokens {
            let query = &q[(head * a.tokens + t) * a.key_dim..][..a.key_dim];
            let scores: Vec<f64> = (0..a.length)
                .map(|l| {
                    let key = &k[(kv * a.length + l) * a.key_dim..][..a.key_dim];
                    let product: f64 = query
                        .iter()
                        .zip(key)
                        .map(|(x, y)| f64::from(*x) * f64::from(*y))
                        .sum();
                    let hidden = a.causal && l > a.length - a.tokens + t;
                    let mask = a.mask.map_or(0.0, |m| f64::from(m[t * a.length + l]));
                    if hidden {
                        f64::NEG_INFINITY
                    } else {
                        let score = product * f64::from(a.scale);
                        let cap = a.cap.map(f64::from);
                        cap.map_or(score, |cap| cap * (score / cap).tanh()) + mask
                    }
                })
                .collect();
            let sink = f64::from(a.sink(head));
            let largest = scores.iter().copied().fold(sink, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let total = weights.iter().sum::<f64>() + (sink - largest).exp();
            for d in 0..a.value_dim {
                let sum: f64 = (0..a.length)
                    .map(|l| weights[l] * f64::from(v[(kv * a.length + l) * a.value_dim + d]))
                    .sum();
                out.push((sum / total) as f32);
            }
        }
    }
    out
}

/// Heads of `length` rows each.
fn plain(data: &[f32], length: usize, width: usize) -> Rows<'_> {
    Rows::Plain(Heads {
        data,
        strides: [length * width, width],
    })
}

#[test]
fn packed_rows_are_what_they_unpack_to() {
    let (kv_heads, length, width) = (2, 150, 32);
    let [packed, capacity] = [100, 130];
    for packing in [
        Packing::affine(width, 4),
        Packing::affine(width, 8),
        Packing::sphere(width, 3, None),
    ] {
        let words = packing.words();
        let all = |seed| values(kv_heads * length * width, seed);
        let (k, v) = (all(4), all(5));
        // The first rows of each head packed, in a buffer with room.
        let pack = |rows: &[f32]| {
            let mut records = vec![0; kv_heads * capacity * words];
            for head in 0..kv_heads {
                let rows = &rows[head * length * width..][..packed * width];
                let records = &mut records[head * capacity * words..][..packed * words];
                packing.pack(rows, records);
            }
            records
        };
        let unpack = |rows: &[f32], records: &[u32]| {
            let mut back = rows.to_vec();
            for head in 0..kv_heads {
                let records = &records[head * capacity * words..][..packed * words];
                packing.unpack(
                    records,
                    &mut back[head * length * width..][..packed * width],
                );
            }
            back
        };
        let (k_records, v_records) = (pack(&k), pack(&v));
        let (k_back, v_back) = (unpack(&k, &k_records), unpack(&v, &v_records));
        let records = |data| {
            Rows::Packed(Records {
                data,
                stride: capacity * words,
                packing: &packing,
            })
        };
        let segments = [
            Segment {
                keys: records(&k_records),
                values: records(&v_records),
                length: packed,
            },
            Segment {
                keys: plain(&k[packed * width..], length, width),
                values: plain(&v[packed * width..], length, width),
                length: length - packed,
            },
        ];
        for tokens in [1, 3, 70] {
            let a = Attention {
                heads: 4,
                kv_heads,
                tokens,
                length,
                key_dim: width,
                value_dim: width,
                scale: 0.3,
                causal: true,
                mask: None,
                cap: None,
                sinks: None,
            };
            let q = values(4 * tokens * width, 3);
            let queries = Heads {
                data: &q,
                strides: [tokens * width, width],
            };
            let mut out = vec![f32::NAN; q.len()];
            attention(&a, queries, &segments, &mut out);
            for (got, want) in out.iter().zip(definition(&a, &q, &k_back, &v_back)) {
                assert!((got - want).abs() < 2e-6, "{got} is not {want}");
            }
        }
    }
}

#[test]
fn agrees_with_the_definition() {
    for (heads, kv_heads, tokens, length, key_dim, value_dim, causal, masked, extras) in [
        (4, 2, 1, 9, 8, 8, false, false, false),
        (4, 2, 1, 9, 8, 8, false, false, true),
        (8, 2, 1, 300, 64, 48, true, false, false),
        (8, 2, 1, 300, 64, 48, true, false, true),
        (6, 3, 5, 5, 16, 16, true, false, false),
        (6, 3, 5, 5, 16, 16, true, false, true),
        (4, 4, 70, 130, 32, 32, true, false, false),
        (4, 4, 70, 130, 32, 32, true, false, true),
        (2, 1, 3, 10, 8, 8, false, true, false),
        (2, 1, 3, 10, 8, 8, false, true, true),
        (2, 1, 1, 10, 8, 8, false, true, false),
        (2, 1, 1, 10, 8, 8, false, true, true),
    ] {
        let sinks: Vec<f32> = (0..heads).map(|head| head as f32 * 0.3 - 0.5).collect();
        let mask: Vec<f32> = (0..tokens * length)
            .map(|i| if i % 3 == 1 { f32::NEG_INFINITY } else { 0.0 })
            .collect();
        let a = Attention {
            heads,
            kv_heads,
            tokens,
            length,
            key_dim,
            value_dim,
            scale: 0.3,
            causal,
            mask: masked.then_some(&mask[..]),
            cap: extras.then_some(1.5),
            sinks: extras.then_some(&sinks[..]),
        };
        let q = values(heads * tokens * key_dim, 3);
        let k = values(kv_heads * length * key_dim, 4);
        let v = values(kv_heads * length * value_dim, 5);
        let mut out = vec![f32::NAN; heads * tokens * value_dim];
        let queries = Heads {
            data: &q,
            strides: [tokens * key_dim, key_dim],
        };
        for cut in [0, 1, length / 2] {
            let segment = |from: usize, count| Segment {
                keys: plain(&k[from * key_dim..], length, key_dim),
                values: plain(&v[from * value_dim..], length, value_dim),
                length: count,
            };
            let segments = [segment(0, cut), segment(cut, length - cut)];
            attention(&a, queries, &segments, &mut out);
        }
        for (got, want) in out.iter().zip(definition(&a, &q, &k, &v)) {
            assert!((got - want).abs() < 2e-6, "{got} is not {want}");
        }
    }
}
