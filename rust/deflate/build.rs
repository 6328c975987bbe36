//! Compiles the C side.
fn main() {
    println!("cargo:rerun-if-changed=src/parts.c");
    println!("cargo:rerun-if-changed=libdeflate");
    cc::Build::new().file("src/parts.c").include("libdeflate").warnings(false).compile("lightning_native_deflate");
}
