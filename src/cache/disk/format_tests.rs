//! Pages as bytes and back, and every way in which the bytes may be wrong.

use super::*;

fn decode(file: &[u8], hash: PageHash) -> Result<PageImage<&[u8]>, Reject> {
    image(file, verify(file)?, hash)
}

fn tensor(first: u8, dtype: Dtype, shape: &[i32]) -> Tensor<Vec<u8>> {
    let each = if dtype == Dtype::Float32 { 4 } else { 2 };
    let count = shape.iter().product::<i32>() * each;
    Tensor {
        dtype,
        shape: shape.to_vec(),
        bytes: (0..count)
            .map(|i| (i as u8).wrapping_mul(7) ^ first)
            .collect(),
    }
}

fn page() -> PageImage<Vec<u8>> {
    let four = [1, 2, 3, 4];
    PageImage {
        hash: PageHash([7; 16]),
        parent: PageHash([8; 16]),
        tokens: vec![1, 70_000, 3],
        layers: vec![
            Some([
                tensor(1, Dtype::Float32, &four),
                tensor(2, Dtype::Float32, &four),
            ]),
            None,
            Some([
                tensor(3, Dtype::Bfloat16, &four),
                tensor(4, Dtype::Float16, &four),
            ]),
        ],
        states: None,
    }
}

fn with_snapshot() -> PageImage<Vec<u8>> {
    let states = vec![
        None,
        Some(vec![
            tensor(5, Dtype::Bfloat16, &[1, 3, 6]),
            tensor(6, Dtype::Float32, &[1, 2, 2, 2, 3]),
        ]),
        Some(Vec::new()),
    ];
    PageImage {
        states: Some(states),
        ..page()
    }
}

fn file(page: &PageImage<Vec<u8>>) -> Vec<u8> {
    let mut file = encode(page).unwrap();
    for tensor in page.contents().chain(page.state_tensors()) {
        file.extend(&tensor.bytes);
    }
    file
}

/// What was read, as what can be written.
fn owned(page: &PageImage<&[u8]>) -> PageImage<Vec<u8>> {
    let tensor = |tensor: &Tensor<&[u8]>| Tensor {
        dtype: tensor.dtype,
        shape: tensor.shape.clone(),
        bytes: tensor.bytes.to_vec(),
    };
    let layers = page.layers.iter();
    let states = page.states.as_ref().map(|states| {
        let layers = states.iter();
        let each = |layer: &Vec<Tensor<&[u8]>>| layer.iter().map(tensor).collect();
        layers.map(|layer| layer.as_ref().map(each)).collect()
    });
    PageImage {
        hash: page.hash,
        parent: page.parent,
        tokens: page.tokens.clone(),
        layers: layers
            .map(|layer| layer.as_ref().map(|[k, v]| [tensor(k), tensor(v)]))
            .collect(),
        states,
    }
}

#[test]
fn a_page_comes_back() {
    for page in [page(), with_snapshot()] {
        let file = file(&page);
        assert_eq!(owned(&decode(&file, page.hash).unwrap()), page);
        assert_eq!(decode(&file, PageHash([9; 16])), Err(Reject::Foreign));
        let parts = peek(&file[..FIXED], page.hash).unwrap();
        assert_eq!(parts.page + parts.states, file.len() as u64);
        assert_eq!(parts.states, page.state_bytes());
        assert_eq!(parts.states > 0, page.states.is_some());
        assert_eq!(
            peek(&file[..FIXED], PageHash([9; 16])),
            Err(Reject::Foreign)
        );
        // Its states may be left away.
        let alone = decode(&file[..parts.page as usize], page.hash).unwrap();
        assert_eq!((owned(&alone).layers, alone.states), (page.layers, None));
    }
}

#[test]
fn what_cannot_be_stored_is_not_encoded() {
    let mut deep = with_snapshot();
    deep.layers[0].as_mut().unwrap()[0].shape = vec![1; MOST_DIMENSIONS + 1];
    assert_eq!(encode(&deep), None);
    let mut odd = page();
    odd.layers[0].as_mut().unwrap()[0].dtype = Dtype::Int64;
    assert_eq!(encode(&odd), None);
}

#[test]
fn one_flipped_bit_anywhere_is_seen() {
    for page in [page(), with_snapshot()] {
        let file = file(&page);
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut flipped = file.clone();
                flipped[at] ^= 1 << bit;
                let expected: &[Reject] = match at {
                    0..8 => &[Reject::Foreign],
                    8..12 => &[Reject::Version],
                    16..32 => &[Reject::Checksum, Reject::Truncated],
                    _ => &[Reject::Checksum],
                };
                let error = decode(&flipped, page.hash).unwrap_err();
                assert!(expected.contains(&error), "{error} at {at}");
            }
        }
    }
}

#[test]
fn every_shorter_or_longer_file_is_seen() {
    for page in [page(), with_snapshot()] {
        let mut file = file(&page);
        let parts = peek(&file, page.hash).unwrap();
        for length in 0..file.len() {
            if length as u64 == parts.page {
                continue;
            }
            assert_eq!(
                decode(&file[..length], page.hash),
                Err(Reject::Truncated),
                "{length}"
            );
            if length < FIXED {
                assert_eq!(peek(&file[..length], page.hash), Err(Reject::Truncated));
            }
        }
        file.push(0);
        assert_eq!(decode(&file, page.hash), Err(Reject::Checksum));
    }
}

#[test]
fn a_true_checksum_does_not_make_a_page() {
    let page = with_snapshot();
    let good = file(&page);
    let end = peek(&good, page.hash).unwrap().page as usize;
    for (at, value) in [
        // Layers of the snapshot, the hash, tokens, layers, a layer's kind, a
        // type, dimensions, a shape.
        (36, 200u8),
        (40, 1),
        (72, 200),
        (73, 255),
        (76, 2),
        (76, 200),
        (92, 9),
        (93, 4),
        (94, 3),
        (95, 5),
    ] {
        let mut file = good.clone();
        assert_ne!(file[at], value);
        file[at] = value;
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&file[..12]);
        checksum.update(&file[16..end]);
        file[12..16].copy_from_slice(&checksum.finalize().to_le_bytes());
        assert_eq!(decode(&file, page.hash), Err(Reject::Foreign), "{at}");
    }
}
