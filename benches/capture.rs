//! How fast captures are framed: packets per second, warm, from memory.
fn main() {
    divan::main();
}
