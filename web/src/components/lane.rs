//! One replica of a partition: its records as cells, the lines that matter, and who has read how far.

use std::rc::Rc;

use yew::prelude::*;

use crate::draw::{Flag, Hues, Lane, Missing, Scale, Strip, cell_number, letters};
use crate::i18n::{Lang, Text};
use crate::playground::{CellView, GroupView, PartitionView, ReplicaView};

/// Room for the broker's name left of a lane, where replicas are stacked.
const GUTTER: f64 = 40.0;
const TITLE: f64 = 18.0;
const CELL_TOP: f64 = 17.0;
const LANE: f64 = 74.0;
const FLAG_PITCH: f64 = 20.0;
/// A follower in a stack has neither titles nor flags.
const STACKED: f64 = 54.0;

#[derive(Debug, Properties, PartialEq)]
pub struct LaneRowProps {
    pub lang: Lang,
    pub topic: AttrValue,
    pub partition: Rc<PartitionView>,
    /// Whose replica it is.
    pub broker: i32,
    /// Its process is gone.
    pub is_down: bool,
    pub groups: Rc<Vec<GroupView>>,
    pub hues: Rc<Hues>,
    /// In drawing units.
    pub width: f64,
    /// Replicas are beneath one another, not beside.
    pub is_stacked: bool,
    pub selected: Option<i64>,
    pub on_select: Callback<i64>,
}

/// What a replica is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Leader,
    InSync,
    OutOfSync,
}

impl Standing {
    fn of(partition: &PartitionView, broker: i32) -> Self {
        match partition.leader == broker {
            true => Self::Leader,
            false if partition.isr.contains(&broker) => Self::InSync,
            false => Self::OutOfSync,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Leader => "leads",
            Self::InSync => "follows",
            Self::OutOfSync => "out",
        }
    }
}

#[component]
pub fn LaneRow(props: &LaneRowProps) -> Html {
    let LaneRowProps { partition, width, is_stacked, broker, .. } = props;
    let Some(replica) = partition.replicas.iter().find(|replica| replica.broker == *broker) else {
        return html! {};
    };
    let standing = Standing::of(partition, *broker);
    let (gutter, title_height) = if *is_stacked { (GUTTER, 0.0) } else { (0.0, TITLE) };
    let lane_width = (width - gutter - 1.0).max(120.0);
    let scale = Scale::new(partition, lane_width);
    let mut lane = Lane::new(replica, &scale, &props.hues);
    if standing == Standing::Leader {
        lane = lane.with_flags(&props.groups, &props.topic, partition.index, &scale);
    }
    let lane_height = match (*is_stacked, standing) {
        (true, Standing::InSync | Standing::OutOfSync) => STACKED,
        _ => LANE + FLAG_PITCH * lane.flags.len().saturating_sub(1) as f64,
    };
    let height = title_height + lane_height + if *is_stacked { 4.0 } else { 10.0 };
    let cells = lane.cells.iter().map(|(x, cell)| {
        let hue = props.hues.hue(cell.key.as_deref());
        let onclick = {
            let offset = cell.offset;
            props.on_select.reform(move |_: MouseEvent| offset)
        };
        let is_selected = props.selected == Some(cell.offset);
        html! {
            <g key={cell.offset} class="place" transform={format!("translate({x} {CELL_TOP})")} {onclick}>
                { cell_marks(cell, hue, cell.offset >= replica.high_watermark, is_selected) }
            </g>
        }
    });
    let classes = classes!("row", standing.class(), props.is_down.then_some("gone"));
    html! {
        <svg class={classes} viewBox={format!("0 0 {width} {height}")}>
            if *is_stacked { { label(*broker, standing) } } else { { title(props, replica, standing, &lane) } }
            <g transform={format!("translate({gutter} {title_height})")}>
                <rect class="lane" x="1" y="1" width={(lane_width - 2.0).to_string()} height={(lane_height - 2.0).to_string()} rx="4" />
                if standing == Standing::OutOfSync { { hatching(lane_width, lane_height) } }
                if let Some(strip) = &lane.strip { { density(strip) } }
                <g>{ for cells }</g>
                if let Some(missing) = lane.missing { { gap(missing) } }
                { lines(replica, &lane, lane_width, lane_height, standing == Standing::Leader) }
                { for lane.flags.iter().enumerate().map(|(i, flag)| marks(flag, &lane, i as f64 * FLAG_PITCH, lane_width)) }
                if lane.flags_hidden > 0 {
                    <text class="group" x={(lane_width - 8.0).to_string()} y={(lane_height - 6.0).to_string()} text-anchor="end">{ format!("+{}", lane.flags_hidden) }</text>
                }
            </g>
        </svg>
    }
}

