//! The `maitred` binary.

use std::process::ExitCode;

// Routing makes and frees many small things, on several threads.
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    maitred::cli::run()
}
