//! The properties that archives rely on: a part's bytes depend on little, and together the parts are the content.
use std::io::Read;

use lightning_native_deflate::{Compressor, END, LEVELS, WINDOW, bound};
use proptest::prelude::*;

/// Content of few values, in which everything comes again.
fn few_values() -> impl Strategy<Value = Vec<u8>> {
    (1_u8..5).prop_flat_map(|values| prop::collection::vec(prop_oneof![4 => 0..values, 1 => any::<u8>()], 0..5_000))
}

/// Content as programs are: words that come again, near and far, and now and then bytes of no pattern.
fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![words(), few_values()]
}

fn words() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::collection::vec(any::<u8>(), 1..40);
    let words = prop::collection::vec(word, 1..60);
    (words, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6_000)).prop_map(|(words, order)| {
        let mut content = Vec::new();
        for (index, byte) in order {
            content.extend_from_slice(index.get::<Vec<u8>>(&words));
            if byte < 30 {
                content.push(byte);
            }
        }
        content
    })
}

/// The checksums of what each level makes of the same content.
const PINNED: [u32; 12] = [
    270_106_781,
    795_573_630,
    177_413_497,
    2_303_553_770,
    1_633_590_002,
    1_231_066_376,
    1_176_435_978,
    2_199_459_307,
    647_290_589,
    3_976_303_459,
    500_929_654,
    539_847_981,
];

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

fn parts(length: usize, cuts: &[prop::sample::Index]) -> Vec<std::ops::Range<usize>> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(length + 1)).chain([length]).collect();
    ends.sort_unstable();
    ends.iter()
        .scan(0, |start, &end| {
            let part = *start..end;
            *start = end;
            Some(part)
        })
        .collect()
}

fn one(compressor: &mut Compressor, content: &[u8], part: std::ops::Range<usize>) -> Vec<u8> {
    let mut out = vec![0; bound(part.len())];
    let length = compressor.stream(content).compress(part, &mut out).expect("room");
    out.truncate(length);
    out
}

