//! `ottla`: the server and Kafka's tools, in one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ottla_server::cli::run(std::env::args_os())
}
