//! Frames on their way between brokers and clients, laid out. Lengths are pixels; the drawing's foot stands on the brokers' heads.

use std::collections::BTreeMap;

use crate::draw::Columns;
use crate::playground::{EdgeView, FlightView, MessageKind, Place};

/// The drawing's height.
pub const HEIGHT: f64 = 100.0;
/// Of a client's chip at the top.
pub const CHIP_HEIGHT: f64 = 24.0;
/// A frame is shown for so long while the clock runs, virtual µs at speed 1, if its way takes less: else nobody would see it.
const SHOWN_US: f64 = 320_000.0;
/// From this speed on lines thicken and nothing moves on them.
const SPEED_MAX: f64 = 1.2;
/// A line without frames is drawn for so long, µs.
const IDLE_US: u64 = 5_000_000;
/// More at the same place of the same line are one, with their number.
const CROWD: f64 = 9.0;
/// Between a line's end and a column's middle.
const STUB: f64 = 7.0;

/// Where lines end.
#[derive(Clone, Debug, PartialEq)]
pub struct Ends {
    /// Brokers and the middles of their columns.
    pub brokers: Vec<(i32, f64)>,
    /// Terminals with a program, and the middles of their chips.
    pub clients: Vec<(u8, f64)>,
}

/// A straight line with a direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub from: (f64, f64),
    pub to: (f64, f64),
}

impl Line {
    /// A point of it, from 0 to 1.
    fn at(self, share: f64) -> (f64, f64) {
        let between = |from: f64, to: f64| from + (to - from) * share;
        (between(self.from.0, self.to.0), between(self.from.1, self.to.1))
    }

    /// Between brokers.
    pub fn is_rail(self) -> bool {
        (self.from.1 - self.to.1).abs() < f64::EPSILON
    }

    /// Degrees, clockwise from the right.
    fn angle(self) -> f64 {
        (self.to.1 - self.from.1).atan2(self.to.0 - self.from.0).to_degrees()
    }
}

impl Ends {
    /// Clients share the width.
    pub fn new(columns: Columns, brokers: impl Iterator<Item = i32>, clients: &[u8]) -> Self {
        let pitch = columns.whole() / clients.len().max(1) as f64;
        Self {
            brokers: brokers.enumerate().map(|(index, id)| (id, columns.middle(index))).collect(),
            clients: clients.iter().enumerate().map(|(i, id)| (*id, pitch * (i as f64 + 0.5))).collect(),
        }
    }

    /// The way of a frame. Brokers that are neighbours share the lowest rail, others have one above; each direction has its own.
    /// Clients meet a broker at its head.
    pub fn line(&self, from: Place, to: Place) -> Option<Line> {
        let broker = |id: i32| self.brokers.iter().position(|(own, _)| *own == id);
        let client = |id: u8| self.clients.iter().find(|(own, _)| *own == id).map(|(_, x)| *x);
        match (from, to) {
            (Place::Broker(from), Place::Broker(to)) => {
                let (from, to) = (broker(from)?, broker(to)?);
                // What a broker says to itself crosses nothing.
                let span = from.abs_diff(to);
                if span == 0 {
                    return None;
                }
                let forward = if from < to { 1.0 } else { -1.0 };
                let y = rail(span) - 6.0 * forward;
                let x = |index: usize, side: f64| self.brokers[index].1 + side * STUB;
                Some(Line { from: (x(from, forward), y), to: (x(to, -forward), y) })
            }
            (Place::Terminal(from), Place::Broker(to)) => {
                let x = self.brokers[broker(to)?].1;
                Some(Line { from: (client(from)? - 4.0, CHIP_HEIGHT + 6.0), to: (x - 4.0, HEIGHT - 7.0) })
            }
            (Place::Broker(from), Place::Terminal(to)) => {
                let x = self.brokers[broker(from)?].1;
                Some(Line { from: (x + 4.0, HEIGHT - 7.0), to: (client(to)? + 4.0, CHIP_HEIGHT + 6.0) })
            }
            (Place::Terminal(_), Place::Terminal(_)) => None,
        }
    }
}

