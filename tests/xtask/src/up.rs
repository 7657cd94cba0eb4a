//! `cargo xtask up`: from a fresh checkout to a running server and its page.

use std::time::Duration;

use crate::shell::{Failure, Outcome, command, run};
use crate::{page, repository};

/// A cold release build on two cores.
const BUILD_MAX: Duration = Duration::from_secs(40 * 60);

const READY: &str = "
Ottla listens on localhost:9092; its page is http://localhost:8080. Ctrl-C stops it; its data stays in ./data.
Try, in another terminal:

  echo 'hello, seat' | kcat -b localhost:9092 -P -t greetings
  kcat -b localhost:9092 -C -t greetings -o beginning -e
  target/release/ottla kafka-topics --bootstrap-server localhost:9092 --describe
";

/// Builds what is missing and runs the server until it is stopped.
pub fn up(arguments: &[&str]) -> Outcome {
    println!("[1/3] the page");
    if let Err(failure) = page::build_if_stale() {
        println!("the page was not built: {failure}");
        println!("the server runs without it; `cargo xtask page` tries again");
    }
    println!("[2/3] the server (a first release build takes some minutes)");
    let build = "cargo build --release --package ottla-server";
    run(command(build.split(' ')), BUILD_MAX)
        .map_err(|failure| failure.advise("read the compiler's first error above"))?;
    println!("[3/3] starting{READY}");
    let mut server = command([repository::target().join("release/ottla")]);
    server.arg("server").args(arguments);
    let status = server.status()?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("the server ended with {status}"))
            .advise("is another server on port 9092 or 8080? Choose others with `--override listeners=…`")),
    }
}
