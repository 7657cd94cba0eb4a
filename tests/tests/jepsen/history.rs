//! What clients have seen, and whether a log can be what they saw.

use std::collections::{BTreeMap, BTreeSet};

/// What a producer was told: where each of its batches begins, and the values in it.
#[derive(Debug, Default)]
pub struct Written {
    pub name: String,
    pub acknowledged: Vec<(i64, Vec<String>)>,
}

/// What a consumer was shown at each offset. Nothing may change that.
#[derive(Debug, Default)]
pub struct Read {
    shown: BTreeMap<i64, String>,
}

impl Read {
    /// A record was shown.
    #[track_caller]
    pub fn shows(&mut self, offset: i64, value: String) {
        let before = self.shown.entry(offset).or_insert_with(|| value.clone());
        assert_eq!(*before, value, "offset {offset} was shown as another record");
    }
}

/// Holds a log against all that was acknowledged and shown of it.
#[track_caller]
pub fn check(partition: i32, log: &[(i64, String)], writers: &[&Written], readers: &[&Read]) {
    let offsets = log.iter().map(|(offset, _)| *offset);
    assert!(offsets.eq(0..log.len() as i64), "partition {partition}: offsets are missing");
    let by_offset: BTreeMap<i64, &str> = log.iter().map(|(offset, value)| (*offset, &**value)).collect();
    let values: BTreeSet<&str> = by_offset.values().copied().collect();
    assert_eq!(values.len(), log.len(), "partition {partition}: some records are there twice");
    for writer in writers {
        for (base, batch) in &writer.acknowledged {
            for (offset, value) in (*base..).zip(batch) {
                let found = by_offset.get(&offset);
                assert_eq!(found, Some(&&**value), "partition {partition}, offset {offset} was acknowledged");
            }
        }
        let prefix = format!("{}-", writer.name);
        let found = log.iter().filter_map(|(_, value)| value.strip_prefix(&prefix));
        let sent = writer.acknowledged.iter().flat_map(|(_, batch)| batch);
        let sent = sent.filter_map(|value| value.strip_prefix(&prefix));
        assert!(found.eq(sent), "partition {partition}: the records of {} are out of order", writer.name);
        assert!(writer.acknowledged.len() > 20, "{} wrote too little to prove anything", writer.name);
    }
    for reader in readers {
        for (offset, value) in &reader.shown {
            assert_eq!(
                by_offset.get(offset),
                Some(&&**value),
                "partition {partition}, offset {offset} was shown"
            );
        }
        assert!(reader.shown.len() > 20, "too little was read to prove anything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(acknowledged: &[(i64, &str)]) -> Written {
        let batches = acknowledged.iter().map(|(offset, value)| (*offset, vec![(*value).to_owned()]));
        let filler = (100..130).map(|number| (number, vec![format!("a-{number}")]));
        Written { name: "a".to_owned(), acknowledged: batches.chain(filler).collect() }
    }

    /// Whether a log of these and what fills the rest is what one producer and one consumer saw.
    fn passes(log: &[&str], acknowledged: &[(i64, &str)], shown: &[(i64, &str)]) -> bool {
        let fill = (log.len()..100).map(|number| format!("b-{number}"));
        let log = log.iter().map(|value| (*value).to_owned()).chain(fill);
        let log = log.chain((100..130).map(|number| format!("a-{number}")));
        let log: Vec<(i64, String)> = (0..).zip(log).collect();
        let mut read = Read::default();
        shown.iter().for_each(|(offset, value)| read.shows(*offset, (*value).to_owned()));
        (100..130).for_each(|number| read.shows(number, format!("a-{number}")));
        let written = written(acknowledged);
        std::panic::catch_unwind(|| check(0, &log, &[&written], &[&read])).is_ok()
    }

    #[test]
    fn the_checker_finds_what_is_wrong() {
        assert!(passes(&["a-0", "a-1"], &[(0, "a-0"), (1, "a-1")], &[(1, "a-1")]));
        assert!(!passes(&["a-0"], &[(0, "a-0"), (1, "a-1")], &[]), "lost");
        assert!(!passes(&["a-1", "a-0"], &[(0, "a-0"), (1, "a-1")], &[]), "elsewhere");
        assert!(!passes(&["a-0", "a-1", "a-1"], &[(0, "a-0"), (1, "a-1")], &[]), "twice");
        assert!(!passes(&["a-0", "a-1"], &[(1, "a-1"), (0, "a-0")], &[]), "out of order");
        assert!(!passes(&["a-0", "a-1"], &[(0, "a-0")], &[]), "never acknowledged to its only writer");
        assert!(!passes(&["a-0"], &[(0, "a-0")], &[(1, "c-1")]), "shown and gone");
    }
}
