//! The cluster: a broker is a column, a partition a row of record cells in it.

use std::collections::BTreeSet;
use std::rc::Rc;

use yew::prelude::*;

use crate::components::lane::{FoldedLane, LaneRow};
use crate::components::steps::{CREATE_TOPIC, TypeButton};
use crate::draw::{Hues, shorten};
use crate::i18n::{Lang, Text};
use crate::infra::resize::use_resize;
use crate::playground::{BrokerView, TopicView, View};

/// More partitions than this are folded until somebody looks.
const OPEN_PARTITIONS_MAX: usize = 6;
/// What lies between the edge of the drawing and a lane, on both sides.
const PADDING: f64 = 50.0;
/// A lane of one cell.
const LEAST: f64 = 160.0;
const NARROW: f64 = 560.0;
const WIDE: f64 = 760.0;

/// A record that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

#[derive(Debug, Properties, PartialEq)]
pub struct ClusterProps {
    pub lang: Lang,
    pub view: Rc<View>,
    pub hues: Rc<Hues>,
    /// Topics whose partitions are in the other form than by themselves.
    pub folded: Rc<BTreeSet<String>>,
    pub selected: Option<Selected>,
    pub on_select: Callback<Option<Selected>>,
    pub on_fold: Callback<String>,
    pub on_type: Callback<String>,
}

#[component]
pub fn Cluster(props: &ClusterProps) -> Html {
    let lang = props.lang;
    let place = use_node_ref();
    let width = use_width(&place);
    html! {
        <div class="cluster" ref={place}>
            <div class="brokers">
                { for props.view.brokers.iter().map(|broker| html! {
                    <section class={classes!("broker", (!broker.is_running).then_some("down"))} key={broker.id}>
                        <BrokerHead {lang} broker={broker.clone()} />
                        { topics(props, broker, *width) }
                    </section>
                }) }
            </div>
            <Mirror {lang} view={props.view.clone()} />
        </div>
    }
}

/// The topics whose partitions this broker leads; those that are the cluster's own come last.
fn topics(props: &ClusterProps, broker: &BrokerView, width: f64) -> Html {
    let (own, internal): (Vec<_>, Vec<_>) = props.view.topics.iter().partition(|topic| !topic.internal);
    html! {
        <>
            if own.is_empty() { <Empty lang={props.lang} on_type={props.on_type.clone()} /> }
            { for own.into_iter().chain(internal).map(|topic| self::topic(props, broker, topic, width)) }
        </>
    }
}

fn topic(props: &ClusterProps, broker: &BrokerView, topic: &TopicView, width: f64) -> Html {
    let lang = props.lang;
    let led: Vec<_> = topic.partitions.iter().filter(|partition| partition.leader == broker.id).collect();
    let is_folded = (topic.internal || led.len() > OPEN_PARTITIONS_MAX) != props.folded.contains(&topic.name);
    let onclick = {
        let name = topic.name.clone();
        props.on_fold.reform(move |_: MouseEvent| name.clone())
    };
    let scale = if width >= WIDE { 1.2 } else { 1.0 };
    let rows =
        led.into_iter().filter(|partition| !(topic.internal && partition.log_end_offset == 0 && is_folded));
    let rows = rows.map(|partition| {
        let (topic_name, index) = (topic.name.clone(), partition.index);
        let on_select = props.on_select.reform(move |offset| Some(Selected { topic: topic_name.clone(), partition: index, offset }));
        let selected = props.selected.as_ref().filter(|s| s.topic == topic.name && s.partition == index).map(|s| s.offset);
        let groups: Rc<Vec<_>> = Rc::new(
            props.view.groups.iter().filter(|g| g.offsets.iter().any(|o| o.topic == topic.name && o.partition == index)).cloned().collect(),
        );
        let width = ((width - PADDING) / scale).max(LEAST);
        match is_folded {
            true => html! { <FoldedLane key={index} topic={topic.name.clone()} partition={partition.clone()} {groups} hues={props.hues.clone()} {width} {scale} /> },
            false => html! {
                <LaneRow key={index} {lang} topic={topic.name.clone()} partition={partition.clone()} {groups} hues={props.hues.clone()}
                    {width} {scale} is_narrow={width < NARROW} {selected} {on_select} />
            },
        }
    });
    html! {
        <section class={classes!("topic", topic.internal.then_some("internal"))} key={topic.name.clone()}>
            <h3>
                <button {onclick} aria-expanded={(!is_folded).to_string()}>
                    <svg viewBox="0 0 10 10" aria-hidden="true"><path d={if is_folded { "M3 1.5L7 5 3 8.5" } else { "M1.5 3L5 7l3.5-4" }} /></svg>
                    <code>{ shorten(&topic.name, 60) }</code>
                    <span>
                        { format!("{} {}", lang.text(Text::Partitions), topic.partitions.len()) }
                        if topic.internal { { " · " }{ lang.text(Text::Internal) } }
                    </span>
                </button>
            </h3>
            <div aria-hidden="true">{ for rows }</div>
        </section>
    }
}

