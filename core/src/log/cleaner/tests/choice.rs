//! Which log, and how far.

use super::*;

/// Segments `0`, `1` … of one record each, with timestamps 100, 200 …; the active one is empty.
fn log_of(count: i64) -> (MemoryStore, Log<MemoryStore>) {
    let (mut store, mut log) = fresh(config());
    for n in 0..count {
        let batch = keyed(BatchOptions::default(), &[(&n.to_string(), Some("v"))], 100 * (n + 1));
        put_batch(&mut log, &mut store, &batch);
    }
    (store, log)
}

fn range(log: &mut Log<MemoryStore>, store: &mut MemoryStore, at: i64) -> (i64, i64) {
    let to_clean = log.to_clean(store, at, i64::MAX).unwrap();
    (to_clean.first_dirty_offset, to_clean.first_uncleanable_offset)
}

#[test]
fn neither_the_active_segment_nor_what_is_not_replicated() {
    let (mut store, mut log) = log_of(4);
    assert_eq!(range(&mut log, &mut store, 1_000), (0, 4));
    append(&mut log, &mut store, &keyed(BatchOptions::default(), &[("x", Some("v"))], 100), 100);
    log.set_high_watermark(5);
    assert_eq!(range(&mut log, &mut store, 1_000), (0, 4));
    log.set_high_watermark(3);
    assert_eq!(range(&mut log, &mut store, 1_000), (0, 3));
    log.set_high_watermark(0);
    let nothing = log.to_clean(&mut store, 1_000, i64::MAX).unwrap();
    assert_eq!(
        (nothing.first_uncleanable_offset, nothing.cleanable_bytes, nothing.is_due(0.0)),
        (0, 0, false)
    );
}

#[test]
fn what_a_power_loss_could_take_removes_nothing() {
    let (mut store, mut log) = log_of(4);
    let up_to = |log: &mut Log<MemoryStore>, store: &mut MemoryStore, durable| {
        log.to_clean(store, 1_000, durable).unwrap().first_uncleanable_offset
    };
    assert_eq!([0, 2, 4, 9].map(|durable| up_to(&mut log, &mut store, durable)), [0, 2, 4, 4]);
}

#[test]
fn a_segment_with_a_young_record_and_all_after_it_wait() {
    let (mut store, mut log) = log_of(4);
    log.set_config(LogConfig { min_compaction_lag_ms: 500, ..config() });
    assert_eq!(range(&mut log, &mut store, 599), (0, 0));
    assert_eq!(range(&mut log, &mut store, 600), (0, 1));
    assert_eq!(range(&mut log, &mut store, 799), (0, 2));
    assert_eq!(range(&mut log, &mut store, 900), (0, 4));
    log.set_cleaned_up_to(Some(3));
    assert_eq!(range(&mut log, &mut store, 600), (3, 3));
}

#[test]
fn an_old_record_makes_it_due() {
    let (mut store, mut log) = log_of(4);
    log.set_cleaned_up_to(Some(3));
    let due = |log: &mut Log<MemoryStore>, store: &mut MemoryStore, at: i64| {
        let to_clean = log.to_clean(store, at, i64::MAX).unwrap();
        (to_clean.max_compaction_delay_ms, to_clean.is_due(0.9))
    };
    assert_eq!(due(&mut log, &mut store, i64::MAX), (0, false));
    log.set_config(LogConfig { max_compaction_lag_ms: 1_000, ..config() });
    assert_eq!(due(&mut log, &mut store, 1_400), (0, false));
    assert_eq!(due(&mut log, &mut store, 1_405), (5, true));
    log.set_cleaned_up_to(Some(2));
    assert_eq!(due(&mut log, &mut store, 1_405), (105, true));
    log.set_cleaned_up_to(Some(4));
    assert_eq!(due(&mut log, &mut store, 1_405), (0, false));
}

#[test]
fn the_dirty_part_decides() {
    let (mut store, mut log) = log_of(4);
    assert_eq!(log.to_clean(&mut store, 0, i64::MAX).unwrap().dirty_ratio().to_bits(), 1_f64.to_bits());
    log.set_cleaned_up_to(Some(2));
    let to_clean = log.to_clean(&mut store, 0, i64::MAX).unwrap();
    assert_eq!((to_clean.clean_bytes, to_clean.clean_bytes), (to_clean.cleanable_bytes, log.size() / 2));
    assert!(to_clean.is_due(0.49) && !to_clean.is_due(0.5));
    log.set_cleaned_up_to(Some(4));
    let to_clean = log.to_clean(&mut store, 0, i64::MAX).unwrap();
    assert!(!to_clean.is_due(0.0) && to_clean.dirty_ratio() < 0.1);
    let (mut store, mut log) = fresh(config());
    assert!(!log.to_clean(&mut store, 0, i64::MAX).unwrap().is_due(0.0));
}

#[test]
fn a_checkpoint_that_cannot_be_is_set_back_to_the_log_start() {
    let (mut store, mut log) = log_of(4);
    log.set_cleaned_up_to(Some(5));
    assert_eq!(range(&mut log, &mut store, 0), (0, 4));
    assert_eq!(log.cleaned_up_to(), Some(0));
    log.set_cleaned_up_to(Some(1));
    log.increment_log_start_offset(&mut store, 2).unwrap();
    assert_eq!(range(&mut log, &mut store, 0), (2, 4));
    assert_eq!(log.cleaned_up_to(), Some(2));
    // In the active segment: there is nothing to do before that is closed.
    append(&mut log, &mut store, &keyed(BatchOptions::default(), &[("x", Some("v"))], 100), 100);
    log.set_high_watermark(5);
    log.set_cleaned_up_to(Some(5));
    let to_clean = log.to_clean(&mut store, 0, i64::MAX).unwrap();
    assert_eq!((to_clean.first_dirty_offset, to_clean.cleanable_bytes), (5, 0));
    log.truncate_to(&mut store, now(0), 3).unwrap();
    assert_eq!(log.cleaned_up_to(), Some(3));
}
