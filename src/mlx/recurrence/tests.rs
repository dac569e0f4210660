//! Every way to compute a recurrence gives the same.

use super::*;

fn values(shape: &[i32], seed: i32) -> Array {
    let size: i32 = shape.iter().product();
    let number = |i: i32| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0;
    Array::from_iter((0..size).map(number), shape)
}

/// Between `from` and `from + 1`.
fn between_units(shape: &[i32], seed: i32, from: f32) -> Array {
    let half = values(shape, seed).multiply(Array::from_f32(0.5)).unwrap();
    half.add(Array::from_f32(from + 0.5)).unwrap()
}

const SIZES: [i32; 5] = [2, 2, 6, 16, 8];

fn example(tokens: i32, decays: Decays, erase: Erase, state: bool) -> Recurrence {
    let [batch, key_heads, value_heads, key_dim, value_dim] = SIZES;
    Recurrence {
        queries: values(&[batch, tokens, key_heads, key_dim], 1),
        keys: values(&[batch, tokens, key_heads, key_dim], 2)
            .multiply(Array::from_f32(0.4))
            .unwrap(),
        values: values(&[batch, tokens, value_heads, value_dim], 3),
        decays,
        weights: between_units(&[batch, tokens, value_heads], 5, 0.0),
        state: state.then(|| values(&[batch, value_heads, value_dim, key_dim], 6)),
        erase,
    }
}

fn decays(tokens: i32) -> [Decays; 3] {
    let [batch, _, heads, key_dim, _] = SIZES;
    let scalars = [batch, tokens, heads];
    [
        Decays::Head(between_units(&scalars, 4, -1.0)),
        Decays::Column(between_units(&[batch, tokens, heads, key_dim], 7, -1.0)),
        Decays::Slopes {
            steps: between_units(&scalars, 4, 0.0),
            slopes: between_units(&[heads, key_dim], 8, -1.5),
        },
    ]
}

fn erasures(tokens: i32) -> [Erase; 3] {
    let [batch, heads, _, key_dim, _] = SIZES;
    let direction = |seed| {
        let direction = values(&[batch, tokens, heads, key_dim], seed);
        direction.multiply(Array::from_f32(0.3)).unwrap()
    };
    let (e, b) = (direction(9), direction(10));
    [Erase::Nothing, Erase::Key, Erase::Along { e, b }]
}

#[track_caller]
fn assert_close(a: &Array, b: &Array) {
    assert_eq!(a.shape(), b.shape());
    let numbers = |x: &Array| x.contiguous().unwrap().to_vec_cast::<f32>().unwrap();
    for (a, b) in numbers(a).iter().zip(numbers(b)) {
        assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a} is not {b}");
    }
}

#[test]
fn chunks_and_steps_agree_with_the_kernel() {
    for (tokens, with_state) in [(1, true), (5, false), (64, true), (150, true)] {
        for (decays, erase) in decays(tokens)
            .iter()
            .flat_map(|decays| erasures(tokens).map(|erase| (decays.clone(), erase)))
        {
            let example = example(tokens, decays.clone(), erase.clone(), with_state);
            let zeros = ops::zeros_dtype(&[2, 6, 8, 16], Dtype::Float32).unwrap();
            let state = example.state.clone().unwrap_or(zeros);
            let (read, after) = example.clone().run().unwrap();
            let mut others = vec![example.columns(&state).unwrap()];
            if let (Decays::Head(decays), Erase::Nothing | Erase::Key) = (&decays, &erase) {
                others.push(example.chunks(decays, &state).unwrap());
            }
            if tokens == 1 {
                others.push(example.step(&state).unwrap());
            }
            for (other, state) in others {
                assert_close(&other, &read);
                assert_close(&state, &after);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let decays = decays(3);
    let mut wrong = example(3, decays[0].clone(), Erase::Key, true);
    wrong.state = Some(values(&[2, 6, 8, 15], 1));
    assert!(wrong.run().is_err());
    let fewer = Decays::Column(values(&[2, 3, 6, 15], 1));
    assert!(example(3, fewer, Erase::Key, true).run().is_err());
}
