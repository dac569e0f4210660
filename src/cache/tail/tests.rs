//! One sequence's buffers: growing, cutting, gathering, packing.

use mlx_rs::{Dtype, ops};

use super::*;
use crate::cache::{KvLayer, KvMode};

fn rows(from: usize, count: usize) -> Array {
    let data: Vec<f32> = (from..from + count).map(|i| i as f32).collect();
    let array = Array::from_slice(&data, &[1, 1, count as i32, 1]);
    ops::concatenate(&[&array, &array], 1).unwrap()
}

fn numbers(view: &Array) -> Vec<f32> {
    let part = view.split_at_indices(&[1], 1).unwrap();
    part[0].to_vec_cast().unwrap()
}

fn plain(reserve: usize) -> Tail {
    Tail::new(reserve, Rc::default())
}

/// The same rows as keys and as values; what there is then.
fn append(tail: &mut Tail, layer: usize, rows: &Array) -> [Array; 2] {
    tail.append(layer, rows, rows).unwrap().numbers().unwrap()
}

fn counting(count: usize) -> Vec<f32> {
    (0..count).map(|i| i as f32).collect()
}

#[test]
fn grows_and_keeps_its_content() {
    let mut tail = plain(0);
    let mut length = 0;
    for chunk in [3, 250, 10, 300, 1, 1] {
        let [keys, values] = append(&mut tail, 0, &rows(length, chunk));
        length += chunk;
        assert_eq!(numbers(&keys), counting(length));
        assert_eq!(numbers(&values), counting(length));
    }
    assert_eq!(tail.length(), length);
    assert_eq!(tail.bytes(), 2 * 2 * 4 * 768);
}

#[test]
fn what_was_cut_off_is_written_over() {
    let mut tail = plain(300);
    tail.append(0, &rows(0, 20), &rows(0, 20)).unwrap();
    tail.truncate(10).unwrap();
    let [keys, _] = append(&mut tail, 0, &rows(10, 5));
    assert_eq!(numbers(&keys), counting(15));
    assert_eq!(tail.bytes(), 2 * 2 * 4 * 512);
}

#[test]
fn what_is_gathered_is_independent() {
    let mut tail = plain(0);
    tail.append(0, &rows(0, 130), &rows(0, 130)).unwrap();
    let pages = tail.cut(&[0..64, 64..100], false).unwrap();
    assert_eq!(pages[1].bytes(), 2 * 2 * 36 * 4);
    let pieces = [
        Piece::Page(&pages[0], 64),
        Piece::Page(&pages[1], 30),
        Piece::Tail(&tail, 94..120),
    ];
    let mut gathered = Tail::gather(&pieces, &[], 0, Rc::default()).unwrap();
    tail.truncate(10).unwrap();
    let [keys, _] = append(&mut tail, 0, &rows(900, 110));
    keys.eval().unwrap();
    let [keys, values] = append(&mut gathered, 0, &rows(120, 1));
    assert_eq!(numbers(&keys), counting(121));
    assert_eq!(numbers(&values), counting(121));
    let [keys, _] = append(&mut gathered, 0, &rows(121, 200));
    assert_eq!(numbers(&keys), counting(321));
}

#[test]
fn cutting_up_gives_the_buffers_up() {
    let mut tail = plain(0);
    tail.append(0, &rows(0, 70), &rows(0, 70)).unwrap();
    tail.append(2, &rows(0, 70), &rows(0, 70)).unwrap();
    let pages = tail.cut(&[0..64, 64..70], true).unwrap();
    assert_eq!(tail.bytes(), 0);
    assert!(pages[0].layers[1].is_none());
    let pieces = [Piece::Page(&pages[0], 64), Piece::Page(&pages[1], 6)];
    let mut back = Tail::gather(&pieces, &[], 100, Rc::default()).unwrap();
    assert_eq!(back.length(), 70);
    let [keys, _] = append(&mut back, 2, &rows(70, 1));
    assert_eq!(numbers(&keys), counting(71));
}

