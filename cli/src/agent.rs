//! `tidegate agent` and `tidegate cluster`: hand over to the program `tidegate-agent`, which has a client of the store
//! and comes apart.

use crate::CliError;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;

const PROGRAM: &str = "tidegate-agent";

/// Returns only where it could not be started, or where a program cannot take another's place.
pub(crate) fn start(words: &[OsString]) -> Result<(), CliError> {
    let mut error = io::Error::from(io::ErrorKind::NotFound);
    for program in beside().into_iter().chain([PathBuf::from(PROGRAM)]) {
        error = become_program(Command::new(program).args(words));
        if error.kind() != io::ErrorKind::NotFound {
            break;
        }
    }
    Err(CliError::Message(match error.kind() {
        io::ErrorKind::NotFound => format!(
            "the program {PROGRAM} is neither beside this one nor in PATH; it is of the crate tidegate-cluster, which \
             has the client of Redis: cargo install --path cluster"
        ),
        _ => format!("{PROGRAM} could not be started: {error}"),
    }))
}

/// Beside this program or, of an interpreter's script, beside the interpreter.
fn beside() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.with_file_name(PROGRAM);
    program.is_file().then_some(program)
}

#[cfg(unix)]
fn become_program(command: &mut Command) -> io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}
