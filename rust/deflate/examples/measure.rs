//! Times compressors of one thread on files: `measure FILE… [--levels 1,6,9] [--rounds N]`; one line of JSON a file and level.
#![expect(clippy::print_stdout, reason = "a program")]
use std::{fs, hint::black_box, io::Write, time::Instant};

use lightning_native_deflate::{Compressor, LEVELS, bound};

const BLOCK: usize = 4 << 20;

fn ours(content: &[u8], level: i32, part: usize) -> usize {
    let mut compressor = Compressor::new(level);
    let mut out = vec![0; bound(part)];
    let mut total = 0;
    for block in content.chunks(BLOCK) {
        let mut stream = compressor.stream(block);
        let mut start = 0;
        while start < block.len() {
            let end = block.len().min(start + part);
            total += stream.compress(start..end, &mut out).expect("room");
            start = end;
        }
    }
    total
}

fn libdeflate(content: &[u8], level: i32) -> usize {
    let level = libdeflater::CompressionLvl::new(level).expect("a level");
    let mut compressor = libdeflater::Compressor::new(level);
    let mut out = vec![0; compressor.deflate_compress_bound(BLOCK)];
    content.chunks(BLOCK).map(|block| compressor.deflate_compress(block, &mut out).expect("room")).sum()
}

fn zlib_rs(content: &[u8], level: u32) -> usize {
    let mut total = 0;
    for block in content.chunks(BLOCK) {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::with_capacity(BLOCK), flate2::Compression::new(level.min(9)));
        encoder.write_all(block).expect("memory");
        total += encoder.finish().expect("memory").len();
    }
    total
}

fn main() {
    let mut files = Vec::new();
    let (mut levels, mut rounds) = (LEVELS.collect::<Vec<i32>>(), 5);
    let best = std::env::var_os("BEST").is_some();
    let mut part = 40 << 10;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--levels" => {
                let list = arguments.next().expect("levels");
                levels = list.split(',').map(|level| level.parse().expect("a number")).collect();
            }
            "--part" => part = arguments.next().and_then(|text| text.parse().ok()).expect("a number"),
            "--rounds" => rounds = arguments.next().and_then(|text| text.parse().ok()).expect("a number"),
            _ => files.push(argument),
        }
    }
    for file in files {
        let content = fs::read(&file).expect("a file");
        for &level in &levels {
            let part = if level == 1 { BLOCK } else { part };
            let only = std::env::var("ONLY").ok();
            let all: [(&str, &dyn Fn() -> usize); 3] = [
                ("ours", &|| ours(&content, level, part)),
                ("libdeflate", &|| libdeflate(&content, level)),
                ("zlib-rs", &|| zlib_rs(&content, level.unsigned_abs())),
            ];
            let peers: Vec<_> =
                all.into_iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name)).collect();
            let mut times = vec![Vec::new(); peers.len()];
            let mut sizes = vec![0; peers.len()];
            for _ in 0..rounds {
                for (place, (_, compress)) in peers.iter().enumerate() {
                    let begun = Instant::now();
                    sizes[place] = black_box(compress());
                    times[place].push(begun.elapsed().as_secs_f64());
                }
            }
            let mut fields = Vec::new();
            for (place, (name, _)) in peers.iter().enumerate() {
                times[place].sort_by(f64::total_cmp);
                let median = times[place][if best { 0 } else { times[place].len() / 2 }];
                fields.push(format!("\"{name}\": {{\"seconds\": {median:.4}, \"bytes\": {}}}", sizes[place]));
            }
            println!("{{\"file\": {file:?}, \"bytes\": {}, \"level\": {level}, {}}}", content.len(), fields.join(", "));
        }
    }
}
