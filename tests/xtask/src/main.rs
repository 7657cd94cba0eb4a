//! What a developer does often, in one place: `cargo xtask --help`.

mod phase;
mod phases;
mod repository;
mod shell;

use std::process::ExitCode;

use shell::Failure;

const HELP: &str = "\
cargo xtask <command>

  test [--only PHASE]… [--from PHASE] [--list]
                        everything that must hold: installs what is missing, then runs each phase
                        against its time budget and prints a table
  help, --help          this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.split_first() {
        None | Some((&("help" | "--help" | "-h"), _)) => {
            print!("{HELP}");
            Ok(())
        }
        Some((&"test", rest)) => phases::test(rest),
        Some((other, _)) => Err(Failure::usage(format!("no command `{other}`; try `cargo xtask --help`"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
