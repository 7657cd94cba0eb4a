//! What a lane of the drawing shows, computed apart from how it is drawn. Lengths are in drawing units.

use crate::playground::{CellView, GroupView, PartitionView, ReplicaView, View};

/// A cell is 21 wide on a pitch of 23.
pub const PITCH: f64 = 23.0;
const STRIP_ROOM: f64 = 40.0;
/// A flag at the very first offset still hangs inside of its lane.
const NO_STRIP_ROOM: f64 = 18.0;
/// Room at the end of a lane for the caret and the tag of the high watermark.
const END_ROOM: f64 = 18.0;
const BARS_MAX: i64 = 24;
const FLAGS_MAX: usize = 3;

/// Where brokers stand beside each other; in pixels, but for the width of a lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Columns {
    /// Brokers.
    pub count: usize,
    /// Too narrow for lanes beside each other: heads are, lanes are beneath.
    pub is_stacked: bool,
    /// Of a lane, in drawing units.
    pub width: f64,
    place: f64,
    first: f64,
    gap: f64,
}

impl Columns {
    /// Of the drawing's place on all sides, and between it and a column's edge.
    const PADDING: f64 = 12.0;
    const NARROW: f64 = 620.0;
    const NAMES: f64 = 40.0;
    const GAP: f64 = 28.0;
    const HEADS_GAP: f64 = 8.0;
    /// Of a lane in drawing units, where there is more room: it is drawn larger.
    const UNITS: f64 = 240.0;

    /// In a place of so many pixels. Style sheets say the same.
    pub fn new(place: f64, count: usize) -> Self {
        let (is_stacked, count) = (place < Self::NARROW, count.max(1));
        let inner = place - 2.0 * Self::PADDING;
        let (first, gap) = match is_stacked {
            true => (0.0, Self::HEADS_GAP),
            false => (Self::NAMES + Self::GAP, Self::GAP),
        };
        let mut columns = Self { count, is_stacked, width: 0.0, place: inner, first, gap };
        columns.width = match is_stacked {
            true => inner,
            false => (columns.pitch() - gap) / ((columns.pitch() - gap) / Self::UNITS).clamp(0.9, 1.3),
        };
        columns
    }

    fn pitch(self) -> f64 {
        (self.place - self.first + self.gap) / self.count as f64
    }

    /// The middle of a column, from the left end of the first.
    pub fn middle(self, index: usize) -> f64 {
        self.first + self.pitch() * index as f64 + (self.pitch() - self.gap) / 2.0
    }

    /// All of it.
    pub fn whole(self) -> f64 {
        self.place
    }
}

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
            .flat_map(|partition| &partition.replicas)
            .flat_map(|replica| &replica.cells);
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

/// What a replica has not got yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Missing {
    pub from_x: f64,
    pub to_x: f64,
    pub count: i64,
}

/// Where offsets lie: the same for all replicas of a partition, so that their lengths compare.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    origin: f64,
    /// The first offset of the whole, of the window, and behind it.
    start: i64,
    first: i64,
    end: i64,
    has_strip: bool,
    /// Offsets in the window that any replica has.
    offsets: Vec<i64>,
}

impl Scale {
    /// On lanes of `width`.
    pub fn new(partition: &PartitionView, width: f64) -> Self {
        let fits = |room: f64| ((width - room - END_ROOM) / PITCH).floor().max(1.0) as usize;
        let replicas = || partition.replicas.iter().filter(|replica| replica.log_end_offset > 0);
        let start = replicas().map(|replica| replica.log_start_offset).min().unwrap_or(0);
        let end = replicas().map(|replica| replica.log_end_offset).max().unwrap_or(0);
        let mut offsets: Vec<i64> =
            replicas().flat_map(|replica| &replica.cells).map(|cell| cell.offset).collect();
        offsets.sort_unstable();
        offsets.dedup();
        // What compaction took is not older: it is gone.
        let is_known = replicas().all(|replica| replica.cells_from <= replica.log_start_offset);
        let is_whole = is_known && offsets.len() <= fits(NO_STRIP_ROOM);
        if !is_whole {
            let before = offsets.len().saturating_sub(fits(STRIP_ROOM));
            offsets.drain(..before);
        }
        let first = offsets.first().copied().unwrap_or(end);
        let has_strip = !is_whole && first > start;
        let origin = if has_strip { STRIP_ROOM } else { NO_STRIP_ROOM };
        Self { origin, start, first, end, has_strip, offsets }
    }

    /// The left edge of an offset's cell, or the place where it would be.
    fn boundary(&self, offset: i64) -> f64 {
        if self.has_strip && offset < self.first {
            let span = (self.first - self.start).max(1) as f64;
            9.5 + 23.0 * (offset - self.start).max(0) as f64 / span
        } else {
            let before = self.offsets.partition_point(|own| *own < offset);
            self.origin - 1.5 + PITCH * before as f64
        }
    }
}