/// How high the rail between brokers so many columns apart is.
pub fn rail(span: usize) -> f64 {
    HEIGHT - 14.0 - 26.0 * (span.saturating_sub(1) as f64).min(1.0)
}

/// What a frame's mark says beyond its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It moves.
    Moves,
    /// Its receiver stands still: it waits in front of it.
    Waits,
    /// Nothing comes through: it hangs in the middle of its way.
    Stuck,
}

/// A frame, or several at one place, to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Of the newest.
    pub number: u64,
    pub at: (f64, f64),
    pub angle: f64,
    pub kind: MessageKind,
    pub is_response: bool,
    pub fate: Fate,
    pub count: u32,
    /// Kafka's name of what is asked.
    pub api: String,
}

impl Mark {
    /// It goes to the left: what is said of it stands on its right.
    pub fn is_leftward(&self) -> bool {
        self.angle.abs() > 90.0
    }
}

/// How time stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    pub now_us: u64,
    pub is_playing: bool,
    /// Virtual seconds per second.
    pub speed: f64,
    /// Nothing may move: what is on its way is shown in the middle of it.
    pub is_still: bool,
}

/// Lines that were used lately, by their ends in order: when last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    used: BTreeMap<(Place, Place), u64>,
}

impl Lines {
    /// Learns who speaks to whom.
    pub fn learn(&mut self, now_us: u64, flights: &[FlightView], edges: &[EdgeView]) {
        let ways = flights.iter().map(|flight| (flight.from, flight.to, flight.sent_us));
        for (from, to, at) in ways.chain(edges.iter().map(|edge| (edge.from, edge.to, now_us))) {
            let ends = if from <= to { (from, to) } else { (to, from) };
            let used = self.used.entry(ends).or_default();
            *used = at.max(*used);
        }
        self.used.retain(|_, at| *at <= now_us && now_us - *at < IDLE_US);
    }

    /// Each with how many frames were on it within the last moments.
    pub fn all(&self, flights: &[FlightView], edges: &[EdgeView]) -> Vec<((Place, Place), u32)> {
        let is_of =
            |(a, b): (Place, Place), from: Place, to: Place| (a, b) == (from, to) || (a, b) == (to, from);
        let count = |ends: (Place, Place)| {
            let named = flights.iter().filter(|flight| is_of(ends, flight.from, flight.to)).count();
            let others = edges.iter().filter(|edge| is_of(ends, edge.from, edge.to));
            u32::try_from(named).unwrap_or(u32::MAX).saturating_add(others.map(|edge| edge.count).sum())
        };
        self.used.keys().map(|ends| (*ends, count(*ends))).collect()
    }
}

/// Frames with their places. `is_cut_off` says which brokers nothing comes through to.
pub fn marks(
    flights: &[FlightView],
    ends: &Ends,
    clock: Clock,
    is_cut_off: impl Fn(Place) -> bool,
) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let is_fast = clock.is_playing && clock.speed > SPEED_MAX;
    for flight in flights.iter().rev() {
        let Some(line) = ends.line(flight.from, flight.to) else { continue };
        let waits = !flight.is_over && flight.arrives_us < clock.now_us;
        let fate = match waits {
            true if is_cut_off(flight.from) || is_cut_off(flight.to) => Fate::Stuck,
            true => Fate::Waits,
            false => Fate::Moves,
        };
        let share = match fate {
            Fate::Stuck => 0.5,
            Fate::Waits => 1.0,
            Fate::Moves if is_fast => continue,
            Fate::Moves => match share(flight, clock) {
                Some(share) => share,
                None => continue,
            },
        };
        let at = line.at(share);
        let is_near = |mark: &&mut Mark| {
            let (x, y) = mark.at;
            let is_alike = mark.is_response == flight.is_response || fate != Fate::Moves;
            (x - at.0).abs() + (y - at.1).abs() < CROWD && mark.fate == fate && is_alike
        };
        match marks.iter_mut().find(is_near) {
            Some(mark) => mark.count += 1,
            None => marks.push(Mark {
                number: flight.number,
                at,
                angle: line.angle(),
                kind: flight.kind,
                is_response: flight.is_response,
                fate,
                count: 1,
                api: flight.api.clone(),
            }),
        }
    }
    marks
}

