//! What a lane of the drawing shows, computed apart from how it is drawn. Lengths are in drawing units.

use crate::playground::{CellView, GroupView, PartitionView, View};

/// A cell is 21 wide on a pitch of 23.
pub const PITCH: f64 = 23.0;
const STRIP_ROOM: f64 = 40.0;
/// A flag at the very first offset still hangs inside of its lane.
const NO_STRIP_ROOM: f64 = 18.0;
/// Room at the end of a lane for the caret and the tag of the high watermark.
const END_ROOM: f64 = 18.0;
const BARS_MAX: i64 = 24;
const FLAGS_MAX: usize = 3;

/// Hues for keys, in order of first appearance. After seven they repeat; the letters do not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hues {
    keys: Vec<String>,
}

impl Hues {
    /// Learns the keys of a view; true if there was a new one.
    pub fn learn(&mut self, view: &View) -> bool {
        let before = self.keys.len();
        let cells = view
            .topics
            .iter()
            .filter(|topic| !topic.internal)
            .flat_map(|topic| &topic.partitions)
            .flat_map(|p| &p.cells);
        let mut fresh: Vec<(i64, &String)> = Vec::new();
        for cell in cells {
            if let Some(key) = &cell.key
                && !self.keys.contains(key)
                && !fresh.iter().any(|(_, known)| *known == key)
            {
                fresh.push((cell.timestamp, key));
            }
        }
        fresh.sort();
        self.keys.extend(fresh.into_iter().map(|(_, key)| key.clone()));
        self.keys.len() != before
    }

    /// 1 to 7, 0 for no key.
    pub fn hue(&self, key: Option<&str>) -> usize {
        let place = key.and_then(|key| self.keys.iter().position(|known| known == key));
        place.map_or(0, |index| index % 7 + 1)
    }
}

/// The one or two letters of a key inside its cell.
pub fn letters(key: Option<&str>) -> String {
    let Some(key) = key else { return "–".to_owned() };
    let mut chars = key.chars();
    let (Some(first), last) = (chars.next(), chars.next_back()) else { return "∅".to_owned() };
    match last {
        _ if !first.is_ascii() => first.to_string(),
        Some(last) if key.chars().count() == 2 || last.is_ascii_digit() => format!("{first}{last}"),
        Some(_) | None => first.to_string(),
    }
}

/// The number in a cell: from a thousand on the last three digits.
pub fn cell_number(offset: i64) -> String {
    if offset < 1_000 { offset.to_string() } else { format!("{:03}", offset % 1_000) }
}

/// A group's place on a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Flag {
    pub name: String,
    pub committed: i64,
    pub lag: i64,
    pub x: f64,
}

/// What is older than the window: one bar per offset up to 24, then one per bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    pub first: i64,
    pub last: i64,
    /// The hue of each bar where it is known.
    pub bars: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    pub strip: Option<Strip>,
    /// Cells of the window with their left edges.
    pub cells: Vec<(f64, CellView)>,
    pub high_watermark_x: f64,
    pub log_end_x: f64,
    /// Only where it differs from the high watermark.
    pub last_stable_x: Option<f64>,
    pub flags: Vec<Flag>,
    /// Groups that found no room.
    pub flags_hidden: usize,
}

impl Lane {
    /// Lays a partition out on a lane of `width`.
    pub fn new(
        partition: &PartitionView,
        groups: &[GroupView],
        topic: &str,
        hues: &Hues,
        width: f64,
    ) -> Self {
        let fits = |room: f64| ((width - room - END_ROOM) / PITCH).floor().max(1.0) as usize;
        let all = &partition.cells;
        // What compaction took is not older: it is gone.
        let whole = partition.cells_from <= partition.log_start_offset && all.len() <= fits(NO_STRIP_ROOM);
        let shown = if whole { &all[..] } else { &all[all.len().saturating_sub(fits(STRIP_ROOM))..] };
        let first = shown.first().map_or(partition.log_end_offset, |cell| cell.offset);
        let has_strip = !whole && first > partition.log_start_offset;
        let origin = if has_strip { STRIP_ROOM } else { NO_STRIP_ROOM };
        let index = |offset: i64| shown.partition_point(|cell| cell.offset < offset);
        let boundary = |offset: i64| {
            if has_strip && offset < first {
                let span = (first - partition.log_start_offset).max(1) as f64;
                9.5 + 23.0 * (offset - partition.log_start_offset).max(0) as f64 / span
            } else {
                origin - 1.5 + PITCH * index(offset) as f64
            }
        };
        let mut flags: Vec<Flag> = groups
            .iter()
            .filter_map(|group| {
                let offset = group
                    .offsets
                    .iter()
                    .find(|o| o.topic == topic && o.partition == partition.index && o.committed >= 0)?;
                let name = shorten(&group.id, 18);
                Some(Flag {
                    name,
                    committed: offset.committed,
                    lag: offset.lag.max(0),
                    x: boundary(offset.committed),
                })
            })
            .collect();
        let flags_hidden = flags.len().saturating_sub(FLAGS_MAX);
        flags.truncate(FLAGS_MAX);
        Self {
            strip: has_strip.then(|| strip(partition, first, hues)),
            cells: shown
                .iter()
                .enumerate()
                .map(|(i, cell)| (origin + PITCH * i as f64, cell.clone()))
                .collect(),
            high_watermark_x: boundary(partition.high_watermark),
            log_end_x: boundary(partition.log_end_offset),
            last_stable_x: (partition.last_stable_offset < partition.high_watermark)
                .then(|| boundary(partition.last_stable_offset)),
            flags,
            flags_hidden,
        }
    }
}

