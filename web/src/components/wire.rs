//! What is on its way between brokers and clients, above the brokers' heads.

use std::rc::Rc;

use yew::prelude::*;

use crate::draw::{Columns, shorten};
use crate::i18n::{Lang, Text};
use crate::infra::resize::use_width;
use crate::playground::{EdgeView, FlightView, MessageKind, Place, View};
use crate::wire::{CHIP_HEIGHT, Clock, Ends, Fate, HEIGHT, Line, Lines, Mark, labels, marks};

/// More moving marks than this have no names.
const NAMED_MAX: usize = 12;

#[derive(Debug, Properties, PartialEq)]
pub struct WireProps {
    pub lang: Lang,
    pub view: Rc<View>,
    pub flights: Rc<Vec<FlightView>>,
    pub edges: Rc<Vec<EdgeView>>,
    pub clock: Clock,
}

#[component]
pub fn Wire(props: &WireProps) -> Html {
    let WireProps { lang, view, flights, edges, clock } = props;
    let place = use_node_ref();
    let columns = Columns::new(*use_width(&place), view.brokers.len());
    let lines = use_mut_ref(Lines::default);
    lines.borrow_mut().learn(clock.now_us, flights, edges);
    let clients: Vec<(u8, String)> = view
        .terminals
        .iter()
        .filter_map(|terminal| {
            Some((terminal.id, chip(*lang, terminal.id, terminal.running.as_deref()?, columns)))
        })
        .collect();
    let ids: Vec<u8> = clients.iter().map(|(id, _)| *id).collect();
    let ends = Ends::new(columns, view.brokers.iter().map(|broker| broker.id), &ids);
    let is_cut_off = |place: Place| view.brokers.iter().any(|b| place == Place::Broker(b.id) && b.is_cut_off);
    let marks = marks(flights, &ends, *clock, is_cut_off);
    let named = match !clock.is_playing && marks.len() <= NAMED_MAX {
        true => labels(&marks),
        false => vec![false; marks.len()],
    };
    let width = columns.whole();
    html! {
        <div class="wire" ref={place}>
            <Legend lang={*lang} />
            <svg viewBox={format!("0 0 {width} {HEIGHT}")} height={HEIGHT.to_string()} width={width.to_string()} aria-hidden="true">
                { for lines.borrow().all(flights, edges).into_iter().filter_map(|((from, to), count)| {
                    // Both directions are one line, between them.
                    let (there, back) = (ends.line(from, to)?, ends.line(to, from)?);
                    Some(rail(&there, &back, count, !clock.is_playing || clock.speed <= 1.2))
                }) }
                { for ends.clients.iter().zip(&clients).map(|((id, x), (_, name))| client(*id, *x, name)) }
                { for marks.iter().zip(named).map(|(mark, is_named)| shape(mark, is_named, !clock.is_playing)) }
            </svg>
        </div>
    }
}

/// `console-producer · 터미널 1`, as far as there is room.
fn chip(lang: Lang, terminal: u8, program: &str, columns: Columns) -> String {
    let name = program.strip_prefix("kafka-").unwrap_or(program);
    match columns.is_stacked {
        true => shorten(name.strip_prefix("console-").unwrap_or(name), 12),
        false => format!("{name} · {} {}", lang.text(Text::TerminalLabel), u16::from(terminal) + 1),
    }
}

fn client(id: u8, x: f64, name: &str) -> Html {
    let width = 18.0 + name.chars().map(|letter| if letter.is_ascii() { 6.1 } else { 10.6 }).sum::<f64>();
    html! {
        <g class="client" key={format!("client {id}")} transform={format!("translate({x} 0)")}>
            <rect x={(-width / 2.0).to_string()} y=".5" width={width.to_string()} height={(CHIP_HEIGHT - 1.0).to_string()} rx="11.5" />
            <text y="16" text-anchor="middle">{ name }</text>
        </g>
    }
}

fn rail(there: &Line, back: &Line, count: u32, is_thin: bool) -> Html {
    let middle = |a: (f64, f64), b: (f64, f64)| ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
    let (from, to) = (middle(there.from, back.to), middle(there.to, back.from));
    // A pixel and a half, and up to five as frames become many.
    let width = if is_thin { 1.4 } else { 1.4 + f64::from(count).ln_1p().min(3.6) };
    // Between brokers it rises from one head and comes down on the other.
    let way = match there.is_rail() {
        true => format!("M{:.1} {HEIGHT}V{:.1}H{:.1}V{HEIGHT}", from.0, from.1, to.0),
        false => format!("M{:.1} {:.1}L{:.1} {:.1}", from.0, from.1, to.0, to.1),
    };
    html! { <path class={classes!("rail", (!is_thin && count > 0).then_some("busy"))} stroke-width={format!("{width:.1}")} d={way} /> }
}

fn shape(mark: &Mark, is_named: bool, has_arrow: bool) -> Html {
    let (x, y) = mark.at;
    let fate = match mark.fate {
        Fate::Moves => None,
        Fate::Waits => Some("waits"),
        Fate::Stuck => Some("stuck"),
    };
    // The name stands behind it, where it does not go.
    let is_leftward = mark.is_leftward();
    let (anchor, text_x) = if is_leftward { ("start", "11") } else { ("end", "-11") };
    let text = match (is_named, mark.count) {
        (true, 1) => mark.api.clone(),
        (true, count) => format!("{} ×{count}", mark.api),
        (false, 1) => String::new(),
        (false, count) => format!("×{count}"),
    };
    html! {
        <g class={classes!("flight", fate, mark.is_response.then_some("response"))} key={mark.number} transform={format!("translate({x:.1} {y:.1})")}>
            { outline(mark.kind) }
            if mark.fate == Fate::Stuck { <path class="cross" d="M-6 -6L6 6M6 -6L-6 6" /> }
            if has_arrow && mark.fate == Fate::Moves { <path class="heading" transform={format!("rotate({:.0})", mark.angle)} d="M8 -3l3.5 3-3.5 3" /> }
            if !text.is_empty() { <text x={text_x} y="4" text-anchor={anchor}>{ text }</text> }
        </g>
    }
}

fn outline(kind: MessageKind) -> Html {
    match kind {
        MessageKind::Produce => html! { <rect x="-5" y="-5" width="10" height="10" /> },
        MessageKind::Fetch => html! { <circle r="5.2" /> },
        MessageKind::Control => html! { <path d="M0 -6.6L6.6 0 0 6.6-6.6 0z" /> },
    }
}

#[derive(Debug, Properties, PartialEq)]
struct LegendProps {
    lang: Lang,
}

/// What shapes mean.
#[component]
fn Legend(props: &LegendProps) -> Html {
    let kinds =
        [(MessageKind::Produce, "produce"), (MessageKind::Fetch, "fetch"), (MessageKind::Control, "control")];
    let directions = [("flight", Text::Request), ("flight response", Text::Response)];
    html! {
        <p class="legend">
            { for kinds.into_iter().map(|(kind, name)| html! {
                <span><svg viewBox="-8 -8 16 16" aria-hidden="true"><g class="flight">{ outline(kind) }</g></svg>{ name }</span>
            }) }
            { for directions.into_iter().map(|(class, text)| html! {
                <span><svg viewBox="-8 -8 16 16" aria-hidden="true"><g {class}>{ outline(MessageKind::Fetch) }</g></svg>{ props.lang.text(text) }</span>
            }) }
        </p>
    }
}
