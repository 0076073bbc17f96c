//! The `exwire` program: a thin shell around the library.
#![forbid(unsafe_code)]

/// Threads that read, scan and judge hand small blocks of memory to each other, which this one is made for.
#[cfg(all(unix, target_pointer_width = "64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    exwire::cli::main()
}