fn strip(partition: &PartitionView, first: i64, hues: &Hues) -> Strip {
    let start = partition.log_start_offset;
    let count = (first - start).clamp(1, BARS_MAX);
    let bars = (0..count)
        .map(|bar| {
            let offset = start + (first - start) * bar / count;
            let known = partition.cells.iter().find(|cell| cell.offset == offset);
            known.map_or(0, |cell| hues.hue(cell.key.as_deref()))
        })
        .collect();
    Strip { first: start, last: first - 1, bars }
}

/// At most `length` characters, with "…" in the place of the rest.
pub fn shorten(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some(_) => text.chars().take(length - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// `23:12:52.340` of a timestamp in ms since 1970, UTC.
pub fn time_of_day(timestamp: i64) -> String {
    let ms = timestamp.rem_euclid(86_400_000);
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playground::OffsetView;

    fn partition(start: i64, end: i64, behind: i64) -> PartitionView {
        let cell = |offset: i64| CellView {
            offset,
            key: Some("A".into()),
            value: String::new(),
            timestamp: offset,
            bytes: 1,
        };
        PartitionView {
            index: 0,
            leader: 1,
            leader_epoch: 0,
            log_start_offset: start,
            high_watermark: end - behind,
            log_end_offset: end,
            last_stable_offset: end - behind,
            cells_from: start.max(end - 24),
            cells: (start.max(end - 24)..end).map(cell).collect(),
        }
    }

    fn lane(partition: &PartitionView, groups: &[GroupView], width: f64) -> Lane {
        Lane::new(partition, groups, "t", &Hues::default(), width)
    }

    #[test]
    fn a_short_log_is_whole() {
        let lane = lane(&partition(0, 5, 2), &[], 300.0);
        assert_eq!(lane.strip, None);
        assert_eq!(lane.cells.len(), 5);
        assert_eq!(lane.log_end_x - lane.high_watermark_x, 2.0 * PITCH);
    }

    #[test]
    fn what_was_compacted_away_leaves_a_gap_and_no_strip() {
        let mut partition = partition(0, 6, 0);
        partition.cells.retain(|cell| ![0, 1, 4].contains(&cell.offset));
        let lane = lane(&partition, &[], 300.0);
        assert_eq!(lane.strip, None);
        assert_eq!(lane.cells.iter().map(|(_, cell)| cell.offset).collect::<Vec<_>>(), [2, 3, 5]);
        assert_eq!(lane.log_end_x - lane.cells[0].0, 3.0 * PITCH - 1.5);
    }

    #[test]
    fn what_is_older_becomes_a_strip() {
        let lane = lane(&partition(10, 100, 0), &[], 40.0 + 18.0 + 8.0 * PITCH);
        assert_eq!(lane.cells.first().map(|(x, cell)| (*x, cell.offset)), Some((40.0, 92)));
        let strip = lane.strip.expect("a strip");
        assert_eq!((strip.first, strip.last, strip.bars.len()), (10, 91, 24));
    }

    #[test]
    fn an_empty_log_has_its_lines_at_the_start() {
        let lane = lane(&partition(0, 0, 0), &[], 300.0);
        assert_eq!((lane.cells.len(), lane.high_watermark_x, lane.log_end_x), (0, 16.5, 16.5));
    }

    #[test]
    fn a_flag_behind_the_window_stands_on_the_strip() {
        let offset = OffsetView { topic: "t".into(), partition: 0, committed: 20, log_end: 100, lag: 80 };
        let group = GroupView {
            id: "g".into(),
            state: "Stable".into(),
            generation: 1,
            protocol: "range".into(),
            members: Vec::new(),
            offsets: vec![offset],
        };
        let lane = lane(&partition(0, 100, 0), &[group], 300.0);
        assert!(lane.flags[0].x < 34.0 && lane.flags[0].x > 7.0);
        assert_eq!(lane.flags[0].lag, 80);
    }

    #[test]
    fn letters_tell_keys_apart() {
        let cases = [
            (None, "–"),
            (Some(""), "∅"),
            (Some("D"), "D"),
            (Some("ab"), "ab"),
            (Some("user-7"), "u7"),
            (Some("커피"), "커"),
            (Some("order"), "o"),
        ];
        for (key, expected) in cases {
            assert_eq!(letters(key), expected);
        }
    }
}
