//! The `tidegate` command for Python's console script: the crate `tidegate-cli`, in this process.

use pyo3::prelude::*;
use std::ffi::OsString;

/// Runs the command on the standard streams of the process; `argv` begins with the program's name. The result is the
/// exit code.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, argv: Vec<OsString>) -> i32 {
    py.detach(|| tidegate_cli::main(argv))
}