/// "L", or that it is not in sync.
fn badge(standing: Standing, x: f64, y: f64) -> Html {
    let (class, text, width) = match standing {
        Standing::Leader => ("badge", "L", 14.0),
        Standing::OutOfSync => ("badge fault", "ISR✕", 31.0),
        Standing::InSync => return html! {},
    };
    html! {
        <g {class} transform={format!("translate({x} {y})")}>
            <rect x=".5" y=".5" width={(width - 1.0).to_string()} height="12.5" rx="2" /><text x={(width / 2.0).to_string()} y="10">{ text }</text>
        </g>
    }
}

/// Left of a lane in a stack.
fn label(broker: i32, standing: Standing) -> Html {
    html! {
        <>
            <text class="index small" x="2" y="20">{ format!("b{broker}") }</text>
            { badge(standing, 1.0, 26.0) }
        </>
    }
}

/// Above a lane.
fn title(props: &LaneRowProps, replica: &ReplicaView, standing: Standing, lane: &Lane) -> Html {
    let partition = &props.partition;
    let is_leader = standing == Standing::Leader;
    let at = match standing {
        Standing::Leader => 20.0,
        Standing::OutOfSync => 37.0,
        Standing::InSync => 2.0,
    };
    html! {
        <>
            { badge(standing, 1.0, 0.5) }
            <text class={classes!("caption", (!is_leader).then_some("light"))} x={at.to_string()} y="11">
                { props.lang.text(if is_leader { Text::Leader } else { Text::Follower }) }
                if is_leader { <tspan class="dim">{ format!(" epoch {}", partition.leader_epoch) }</tspan> }
            </text>
            <text class="caption number" x={(props.width - 2.0).to_string()} y="11" text-anchor="end">
                { format!("LEO {}", replica.log_end_offset) }
                if let Some(missing) = lane.missing { <tspan class="behind">{ format!(" −{}", missing.count) }</tspan> }
            </text>
        </>
    }
}

/// The whole lane of a replica that is out of sync.
fn hatching(width: f64, height: f64) -> Html {
    let lines = (1..((width + height) / 9.0) as u32).map(|i| {
        let x = f64::from(i) * 9.0;
        // From the upper edge down to the left, cut at the lane's ends.
        let (top_x, top_y) = (x.min(width - 2.0), (x - width + 2.0).max(1.0));
        let (low_x, low_y) = ((x - height).max(2.0), (x - 2.0).min(height - 2.0));
        if low_y > top_y { format!("M{top_x:.1} {top_y:.1}L{low_x:.1} {low_y:.1}") } else { String::new() }
    });
    html! { <path class="hatch" d={lines.collect::<String>()} /> }
}

/// The stretch that a replica has not got yet, and how long it is.
fn gap(missing: Missing) -> Html {
    let (from, to, y) = (missing.from_x + 5.0, missing.to_x, CELL_TOP + 15.0);
    let text = format!("−{}", missing.count);
    let width = 9.0 + 6.3 * (text.chars().count() as f64);
    // The number does not cover the line that says up to where the replica knows what is committed.
    let x = ((from + to) / 2.0 - width / 2.0).max(from + 2.0);
    html! {
        <g class="gap">
            <path d={format!("M{from} {y}H{to}M{to} {}v8", y - 4.0)} />
            <g transform={format!("translate({x} {})", y - 7.5)}>
                <rect width={width.to_string()} height="15" rx="2" /><text x={(width / 2.0).to_string()} y="11">{ text }</text>
            </g>
        </g>
    }
}

