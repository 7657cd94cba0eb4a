//! That `core` is pure: its WebAssembly imports nothing, and none of its dependencies reaches outside.

use std::fs;
use std::time::Duration;

use crate::repository::target;
use crate::shell::{Failure, Outcome, command, quiet, run};

/// What reads a clock, the system's randomness, or an unseeded hash order.
const BANNED: [&str; 8] =
    ["getrandom", "chrono", "ahash", "time", "tokio", "js-sys", "wasm-bindgen", "web-sys"];

/// The standard library alone has over a thousand: with fewer than this the probe does not hold the crate.
const FUNCTIONS_MIN: u32 = 5000;

/// No dependency of `core`, on any target, is among the banned.
pub fn dependencies() -> Outcome {
    let tree = quiet(command(
        "cargo tree --package ottla-core --edges normal --target all --prefix none --format {p}".split(' '),
    ))?;
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let found: Vec<&str> = names.filter(|name| BANNED.contains(name)).collect();
    match found.is_empty() {
        true => {
            println!("{} dependencies, none banned", tree.lines().count());
            Ok(())
        }
        false => Err(Failure::new(format!("ottla-core depends on {}", found.join(", ")))
            .advise("`cargo tree --package ottla-core --invert NAME` says through what")),
    }
}

/// Links all of `core` into one module, nothing collected as garbage, and looks at its import section.
pub fn wasm_imports_nothing(limit: Duration) -> Outcome {
    let probe = "cargo rustc --package ottla-core --lib --crate-type cdylib --target wasm32-unknown-unknown \
                 -- -C link-dead-code -C link-arg=--no-gc-sections";
    run(command(probe.split_whitespace()), limit)?;
    let module = fs::read(target().join("wasm32-unknown-unknown/debug/ottla_core.wasm"))?;
    let malformed = || Failure::new("the probe is no WebAssembly module");
    let imports = count(&module, IMPORTS).ok_or_else(malformed)?;
    let functions = count(&module, FUNCTIONS).ok_or_else(malformed)?;
    println!("{} bytes, {functions} functions, {imports} imports", module.len());
    if functions < FUNCTIONS_MIN {
        return Err(Failure::new(format!("the probe holds only {functions} functions")));
    }
    match imports {
        0 => Ok(()),
        _ => Err(Failure::new(format!("core's WebAssembly has {imports} imports"))
            .advise("look for a clock, randomness or IO: `wasm-dis` lists the imports by name")),
    }
}

const IMPORTS: u8 = 2;
const FUNCTIONS: u8 = 3;

/// How many entries a section has: 0 when it is not there, `None` when the module is malformed.
fn count(module: &[u8], section: u8) -> Option<u32> {
    let mut rest = module.strip_prefix(b"\0asm\x01\0\0\0")?;
    while let Some((&id, after)) = rest.split_first() {
        let (size, body) = unsigned(after)?;
        if id == section {
            return Some(unsigned(body)?.0);
        }
        rest = body.get(size as usize..)?;
    }
    Some(0)
}

/// An unsigned LEB128 number and what follows it.
fn unsigned(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{FUNCTIONS, IMPORTS, count};

    #[test]
    fn sections_are_counted() {
        // A type section, then an import section of one entry.
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x07\x01\x01m\x01f\0\0";
        assert_eq!(count(module, IMPORTS), Some(1));
        assert_eq!(count(module, FUNCTIONS), Some(0));
        assert_eq!(count(b"no module", IMPORTS), None);
        assert_eq!(count(&module[..12], IMPORTS), None);
    }
}