#[test]
fn wrong_shapes_are_refused() {
    let mut tail = plain(0);
    let flat = Array::from_slice(&[1.0f32, 2.0], &[2]);
    assert!(tail.append(0, &flat, &flat).is_err());
    tail.append(0, &rows(0, 1), &rows(0, 1)).unwrap();
    let wide = Array::from_slice(&[1.0f32, 2.0], &[1, 1, 1, 2]);
    assert!(tail.append(0, &wide, &wide).is_err());
}

const WIDTH: i32 = 64;

/// Rows `[1, 2, count, WIDTH]` that hang on their positions alone.
fn wide(from: usize, count: usize) -> Array {
    let number = |head: usize, row: usize, at: usize| {
        let seed = ((head * 100_003 + row) * 8191 + at) as f32;
        (seed * 12.9898).sin() * 3.0
    };
    let width = WIDTH as usize;
    let data: Vec<f32> = (0..2 * count * width)
        .map(|i| number(i / (count * width), from + i / width % count, i % width))
        .collect();
    Array::from_slice(&data, &[1, 2, count as i32, WIDTH])
}

fn scheme(mode: &str) -> Rc<Scheme> {
    let mode: KvMode = mode.parse().unwrap();
    let layers = [KvLayer::new(2, WIDTH as usize, Dtype::Float32)];
    Rc::new(Scheme::new(mode, &layers, 0).unwrap())
}

fn floats(array: &Array) -> Vec<f32> {
    array.contiguous().unwrap().to_vec_cast().unwrap()
}

/// Mean square error over mean square.
fn error(got: &Array, wanted: &Array) -> f64 {
    assert_eq!(got.shape(), wanted.shape());
    let (got, wanted) = (floats(got), floats(wanted));
    let square = |x: f32| f64::from(x) * f64::from(x);
    let missed: f64 = got.iter().zip(&wanted).map(|(a, b)| square(a - b)).sum();
    missed / wanted.iter().map(|x| square(*x)).sum::<f64>()
}

#[test]
fn packed_tokens_are_close_and_small() {
    for (mode, most) in [
        ("half", 1e-6),
        ("affine-8", 1e-4),
        ("affine-4", 0.02),
        ("turbo-4", 0.012),
        ("turbo-3", 0.04),
        ("turbo-2", 0.13),
        ("turbo-4-qjl", 0.06),
    ] {
        let mut tail = Tail::new(0, scheme(mode));
        let mut length = 0;
        for chunk in [500, 1, 1, 70, 200, 1, 27, 1] {
            let [keys, values] = append(&mut tail, 0, &wide(length, chunk));
            length += chunk;
            assert_eq!(tail.length(), length);
            let wanted = wide(0, length);
            assert!(
                error(&keys, &wanted) < most,
                "{mode}: {}",
                error(&keys, &wanted)
            );
            assert!(error(&values, &wanted) < most.max(0.012), "{mode}");
            // The first page and the latest tokens are as they were.
            for (from, to) in [(0, 64), (length / 64 * 64, length)] {
                let part = |x: &Array| {
                    let cut = x.split_at_indices(&[from as i32, to as i32], 2).unwrap();
                    cut[1].clone()
                };
                assert!(error(&part(&keys), &part(&wanted)) < 1e-9, "{mode}");
            }
        }
        let plain = 2 * 2 * 64 * 4 * 1024;
        assert!(tail.bytes() < plain * 75 / 100, "{mode}: {}", tail.bytes());
    }
}

