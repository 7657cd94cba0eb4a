//! The cluster: a broker is a column, a partition a row of replicas across them.

use std::collections::BTreeSet;
use std::rc::Rc;

use yew::prelude::*;

use crate::components::broker::BrokerHead;
use crate::components::lane::{FoldedLane, LaneRow};
use crate::components::mirror::Mirror;
use crate::components::steps::{CREATE_TOPIC, TypeButton};
use crate::draw::{Columns, Hues, shorten};
use crate::i18n::{Lang, Text};
use crate::infra::resize::use_width;
use crate::playground::{GroupView, PartitionView, TopicView, View};

/// More partitions than this are folded until somebody looks.
const OPEN_PARTITIONS_MAX: usize = 6;

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
    /// A command goes to a terminal that has a prompt.
    pub on_command: Callback<String>,
}

#[component]
pub fn Cluster(props: &ClusterProps) -> Html {
    let lang = props.lang;
    let place = use_node_ref();
    let columns = Columns::new(*use_width(&place), props.view.brokers.len());
    let (own, internal): (Vec<_>, Vec<_>) = props.view.topics.iter().partition(|topic| !topic.internal);
    let classes = classes!("brokers", format!("n{}", columns.count), columns.is_stacked.then_some("stacked"));
    html! {
        <div class="cluster" ref={place}>
            <div class={classes}>
                { for (0..columns.count).map(|_| html! { <div class="column" /> }) }
                <div class="grid heads">
                    if !columns.is_stacked { <span /> }
                    { for props.view.brokers.iter().map(|broker| html! {
                        <BrokerHead key={broker.id} {lang} broker={broker.clone()} on_command={props.on_command.clone()} />
                    }) }
                </div>
                if own.is_empty() { <Empty {lang} on_type={props.on_type.clone()} /> }
                { for own.into_iter().chain(internal).map(|topic| self::topic(props, topic, columns)) }
            </div>
            <Mirror {lang} view={props.view.clone()} />
        </div>
    }
}

fn topic(props: &ClusterProps, topic: &TopicView, columns: Columns) -> Html {
    let lang = props.lang;
    let is_folded = (topic.internal || topic.partitions.len() > OPEN_PARTITIONS_MAX)
        != props.folded.contains(&topic.name);
    let onclick = {
        let name = topic.name.clone();
        props.on_fold.reform(move |_: MouseEvent| name.clone())
    };
    let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    html! {
        <section class={classes!("topic", topic.internal.then_some("internal"))} key={topic.name.clone()}>
            <h3>
                <button {onclick} aria-expanded={(!is_folded).to_string()}>
                    <svg viewBox="0 0 10 10" aria-hidden="true"><path d={if is_folded { "M3 1.5L7 5 3 8.5" } else { "M1.5 3L5 7l3.5-4" }} /></svg>
                    <code>{ shorten(&topic.name, 60) }</code>
                    <span>
                        { format!("{} {} · {} {replicas}", lang.text(Text::Partitions), topic.partitions.len(), lang.text(Text::Replicas)) }
                        if topic.internal { { " · " }{ lang.text(Text::Internal) } }
                    </span>
                </button>
            </h3>
            <div aria-hidden="true">{ for topic.partitions.iter().map(|partition| row(props, topic, partition, is_folded, columns)) }</div>
        </section>
    }
}

/// A partition: its name and its ISR, then its replicas.
fn row(
    props: &ClusterProps,
    topic: &TopicView,
    partition: &PartitionView,
    is_folded: bool,
    columns: Columns,
) -> Html {
    let (lang, index) = (props.lang, partition.index);
    let (name, shared) = (topic.name.clone(), Rc::new(partition.clone()));
    let on_select = props
        .on_select
        .reform(move |offset| Some(Selected { topic: name.clone(), partition: index, offset }));
    let selected = props.selected.as_ref().filter(|s| s.topic == topic.name && s.partition == index);
    let selected = selected.map(|selected| selected.offset);
    let reads =
        |group: &&GroupView| group.offsets.iter().any(|o| o.topic == topic.name && o.partition == index);
    let groups: Rc<Vec<_>> = Rc::new(props.view.groups.iter().filter(reads).cloned().collect());
    let brokers = props.view.brokers.iter().filter(|broker| {
        !columns.is_stacked || partition.replicas.iter().any(|replica| replica.broker == broker.id)
    });
    let (in_sync, all) = (partition.isr.len(), partition.replicas.len());
    html! {
        <div class={classes!("grid", "partition", is_folded.then_some("folded"))} key={index}>
            <div class="row-name">
                <b>{ format!("P{index}") }</b>
                <span class={classes!((in_sync < all).then_some("less"))}>{ format!("ISR {in_sync}/{all}") }</span>
                if columns.is_stacked && let Some(replica) = partition.led() {
                    <span>{ format!("HW {}", replica.high_watermark) }</span><span>{ format!("LEO {}", replica.log_end_offset) }</span>
                }
                if partition.leader < 0 { <span class="less">{ lang.text(Text::NoLeader) }</span> }
            </div>
            { for brokers.map(|broker| html! {
                <div key={broker.id}>
                    if is_folded {
                        <FoldedLane partition={shared.clone()} broker={broker.id} is_down={!broker.is_running} hues={props.hues.clone()}
                            width={columns.width} is_stacked={columns.is_stacked} />
                    } else {
                        <LaneRow {lang} topic={topic.name.clone()} partition={shared.clone()} broker={broker.id} is_down={!broker.is_running}
                            groups={groups.clone()} hues={props.hues.clone()} width={columns.width} is_stacked={columns.is_stacked}
                            {selected} on_select={on_select.clone()} />
                    }
                </div>
            }) }
        </div>
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
