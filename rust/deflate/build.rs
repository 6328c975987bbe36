//! Compiles the C side.
fn main() {
    println!("cargo:rerun-if-changed=src/parts.c");
    println!("cargo:rerun-if-changed=src/chains.h");
    println!("cargo:rerun-if-changed=src/fast.h");
    println!("cargo:rerun-if-changed=libdeflate");
    // As libdeflate itself is built.
    cc::Build::new()
        .opt_level(2)
        .file("src/parts.c")
        .include("libdeflate")
        .warnings(false)
        .compile("lightning_native_deflate");
}