#[test]
fn packed_pages_come_back_as_they_were() {
    for mode in ["affine-4", "turbo-3", "turbo-3-qjl"] {
        let mut tail = Tail::new(0, scheme(mode));
        append(&mut tail, 0, &wide(0, 300));
        let mut whole = tail.clone();
        let ranges: Vec<Range<usize>> = (0..5).map(|p| p * 64..(p * 64 + 64).min(300)).collect();
        let pages = tail.cut(&ranges, false).unwrap();
        let kept: Vec<_> = pages
            .iter()
            .map(|page| page.arrays().next().unwrap().dtype())
            .collect();
        let packed = Dtype::Uint32;
        assert_eq!(
            kept,
            [Dtype::Float32, packed, packed, packed, Dtype::Float32]
        );
        let [wanted, _] = append(&mut whole, 0, &wide(300, 1));
        let all = |pages: &[PageContent], last: usize| {
            let (full, rest) = pages.split_at(4);
            let full = full.iter().map(|page| Piece::Page(page, 64));
            let pieces: Vec<Piece> = full
                .chain(rest.iter().map(|page| Piece::Page(page, last)))
                .collect();
            Tail::gather(&pieces, &[], 0, scheme(mode)).unwrap()
        };
        let [got, _] = append(&mut all(&pages, 44), 0, &wide(300, 1));
        assert_eq!(floats(&got), floats(&wanted), "{mode}");
        // A part of a packed page, of a tail and of its pages.
        let pieces = [
            Piece::Page(&pages[0], 64),
            Piece::Page(&pages[1], 64),
            Piece::Page(&pages[2], 30),
        ];
        let [from_pages, _] = append(
            &mut Tail::gather(&pieces, &[], 0, scheme(mode)).unwrap(),
            0,
            &wide(158, 1),
        );
        let pieces = [Piece::Tail(&whole, 0..158)];
        let [from_tail, _] = append(
            &mut Tail::gather(&pieces, &[], 0, scheme(mode)).unwrap(),
            0,
            &wide(158, 1),
        );
        assert_eq!(floats(&from_pages), floats(&from_tail), "{mode}");
        whole.truncate(158).unwrap();
        let [cut, _] = append(&mut whole, 0, &wide(158, 1));
        assert_eq!(floats(&cut), floats(&from_tail), "{mode}");
        whole.truncate(20).unwrap();
        let [cut, _] = append(&mut whole, 0, &wide(20, 100));
        assert!(error(&cut, &wide(0, 120)) < 1e-9, "{mode}");
    }
}

#[test]
fn states_count_as_tokens_and_bytes() {
    let mut tail = plain(0);
    assert!(tail.state(1).is_none());
    tail.set_state(1, Taken::Own(3), vec![rows(0, 2)]);
    tail.set_state(1, Taken::Own(1), vec![rows(0, 4)]);
    assert_eq!(numbers(&tail.state(1).unwrap()[0]), counting(4));
    assert_eq!((tail.length(), tail.bytes()), (4, 2 * 4 * 4));
    assert_eq!(tail.arrays().count(), 1);
    assert!(tail.has_states());
    append(&mut tail, 0, &rows(0, 3));
    assert_eq!(tail.length(), 3);
}

#[test]
fn states_go_back_to_before_proposals() {
    let state = |tail: &Tail| numbers(&tail.state(1).unwrap()[0]).len();
    let mut tail = plain(0);
    append(&mut tail, 0, &rows(0, 8));
    // The state after so many tokens is as long.
    tail.set_state(1, Taken::Own(5), vec![rows(0, 5)]);
    tail.set_state(1, Taken::Proposed(1), vec![rows(0, 6)]);
    tail.set_state(1, Taken::Proposed(2), vec![rows(0, 8)]);
    assert_eq!((state(&tail), tail.length()), (8, 8));
    assert_eq!(
        (tail.state_tokens(), tail.bytes() > 4 * 8 * 4),
        (Some(5), true)
    );
    assert_eq!(tail.snapshot(5).states[1].as_ref().unwrap()[0].dim(2), 5);
    // Not all of the three stay: none does.
    let mut some = tail.clone();
    assert_eq!(some.truncate(7).unwrap(), 5);
    assert_eq!(
        (state(&some), some.length(), some.state_tokens()),
        (5, 5, Some(5))
    );
    // All stay, and nothing else is kept.
    assert_eq!(tail.truncate(8).unwrap(), 8);
    assert_eq!((state(&tail), tail.state_tokens()), (8, Some(8)));
    assert_eq!(tail.truncate(7).unwrap(), 7);
    assert!(!tail.has_states());
}
