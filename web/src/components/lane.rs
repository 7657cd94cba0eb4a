//! One partition: its records as cells, the lines that matter, and who has read how far.

use std::rc::Rc;

use yew::prelude::*;

use crate::draw::{Flag, Hues, Lane, Strip, cell_number, letters};
use crate::i18n::{Lang, Text};
use crate::playground::{CellView, GroupView, PartitionView};

/// Room for "P0" left of a lane, where there is any.
const GUTTER: f64 = 34.0;
const TITLE: f64 = 18.0;
const CELL_TOP: f64 = 17.0;
const LANE: f64 = 74.0;
const FLAG_PITCH: f64 = 20.0;

#[derive(Debug, Properties, PartialEq)]
pub struct LaneRowProps {
    pub lang: Lang,
    pub topic: AttrValue,
    pub partition: PartitionView,
    pub groups: Rc<Vec<GroupView>>,
    pub hues: Rc<Hues>,
    /// In drawing units; `scale` makes pixels of them.
    pub width: f64,
    pub scale: f64,
    pub is_narrow: bool,
    pub selected: Option<i64>,
    pub on_select: Callback<i64>,
}

#[component]
pub fn LaneRow(props: &LaneRowProps) -> Html {
    let LaneRowProps { partition, width, scale, is_narrow, .. } = props;
    let gutter = if *is_narrow { 0.0 } else { GUTTER };
    let lane_width = (width - gutter - 1.0).max(120.0);
    let lane = Lane::new(partition, &props.groups, &props.topic, &props.hues, lane_width);
    let lane_height = LANE + FLAG_PITCH * lane.flags.len().saturating_sub(1) as f64;
    let height = TITLE + lane_height + 12.0;
    let cells = lane.cells.iter().map(|(x, cell)| {
        let hue = props.hues.hue(cell.key.as_deref());
        let onclick = {
            let offset = cell.offset;
            props.on_select.reform(move |_: MouseEvent| offset)
        };
        let is_selected = props.selected == Some(cell.offset);
        html! {
            <g key={cell.offset} class="place" transform={format!("translate({x} {CELL_TOP})")} {onclick}>
                { cell_marks(cell, hue, cell.offset >= partition.high_watermark, is_selected) }
            </g>
        }
    });
    html! {
        <svg class="row" viewBox={format!("0 0 {width} {height}")} width={(width * scale).to_string()} height={(height * scale).to_string()}>
            { title(props, gutter) }
            if !is_narrow { <text class="index" x="0" y={(TITLE + 36.0).to_string()}>{ format!("P{}", partition.index) }</text> }
            <g transform={format!("translate({gutter} {TITLE})")}>
                <rect class="lane" x="1" y="1" width={(lane_width - 2.0).to_string()} height={(lane_height - 2.0).to_string()} rx="4" />
                if let Some(strip) = &lane.strip { { density(strip) } }
                <g>{ for cells }</g>
                { lines(partition, &lane, lane_width, lane_height) }
                { for lane.flags.iter().enumerate().map(|(i, flag)| marks(flag, &lane, i as f64 * FLAG_PITCH, lane_width)) }
                if lane.flags_hidden > 0 {
                    <text class="group" x={(lane_width - 8.0).to_string()} y={(lane_height - 6.0).to_string()} text-anchor="end">{ format!("+{}", lane.flags_hidden) }</text>
                }
            </g>
        </svg>
    }
}

fn title(props: &LaneRowProps, gutter: f64) -> Html {
    let partition = &props.partition;
    let end = (props.width - 2.0).to_string();
    let at = if props.is_narrow { 26.0 } else { gutter };
    html! {
        <>
            if props.is_narrow { <text class="index" x="0" y="12">{ format!("P{}", partition.index) }</text> }
            <g class="badge" transform={format!("translate({} 0.5)", at + 1.0)}>
                <rect width="14" height="13" rx="2" /><text x="7" y="10">{ "L" }</text>
            </g>
            <text class="caption" x={(at + 20.0).to_string()} y="11">
                { props.lang.text(Text::Leader) }<tspan class="dim">{ format!(" epoch {}", partition.leader_epoch) }</tspan>
            </text>
            <text class="caption number" x={end} y="11" text-anchor="end">{ format!("LEO {}", partition.log_end_offset) }</text>
        </>
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
fn lines(partition: &PartitionView, lane: &Lane, lane_width: f64, lane_height: f64) -> Html {
    let label = format!("HW {}", partition.high_watermark);
    let tag_width = 11.0 + 6.1 * label.chars().count() as f64;
    let x = lane.high_watermark_x;
    let is_flipped = x + tag_width > lane_width - 2.0;
    let tag_x = if is_flipped { x - tag_width + 1.1 } else { x - 1.1 };
    html! {
        <>
            if let Some(stable) = lane.last_stable_x {
                <path class="lso" d={format!("M{stable} 1V{}", lane_height - 1.0)} />
                <text class="tag lso-tag" x={(stable - 4.0).to_string()} y="11.5" text-anchor="end">{ format!("LSO {}", partition.last_stable_offset) }</text>
            }
            <g class="place" transform={format!("translate({} 0)", lane.log_end_x)}><path class="caret" d="M0 48.5l4.5 7h-9z" /></g>
            <g class="place" transform={format!("translate({x} 0)")}>
                <path class="hw" d={format!("M0 1V{}", lane_height - 1.0)} />
                <g class="hw-tag" transform={format!("translate({} 1)", tag_x - x)}>
                    <rect width={tag_width.to_string()} height="13.5" rx="1.5" />
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
    pub topic: AttrValue,
    pub partition: PartitionView,
    pub groups: Rc<Vec<GroupView>>,
    pub hues: Rc<Hues>,
    pub width: f64,
    pub scale: f64,
}

/// A partition at a glance, 30 high: its newest records without numbers, HW, lag.
#[component]
pub fn FoldedLane(props: &FoldedLaneProps) -> Html {
    let FoldedLaneProps { partition, width, scale, .. } = props;
    let end = (width - 2.0).to_string();
    let lag: i64 = props
        .groups
        .iter()
        .flat_map(|g| &g.offsets)
        .filter(|o| o.topic == *props.topic && o.partition == partition.index)
        .map(|o| o.lag.max(0))
        .sum();
    let mut text = format!("HW {} · LEO {}", partition.high_watermark, partition.log_end_offset);
    if lag > 0 {
        text = format!("lag {lag} · {text}");
    }
    html! {
        <svg class="row" viewBox={format!("0 0 {width} 30")} width={(width * scale).to_string()} height={(30.0 * scale).to_string()}>
            <text class="index small" x="0" y="19">{ format!("P{}", partition.index) }</text>
            <rect class="lane thin" x={(GUTTER + 0.5).to_string()} y="3.5" width={(width - GUTTER - 1.0).max(1.0).to_string()} height="23" rx="4" />
            { for partition.cells.iter().enumerate().map(|(i, cell)| html! {
                <rect key={cell.offset} class={format!("k{}", props.hues.hue(cell.key.as_deref()))} x={(GUTTER + 6.0 + 5.0 * i as f64).to_string()} y="8" width="4" height="14" />
            }) }
            <text class="caption number" x={end} dx="-6" y="19" text-anchor="end">{ text }</text>
        </svg>
    }
}