/// A replica's log, laid out.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    pub strip: Option<Strip>,
    /// Cells of the window with their left edges.
    pub cells: Vec<(f64, CellView)>,
    pub high_watermark_x: f64,
    pub log_end_x: f64,
    /// Only where it differs from the high watermark.
    pub last_stable_x: Option<f64>,
    /// Up to the end of the longest replica.
    pub missing: Option<Missing>,
    pub flags: Vec<Flag>,
    /// Groups that found no room.
    pub flags_hidden: usize,
}

impl Lane {
    /// Without flags.
    pub fn new(replica: &ReplicaView, scale: &Scale, hues: &Hues) -> Self {
        let shown = replica.cells.iter().filter(|cell| cell.offset >= scale.first);
        let (log_end_x, behind) =
            (scale.boundary(replica.log_end_offset), scale.end - replica.log_end_offset);
        Self {
            strip: (scale.has_strip && replica.log_end_offset > replica.log_start_offset)
                .then(|| strip(replica, scale.first, hues)),
            cells: shown.map(|cell| (scale.boundary(cell.offset) + 1.5, cell.clone())).collect(),
            high_watermark_x: scale.boundary(replica.high_watermark),
            log_end_x,
            last_stable_x: (replica.last_stable_offset < replica.high_watermark)
                .then(|| scale.boundary(replica.last_stable_offset)),
            missing: (behind > 0).then(|| Missing {
                from_x: log_end_x,
                to_x: scale.boundary(scale.end),
                count: behind,
            }),
            flags: Vec::new(),
            flags_hidden: 0,
        }
    }

    /// With the flags of those who read it: on the leader's lane.
    pub fn with_flags(mut self, groups: &[GroupView], topic: &str, index: i32, scale: &Scale) -> Self {
        let flag = |group: &GroupView| {
            let mut offsets = group.offsets.iter();
            let offset = offsets.find(|o| o.topic == topic && o.partition == index && o.committed >= 0)?;
            let (committed, lag) = (offset.committed, offset.lag.max(0));
            Some(Flag { name: shorten(&group.id, 18), committed, lag, x: scale.boundary(committed) })
        };
        self.flags = groups.iter().filter_map(flag).collect();
        self.flags_hidden = self.flags.len().saturating_sub(FLAGS_MAX);
        self.flags.truncate(FLAGS_MAX);
        self
    }
}

fn strip(replica: &ReplicaView, first: i64, hues: &Hues) -> Strip {
    let (start, end) = (replica.log_start_offset, first.min(replica.log_end_offset));
    let count = (end - start).clamp(1, BARS_MAX);
    let bars = (0..count)
        .map(|bar| {
            let offset = start + (end - start) * bar / count;
            let known = replica.cells.iter().find(|cell| cell.offset == offset);
            known.map_or(0, |cell| hues.hue(cell.key.as_deref()))
        })
        .collect();
    Strip { first: start, last: end - 1, bars }
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
        let replica = ReplicaView {
            broker: 1,
            log_start_offset: start,
            high_watermark: end - behind,
            log_end_offset: end,
            last_stable_offset: end - behind,
            cells_from: start.max(end - 24),
            cells: (start.max(end - 24)..end).map(cell).collect(),
        };
        PartitionView { leader: 1, replicas: vec![replica], isr: vec![1], ..PartitionView::default() }
    }

    fn lane(partition: &PartitionView, groups: &[GroupView], width: f64) -> Lane {
        let scale = Scale::new(partition, width);
        Lane::new(&partition.replicas[0], &scale, &Hues::default()).with_flags(groups, "t", 0, &scale)
    }

    #[test]
    fn replicas_share_one_scale_and_a_follower_shows_what_it_misses() {
        let mut all = partition(0, 100, 0);
        let mut follower = partition(0, 97, 0).replicas.remove(0);
        follower.broker = 2;
        all.replicas.push(follower);
        let scale = Scale::new(&all, 300.0);
        let lanes: Vec<Lane> =
            all.replicas.iter().map(|replica| Lane::new(replica, &scale, &Hues::default())).collect();
        assert_eq!(lanes[0].missing, None);
        let missing = lanes[1].missing.expect("it is behind");
        assert_eq!((missing.count, missing.to_x - missing.from_x), (3, 3.0 * PITCH));
        assert_eq!(lanes[0].cells[0], lanes[1].cells[0]);
        assert_eq!(missing.to_x, lanes[0].log_end_x);
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
        partition.replicas[0].cells.retain(|cell| ![0, 1, 4].contains(&cell.offset));
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
