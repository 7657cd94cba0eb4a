//! The entry that `OTTLA_FUZZ_ENTRY` names, for libFuzzer.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use ottla_tests::fuzz::ENTRIES;

fuzz_target!(|input: &[u8]| {
    static ENTRY: OnceLock<fn(&[u8])> = OnceLock::new();
    let entry = ENTRY.get_or_init(|| {
        let name = std::env::var("OTTLA_FUZZ_ENTRY").expect("OTTLA_FUZZ_ENTRY");
        ENTRIES.iter().find(|(other, _)| *other == name).expect("an entry").1
    });
    entry(input);
});
