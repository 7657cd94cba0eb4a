//! Metadata at scale: what an image of a million partitions on a hundred brokers costs to load and to hold, what one change of an ISR costs, and
//! what it takes to give the partitions of a dead broker other leaders.
//!
//! `cargo xtask scale [--partitions N]` prints times and bytes, and instructions where Valgrind is installed: the same program under Callgrind, which
//! counts what the functions of [`steps`] include.

mod instructions;
mod steps;

use std::fs;
use std::time::{Duration, Instant};

use steps::Leader;

/// Brokers of the cluster.
pub const BROKERS: i32 = 100;
/// Partitions of a topic.
pub const PER_TOPIC: i32 = 1_000;
/// Changes of ISRs that are averaged over.
pub const CHANGES: i32 = 1_000;
/// Who dies.
pub const DEAD: i32 = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let at = arguments.iter().position(|argument| argument == "--partitions");
    let partitions: i32 = at.map_or(1_000_000, |at| arguments[at + 1].parse().expect("a number"));
    let is_counted = arguments.iter().any(|argument| argument == "--counted");
    let figures = measure(partitions);
    if is_counted {
        return;
    }
    let per_partition = |bytes: u64| bytes / u64::try_from(partitions).expect("a count");
    let instructions = instructions::count(partitions);
    let of = |step: &str| match instructions.get(step) {
        Some(count) => format!("{:.1} million", *count as f64 / 1e6),
        None => "not counted".to_owned(),
    };
    println!("{partitions} partitions with three replicas on {BROKERS} brokers:");
    println!("| | time | instructions | |");
    println!("| --- | ---: | ---: | --- |");
    let snapshot = format!("a snapshot of {} bytes a partition", per_partition(figures.snapshot_bytes));
    println!("| loading the image | {:.2?} | {} | {snapshot} |", figures.loading, of(steps::LOAD));
    let each = CHANGES.unsigned_abs();
    let change = instructions.get(steps::CHANGE).map(|count| format!("{} each", count / u64::from(each)));
    let change = change.unwrap_or_else(|| "not counted".to_owned());
    println!(
        "| one ISR changed | {:.1?} | {change} | decided, written and published |",
        figures.changes / each
    );
    let moved = format!("{} partitions led by others, {} changed", figures.led, figures.moved);
    println!("| a dead broker's partitions moved | {:.2?} | {} | {moved} |", figures.burial, of(steps::BURY));
    println!("| memory of the image | | | {} bytes a partition |", per_partition(figures.image_bytes));
}

struct Figures {
    snapshot_bytes: u64,
    loading: Duration,
    image_bytes: u64,
    changes: Duration,
    /// Partitions that got another leader, and that lost a replica in sync.
    led: usize,
    moved: usize,
    burial: Duration,
}

fn measure(partitions: i32) -> Figures {
    let snapshot = steps::snapshot(partitions);
    let snapshot_bytes = snapshot.iter().map(|batch| batch.len() as u64).sum();
    let before = resident_bytes();
    let (image, loading) = timed(|| steps::load(&snapshot));
    let image_bytes = resident_bytes().saturating_sub(before);
    let mut leader = Leader::new(image);
    let ((), changes) = timed(|| steps::change(&mut leader));
    leader.fall_silent(DEAD);
    let ((led, moved), burial) = timed(|| steps::bury(&mut leader));
    Figures { snapshot_bytes, loading, image_bytes, changes, led, moved, burial }
}

fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let before = Instant::now();
    (act(), before.elapsed())
}

/// What this process holds in memory.
fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4_096
}
