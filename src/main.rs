//! The process: everything it does is in the library.

fn main() -> std::process::ExitCode {
    haul::run_process(std::env::args_os())
}
