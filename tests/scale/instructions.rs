//! The same program under Callgrind.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crate::steps;

/// Instructions that each step includes; nothing without Valgrind.
pub fn count(partitions: i32) -> BTreeMap<&'static str, u64> {
    let out = std::env::temp_dir().join(format!("ottla-scale-{}", std::process::id()));
    let program = std::env::current_exe().expect("this program");
    println!("counting instructions ...");
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["--counted", "--partitions", &partitions.to_string()])
        .stdout(Stdio::null())
        .status();
    if !ran.is_ok_and(|status| status.success()) {
        println!("valgrind is not there");
        return BTreeMap::new();
    }
    let arguments = ["--inclusive=yes", "--threshold=100"];
    let annotated = Command::new("callgrind_annotate").args(arguments).arg(&out).output();
    let annotated = String::from_utf8_lossy(&annotated.expect("it comes with valgrind").stdout).into_owned();
    let _ = std::fs::remove_file(&out);
    let of = |step: &'static str| {
        let line = annotated.lines().find(|line| line.contains(&format!("scale::steps::{step}")))?;
        let count = line.split_whitespace().next()?.replace(',', "");
        Some((step, count.parse().ok()?))
    };
    [steps::LOAD, steps::CHANGE, steps::BURY].into_iter().filter_map(of).collect()
}
