//! The `tidegate` command for npm's bin: the crate `tidegate-cli`, in this process.

use napi_derive::napi;

/// Runs the command on the standard streams of the process; `argv` begins with the program's name. The result is the
/// exit code.
#[napi(catch_unwind)]
#[cfg_attr(test, allow(dead_code))] // napi's macro registers nothing in the crate's own tests.
pub(crate) fn run_command(argv: Vec<String>) -> i32 {
    tidegate_cli::main(argv.into_iter().map(Into::into))
}
