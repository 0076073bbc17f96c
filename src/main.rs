//! The `exwire` program: a thin shell around the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    exwire::cli::main()
}
