//! Parts of any content: two other libraries inflate them to it, alone or in a row, whatever is beyond their window.
#![no_main]
use std::io::Read;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use lightning_native_deflate::{Compressor, END, LEVELS, WINDOW, bound};

#[derive(Arbitrary, Debug)]
struct Input {
    /// Pieces of the content, each some times.
    pieces: Vec<(Vec<u8>, u8)>,
    cuts: Vec<u16>,
    level: u8,
}

fn part(compressor: &mut Compressor, content: &[u8], start: usize, end: usize) -> Vec<u8> {
    let mut out = vec![0; bound(end - start)];
    let length = compressor.stream(content).compress(start..end, &mut out).expect("room");
    out.truncate(length);
    out
}

fuzz_target!(|input: Input| {
    let mut content = Vec::new();
    for (piece, times) in &input.pieces {
        for _ in 0..=*times {
            content.extend_from_slice(piece);
        }
        if content.len() > 300_000 {
            break;
        }
    }
    let mut ends: Vec<usize> = input.cuts.iter().map(|&cut| usize::from(cut) * 5 % (content.len() + 1)).collect();
    ends.push(content.len());
    ends.sort_unstable();
    let levels = LEVELS.count();
    let mut compressor = Compressor::new(*LEVELS.start() + (usize::from(input.level) % levels) as i32);
    let mut alone = Vec::new();
    let mut start = 0;
    for &end in &ends {
        let now = part(&mut compressor, &content, start, end);
        // The same part with nothing before its window is the same.
        let from = start.saturating_sub(WINDOW);
        assert!(now == part(&mut compressor, &content[from..end], start - from, end - from));
        alone.extend(now);
        start = end;
    }
    let mut in_a_row = Vec::new();
    let mut stream = compressor.stream(&content);
    let mut start = 0;
    for &end in &ends {
        let mut out = vec![0; bound(end - start)];
        let length = stream.compress(start..end, &mut out).expect("room");
        in_a_row.extend_from_slice(&out[..length]);
        start = end;
    }
    assert!(alone == in_a_row);
    alone.extend(END);
    let mut inflated = Vec::new();
    flate2::read::DeflateDecoder::new(&alone[..]).read_to_end(&mut inflated).expect("a deflate stream");
    assert!(inflated == content);
    let mut other = vec![0; content.len()];
    let length = libdeflater::Decompressor::new().deflate_decompress(&alone, &mut other).expect("a deflate stream");
    assert!(length == content.len() && other == content);
});