fn cell_marks(cell: &CellView, hue: usize, is_uncommitted: bool, is_selected: bool) -> Html {
    let (number, letters) = (cell_number(cell.offset), letters(cell.key.as_deref()));
    let hue_class = format!("k{hue}");
    html! {
        <g class={classes!("cell", is_uncommitted.then_some("uncommitted"))}>
            <rect class="box" x=".5" y=".5" width="20" height="29" rx="2" />
            if is_uncommitted {
                <rect class={hue_class} x="3" y="25" width="15" height="2.5" />
                <text class="letter" x="10.5" y="22">{ letters }</text>
            } else {
                <path class={hue_class} d="M1 17h19v10.5q0 1.5-1.5 1.5h-16q-1.5 0-1.5-1.5z" />
                <text class={classes!("letter", format!("on{hue}"))} x="10.5" y="26.4">{ letters }</text>
            }
            <text class="offset" x="10.5" y="12.5">{ number }</text>
            if is_selected { <rect class="ring" x="-1.5" y="-1.5" width="24" height="33" rx="3.5" /> }
        </g>
    }
}

fn density(strip: &Strip) -> Html {
    let pitch = 23.0 / strip.bars.len() as f64;
    html! {
        <g class="strip">
            <rect x="7.5" y={(CELL_TOP + 0.5).to_string()} width="27" height="29" rx="2" />
            { for strip.bars.iter().enumerate().map(|(i, hue)| html! {
                <rect class={format!("k{hue}")} x={format!("{:.2}", 9.5 + pitch * i as f64)} y="21"
                    width={format!("{:.2}", (pitch - 0.7).max(0.5))} height="22" />
            }) }
            <text class="tiny" x="21" y="58">{ range(strip.first, strip.last) }</text>
        </g>
    }
}

fn range(first: i64, last: i64) -> String {
    if first == last { first.to_string() } else { format!("{first}–{last}") }
}

/// High watermark, last stable offset, log end.
fn lines(replica: &ReplicaView, lane: &Lane, lane_width: f64, lane_height: f64, is_leader: bool) -> Html {
    // Followers show the number that they know.
    let number = replica.high_watermark;
    let label = if is_leader { format!("HW {number}") } else { number.to_string() };
    let tag_width = 11.0 + 6.1 * label.chars().count() as f64;
    let x = lane.high_watermark_x;
    let is_flipped = x + tag_width > lane_width - 2.0;
    let tag_x = if is_flipped { x - tag_width + 1.1 } else { x - 1.1 };
    let caret_y = (lane_height - 25.5).min(48.5);
    html! {
        <>
            if let Some(stable) = lane.last_stable_x {
                <path class="lso" d={format!("M{stable} 1V{}", lane_height - 1.0)} />
                <text class="tag lso-tag" x={(stable - 4.0).to_string()} y="11.5" text-anchor="end">{ format!("LSO {}", replica.last_stable_offset) }</text>
            }
            <g class="place" transform={format!("translate({} 0)", lane.log_end_x)}><path class="caret" d={format!("M0 {caret_y}l4.5 7h-9z")} /></g>
            <g class="place" transform={format!("translate({x} 0)")}>
                <path class="hw" d={format!("M0 1V{}", lane_height - 1.0)} />
                <g class={classes!("hw-tag", (!is_leader).then_some("known"))} transform={format!("translate({} 1)", tag_x - x)}>
                    <rect x=".5" y=".5" width={(tag_width - 1.0).to_string()} height="13" rx="1.5" />
                    <text x={(tag_width / 2.0).to_string()} y="10.3">{ label }</text>
                </g>
            </g>
        </>
    }
}