#[derive(Debug, Properties, PartialEq)]
struct BrokerHeadProps {
    lang: Lang,
    broker: BrokerView,
}

#[component]
fn BrokerHead(props: &BrokerHeadProps) -> Html {
    let BrokerHeadProps { lang, broker } = props;
    html! {
        <h2 class="broker-head">
            <span class="broker-name">{ format!("broker {}", broker.id) }</span>
            if broker.controller {
                <span class="pill">
                    <svg viewBox="0 0 10 10" aria-hidden="true"><path d="M5 .5L9.5 5 5 9.5.5 5z" /></svg>
                    { lang.text(Text::ActiveController) }
                </span>
            }
            if !broker.is_running { <span class="pill fault">{ lang.text(Text::BrokerDown) }</span> }
            <code>{ format!(":{}", broker.port) }</code>
        </h2>
    }
}

#[derive(Debug, Properties, PartialEq)]
struct EmptyProps {
    lang: Lang,
    on_type: Callback<String>,
}

/// The outline of what will be there, and the command that makes it.
#[component]
fn Empty(props: &EmptyProps) -> Html {
    html! {
        <div class="empty">
            <svg viewBox="0 0 260 74" aria-hidden="true">
                <rect class="outline" x=".5" y=".5" width="259" height="73" rx="4" />
                { for (0..6).map(|i| html! { <rect class="outline" x={(12.5 + 23.0 * f64::from(i)).to_string()} y="16.5" width="20" height="29" rx="2" /> }) }
                <path class="outline" d="M151 1v72" />
            </svg>
            <h3>{ props.lang.text(Text::NoTopic) }</h3>
            <p>{ props.lang.text(Text::NoTopicWhy) }</p>
            <TypeButton lang={props.lang} text={CREATE_TOPIC} on_type={props.on_type.clone()} />
        </div>
    }
}

#[derive(Debug, Properties, PartialEq)]
struct MirrorProps {
    lang: Lang,
    view: Rc<View>,
}

/// The drawing as a table, for those who do not see it.
#[component]
fn Mirror(props: &MirrorProps) -> Html {
    let lang = props.lang;
    let topics = props.view.topics.iter().filter(|topic| !topic.internal);
    let rows = topics.flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)));
    html! {
        <table class="unseen">
            <caption>{ lang.text(Text::Cluster) }</caption>
            <thead><tr>
                <th scope="col">{ lang.text(Text::Partition) }</th>
                <th scope="col">{ lang.text(Text::Leader) }</th>
                <th scope="col">{ lang.text(Text::LogStart) }</th>
                <th scope="col">{ "high watermark" }</th>
                <th scope="col">{ lang.text(Text::LogEnd) }</th>
                <th scope="col">{ lang.text(Text::Records) }</th>
            </tr></thead>
            <tbody>
                { for rows.map(|(topic, partition)| html! {
                    <tr key={format!("{}-{}", topic.name, partition.index)}>
                        <th scope="row">{ format!("{}-{}", topic.name, partition.index) }</th>
                        <td>{ format!("broker {}", partition.leader) }</td>
                        <td>{ partition.log_start_offset }</td>
                        <td>{ partition.high_watermark }</td>
                        <td>{ partition.log_end_offset }</td>
                        <td>{ for partition.cells.iter().rev().take(8).rev().map(|cell| {
                            format!("{}: {} {}; ", cell.offset, cell.key.as_deref().unwrap_or("–"), shorten(&cell.value, 40))
                        }) }</td>
                    </tr>
                }) }
            </tbody>
        </table>
    }
}

/// The width of an element, followed as it changes.
#[hook]
fn use_width(place: &NodeRef) -> UseStateHandle<f64> {
    let width = use_state(|| 640.0);
    let state = width.clone();
    use_resize(place, move |element| match element.client_width() {
        // A pane that is not shown has no width: it keeps the one that it had.
        0 => {}
        width => state.set(f64::from(width)),
    });
    width
}
