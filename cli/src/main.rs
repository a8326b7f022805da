//! The `tidegate` command as a program of its own; the Python and Node packages call the same function.

fn main() {
    std::process::exit(tidegate_cli::main(std::env::args_os()));
}