/// A group's flag where it has committed, and the bracket of what it has not read.
fn marks(flag: &Flag, lane: &Lane, down: f64, lane_width: f64) -> Html {
    let (x, end) = (flag.x, lane.high_watermark_x.max(flag.x));
    let lag = format!("lag {}", flag.lag);
    let lag_width = 8.0 + 6.4 * lag.chars().count() as f64;
    let name_width = 6.2 * flag.name.chars().count() as f64;
    let (top, rail) = (50.0 + down, 65.0 + down);
    let is_bracketed = flag.lag > 0;
    let is_inside = is_bracketed && end - x > lag_width + 6.0;
    // The name stands left of its flag, or right of it where the lane begins.
    let is_left = x - 16.0 - name_width > 2.0;
    let name_x = if is_left { x - 14.0 } else { x + 7.0 };
    let lag_x = match (is_inside, is_left) {
        (true, _) => (x + end) / 2.0 - lag_width / 2.0,
        (false, _) if end + 6.0 + lag_width < lane_width => end + 6.0,
        (false, _) => x - lag_width - 6.0,
    };
    html! {
        <g class="flag" key={flag.name.clone()}>
            <g class="place" transform={format!("translate({x} 0)")}>
                <path class="pole" d={format!("M0 46V{}", rail + 3.0)} />
                <path class="banner" d={format!("M0 {top}h-11l3 4-3 4h11z")} />
            </g>
            <text class="group" x={name_x.to_string()} y={(top + 8.0).to_string()} text-anchor={if is_left { "end" } else { "start" }}>{ &flag.name }</text>
            if is_bracketed {
                <path class="bracket" d={format!("M{x} {rail}H{end}M{end} {}v6", rail - 3.0)} />
                <g class="lag" transform={format!("translate({lag_x} {})", rail - 6.5)}>
                    <rect width={lag_width.to_string()} height="13" rx="6.5" /><text x={(lag_width / 2.0).to_string()} y="10">{ lag }</text>
                </g>
            }
        </g>
    }
}

#[derive(Debug, Properties, PartialEq)]
pub struct FoldedLaneProps {
    pub partition: Rc<PartitionView>,
    pub broker: i32,
    pub is_down: bool,
    pub hues: Rc<Hues>,
    pub width: f64,
    pub is_stacked: bool,
}

/// A replica at a glance, 30 high: its newest records without numbers, HW, log end.
#[component]
pub fn FoldedLane(props: &FoldedLaneProps) -> Html {
    let FoldedLaneProps { partition, width, is_stacked, broker, .. } = props;
    let Some(replica) = partition.replicas.iter().find(|replica| replica.broker == *broker) else {
        return html! {};
    };
    let standing = Standing::of(partition, *broker);
    let gutter = if *is_stacked { GUTTER } else { 0.0 };
    let text = format!("HW {} LEO {}", replica.high_watermark, replica.log_end_offset);
    let end = width - 8.0;
    let room = (end - gutter - 24.0 - 6.4 * text.len() as f64) / 5.0;
    let shown = replica.cells.iter().rev().take(room.max(0.0) as usize).rev();
    let classes = classes!("row", "thin", standing.class(), props.is_down.then_some("gone"));
    html! {
        <svg class={classes} viewBox={format!("0 0 {width} 30")}>
            if *is_stacked { <text class="index small" x="2" y="19">{ format!("b{broker}") }</text> }
            <rect class="lane" x={(gutter + 1.0).to_string()} y="3" width={(width - gutter - 3.0).max(1.0).to_string()} height="24" rx="4" />
            { for shown.enumerate().map(|(i, cell)| html! {
                <rect key={cell.offset} class={format!("k{}", props.hues.hue(cell.key.as_deref()))} x={(gutter + 24.0 + 5.0 * i as f64).to_string()} y="8" width="4" height="14" />
            }) }
            { badge(standing, gutter + 5.0, 8.5) }
            <text class="caption number" x={end.to_string()} y="19" text-anchor="end">{ text }</text>
        </svg>
    }
}
