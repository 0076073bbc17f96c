//! The `exwire` program: a thin shell around the library.

fn main() -> std::process::ExitCode {
    exwire::cli::main()
}