/// How much of its way a frame has behind it; `None` if it is not to be seen any more.
fn share(flight: &FlightView, clock: Clock) -> Option<f64> {
    let travels = flight.arrives_us.saturating_sub(flight.sent_us).max(1) as f64;
    let flown = clock.now_us.saturating_sub(flight.sent_us) as f64;
    if !clock.is_playing {
        return (!flight.is_over).then(|| (flown / travels).min(1.0));
    }
    let shown = travels.max(SHOWN_US * clock.speed);
    match flown < shown {
        true if clock.is_still => Some(0.5),
        true => Some(flown / shown),
        false => None,
    }
}

/// Labels that fit: a name each at its mark, the first come first.
pub fn labels(marks: &[Mark]) -> Vec<bool> {
    let width = |mark: &Mark| 6.6 * mark.api.chars().count() as f64 + 16.0;
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    let fits = |mark: &Mark| {
        let (x, y) = mark.at;
        let (left, right) = match mark.is_leftward() {
            true => (x - 8.0, x + width(mark)),
            false => (x - width(mark), x + 8.0),
        };
        let is_free = taken.iter().all(|(from, to, at)| (at - y).abs() > 11.0 || right < *from || left > *to);
        if is_free {
            taken.push((left, right, y));
        }
        is_free
    };
    marks.iter().map(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(from: Place, to: Place, sent_us: u64) -> FlightView {
        FlightView {
            number: sent_us,
            from,
            to,
            api: "Fetch".into(),
            kind: MessageKind::Fetch,
            is_response: false,
            sent_us,
            arrives_us: sent_us + 1_000,
            is_over: false,
        }
    }

    fn ends() -> Ends {
        Ends::new(Columns::new(900.0, 3), 1..=3, &[0])
    }

    fn clock(now_us: u64, is_playing: bool) -> Clock {
        Clock { now_us, is_playing, speed: 0.0001, is_still: false }
    }

    const ONE: Place = Place::Broker(1);
    const TWO: Place = Place::Broker(2);

    #[test]
    fn distance_is_time() {
        let line = ends().line(ONE, TWO).unwrap();
        for (now_us, share) in [(0, 0.0), (250, 0.25), (1_000, 1.0)] {
            let marks = marks(&[flight(ONE, TWO, 0)], &ends(), clock(now_us, false), |_| false);
            assert_eq!(marks[0].at, line.at(share));
        }
        assert!(
            marks(&[flight(ONE, TWO, 0)], &ends(), clock(2_000_000, true), |_| true)[0].fate == Fate::Stuck
        );
        assert!(marks(&[flight(ONE, TWO, 0)], &ends(), clock(2_000, true), |_| false)[0].fate == Fate::Waits);
    }

    #[test]
    fn directions_do_not_meet() {
        let (there, back) = (ends().line(ONE, TWO).unwrap(), ends().line(TWO, ONE).unwrap());
        assert_ne!(there.from.1, back.from.1);
        assert_eq!((there.angle(), back.angle()), (0.0, 180.0));
        assert_eq!(ends().line(Place::Terminal(1), ONE), None, "there is no such client");
    }

    #[test]
    fn what_is_at_one_place_is_one_mark_with_a_number() {
        let flights = [flight(ONE, TWO, 0), flight(ONE, TWO, 1), flight(TWO, ONE, 0)];
        let marks = marks(&flights, &ends(), clock(500, false), |_| false);
        assert_eq!(marks.iter().map(|mark| mark.count).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn lines_that_nobody_uses_go() {
        let mut lines = Lines::default();
        lines.learn(10, &[flight(ONE, TWO, 10), flight(TWO, ONE, 10)], &[]);
        assert_eq!(lines.all(&[flight(TWO, ONE, 10)], &[]), [((ONE, TWO), 1)]);
        lines.learn(6_000_000, &[], &[]);
        assert_eq!(lines.all(&[], &[]), []);
    }
}
