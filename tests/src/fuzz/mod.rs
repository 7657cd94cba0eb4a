//! Every way that bytes of others come in, as a function of any bytes: it panics where something is wrong.
//!
//! `cargo xtask fuzz` has libFuzzer look for such bytes; the test `fuzz` tries another slice of random ones every day.

mod arguments;
mod batches;
mod broker;
mod fill;
mod messages;
mod properties;
mod recovery;
mod requests;
mod websocket;

/// An entry, by its name.
pub type Entry = (&'static str, fn(&[u8]));

pub const ENTRIES: &[Entry] = &[
    ("messages", messages::run),
    ("batches", batches::run),
    ("recovery", recovery::run),
    ("requests", requests::run),
    ("controller", requests::run_controller),
    ("sessions", requests::run_sessions),
    ("groups", requests::run_groups),
    ("properties", properties::run),
    ("arguments", arguments::run),
    ("websocket", websocket::run),
];

/// Bytes as choices, as long as there are some; then all of them are zero.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn below(&mut self, bound: usize) -> usize {
        let choice = if bound > 256 { self.number::<2>() } else { u64::from(self.byte()) };
        usize::try_from(choice).unwrap_or(0) % bound.max(1)
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == chances - 1
    }

    fn number<const N: usize>(&mut self) -> u64 {
        (0..N).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