/// Inflates parts with two other libraries.
fn inflate(parts: &[Vec<u8>], length: usize) -> Vec<u8> {
    let mut stream = parts.concat();
    stream.extend(END);
    let mut content = vec![0; length];
    let found = libdeflater::Decompressor::new().deflate_decompress(&stream, &mut content).expect("a deflate stream");
    assert_eq!(found, length);
    let mut other = Vec::new();
    flate2::read::DeflateDecoder::new(&stream[..]).read_to_end(&mut other).expect("a deflate stream");
    assert!(content == other);
    content
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn parts_are_the_content_whoever_compressed_them(content in content(), cuts in cuts(), level in LEVELS) {
        let parts = parts(content.len(), &cuts);
        let mut compressor = Compressor::new(level);
        let alone: Vec<Vec<u8>> = parts.iter().map(|part| one(&mut compressor, &content, part.clone())).collect();
        let mut stream = compressor.stream(&content);
        let in_a_row: Vec<Vec<u8>> = parts
            .iter()
            .map(|part| {
                let mut out = vec![0; bound(part.len())];
                let length = stream.compress(part.clone(), &mut out).expect("room");
                out.truncate(length);
                out
            })
            .collect();
        prop_assert!(alone == in_a_row, "going on is not as beginning anew");
        prop_assert!(inflate(&alone, content.len()) == content);
    }

    #[test]
    fn a_part_depends_on_it_and_the_window_before_it_alone(
        content in content(), cuts in cuts(), other in content(), level in LEVELS,
    ) {
        let mut compressor = Compressor::new(level);
        for part in parts(content.len(), &cuts) {
            let window = &content[part.start.saturating_sub(WINDOW)..part.end];
            let before = part.start - part.start.saturating_sub(WINDOW);
            // Other bytes before the window, but only where there were some: where the stream begins, it begins.
            let far = if part.start > WINDOW { &other[..] } else { &[] };
            let elsewhere = [far, window, &other].concat();
            let start = far.len() + before;
            let moved = one(&mut compressor, &elsewhere, start..start + part.len());
            prop_assert!(moved == one(&mut compressor, &content, part));
        }
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect()
}

#[test]
fn nothing_before_the_content_is_referred_to() {
    // Where the content begins is "abcdefghij", but for the first letter, which is in front of it.
    let memory = b"abcdefghij,abcd,abcde,abcdefghij";
    let content = &memory[1..];
    for level in LEVELS {
        let part = one(&mut Compressor::new(level), content, 0..content.len());
        assert_eq!(inflate(&[part], content.len()), content);
    }
}

#[test]
fn what_came_within_the_window_is_found_again() {
    let once = noise(WINDOW - 300);
    let content = once.repeat(8);
    for level in LEVELS {
        let part = one(&mut Compressor::new(level), &content, 0..content.len());
        assert!(part.len() < once.len() + once.len() / 5, "{} bytes at level {level}", part.len());
    }
}

#[test]
fn parts_of_one_byte_are_whole() {
    let content = b"abcabcabcabc".repeat(20);
    for level in LEVELS {
        let mut compressor = Compressor::new(level);
        let mut stream = compressor.stream(&content);
        let parts: Vec<Vec<u8>> = (0..content.len())
            .map(|start| {
                let mut out = vec![0; bound(1)];
                let length = stream.compress(start..start + 1, &mut out).expect("room");
                out.truncate(length);
                out
            })
            .collect();
        assert!(inflate(&parts, content.len()) == content);
    }
}

#[test]
fn a_match_ends_with_its_part() {
    let content = vec![7; 3 * 258 + 5];
    for level in LEVELS {
        let mut compressor = Compressor::new(level);
        let parts: Vec<Vec<u8>> =
            [0..300, 300..558, 558..559, 559..content.len()].map(|part| one(&mut compressor, &content, part)).into();
        assert!(inflate(&parts, content.len()) == content, "level {level}");
    }
}

/// Patterns of which each byte has many earlier places, so that a search without limits takes the square of their length.
fn worst() -> Vec<(&'static str, Vec<u8>)> {
    let length = 400_000;
    let mut near = noise(64);
    near[0] = 0;
    vec![
        ("zeros", vec![0; length]),
        ("noise", noise(length)),
        ("two in turn", [0, 1].repeat(length / 2)),
        (
            "the same four before another byte",
            (0..length / 5).flat_map(|n| [1, 2, 3, 4, (n * 7 % 251).to_le_bytes()[0]]).collect(),
        ),
        (
            "runs of growing length",
            (1..890_usize).flat_map(|n| [vec![0; n], vec![(n % 255).to_le_bytes()[0] + 1]].concat()).collect(),
        ),
        ("again after 32 KiB", noise(WINDOW).repeat(length / WINDOW)),
        ("again after one less", noise(WINDOW - 1).repeat(length / WINDOW)),
        ("again after one more", noise(WINDOW + 1).repeat(length / WINDOW)),
        (
            "almost the same",
            (0..length / 64)
                .flat_map(|n| {
                    let mut now = near.clone();
                    now[n % 64] ^= 1;
                    now
                })
                .collect(),
        ),
    ]
}

#[test]
fn the_worst_content_is_whole_within_its_bound() {
    for (name, content) in worst() {
        for level in LEVELS {
            let part = one(&mut Compressor::new(level), &content, 0..content.len());
            assert!(inflate(&[part], content.len()) == content, "{name} at level {level}");
        }
    }
}

#[test]
fn the_worst_content_is_compressed_where_it_repeats() {
    for (name, content) in worst() {
        let most = match name {
            "zeros" | "two in turn" => content.len() / 500,
            "runs of growing length" => content.len() / 60,
            "again after one less" => WINDOW * 4 / 3,
            "the same four before another byte" => content.len() / 2,
            _ => bound(content.len()),
        };
        for level in LEVELS {
            let part = one(&mut Compressor::new(level), &content, 0..content.len());
            assert!(part.len() <= most, "{name} at level {level}: {} bytes", part.len());
        }
    }
}

#[test]
fn the_bytes_are_the_same_on_every_platform() {
    let content: Vec<u8> = worst().into_iter().flat_map(|(_, content)| content[..40_000].to_vec()).collect();
    let sums: Vec<u32> = LEVELS
        .map(|level| {
            let mut sum = flate2::Crc::new();
            sum.update(&one(&mut Compressor::new(level), &content, 0..content.len()));
            sum.sum()
        })
        .collect();
    assert_eq!(sums, PINNED, "an archive that was made before gets another file; the digest of its content stays");
}

#[test]
fn what_cannot_be_compressed_fits_its_bound() {
    let content = noise(300_000);
    for level in LEVELS {
        for length in [0, 1, 4, 5, 6, 4_999, 5_000, 10_001, 131_072, 300_000] {
            let part = one(&mut Compressor::new(level), &content[..length], 0..length);
            assert!(part.len() <= bound(length));
            assert!(inflate(&[part], length) == content[..length]);
        }
    }
}

#[test]
fn too_little_room_is_said_and_nothing_is_written_beyond() {
    let content = b"to be or not to be, that is the question ".repeat(50);
    let mut compressor = Compressor::new(6);
    let needed = one(&mut compressor, &content, 0..content.len()).len();
    for room in 0..needed {
        let mut out = vec![7; needed + 100];
        assert_eq!(compressor.stream(&content).compress(0..content.len(), &mut out[..room]), None);
        assert!(out[room..].iter().all(|&byte| byte == 7));
    }
}
