//! The drawing as tables, for those who do not see it.

use std::rc::Rc;

use yew::prelude::*;

use crate::components::broker::states;
use crate::draw::shorten;
use crate::i18n::{Lang, Text};
use crate::playground::{PartitionView, ReplicaView, View};

/// Records of a replica that are told.
const RECORDS: usize = 8;

#[derive(Debug, Properties, PartialEq)]
pub struct MirrorProps {
    pub lang: Lang,
    pub view: Rc<View>,
}

#[component]
pub fn Mirror(props: &MirrorProps) -> Html {
    let lang = props.lang;
    let topics = props.view.topics.iter().filter(|topic| !topic.internal);
    let rows = topics.flat_map(|topic| {
        topic.partitions.iter().flat_map(move |partition| {
            partition.replicas.iter().map(move |replica| row(lang, &topic.name, partition, replica))
        })
    });
    html! {
        <div class="unseen">
            <table>
                <caption>{ lang.text(Text::Brokers) }</caption>
                <tbody>
                    { for props.view.brokers.iter().map(|broker| html! {
                        <tr key={broker.id}>
                            <th scope="row">{ format!("broker {}", broker.id) }</th>
                            <td>{ if broker.controller { lang.text(Text::ActiveController) } else { "" } }</td>
                            <td>{ for states(broker).map(|state| html! { <>{ lang.text(state) }{ " " }</> }) }</td>
                        </tr>
                    }) }
                </tbody>
            </table>
            <table class="replicas">
                <caption>{ lang.text(Text::Cluster) }</caption>
                <thead><tr>
                    <th scope="col">{ lang.text(Text::Partition) }</th>
                    <th scope="col">{ "broker" }</th>
                    <th scope="col">{ "ISR" }</th>
                    <th scope="col">{ lang.text(Text::LogStart) }</th>
                    <th scope="col">{ "high watermark" }</th>
                    <th scope="col">{ lang.text(Text::LogEnd) }</th>
                    <th scope="col">{ lang.text(Text::Records) }</th>
                </tr></thead>
                <tbody>{ for rows }</tbody>
            </table>
        </div>
    }
}

fn row(lang: Lang, topic: &str, partition: &PartitionView, replica: &ReplicaView) -> Html {
    let is_leader = replica.broker == partition.leader;
    let is_in_sync = partition.isr.contains(&replica.broker);
    let records = replica.cells.iter().rev().take(RECORDS).rev();
    html! {
        <tr key={format!("{topic}-{}-{}", partition.index, replica.broker)}>
            <th scope="row">{ format!("{topic}-{}", partition.index) }</th>
            <td>{ format!("broker {} ", replica.broker) }{ lang.text(if is_leader { Text::Leader } else { Text::Follower }) }</td>
            <td>{ if is_in_sync { "ISR" } else { "ISR✕" } }</td>
            <td>{ replica.log_start_offset }</td>
            <td>{ replica.high_watermark }</td>
            <td>{ replica.log_end_offset }</td>
            <td>{ for records.map(|cell| {
                format!("{}: {} {}; ", cell.offset, cell.key.as_deref().unwrap_or("–"), shorten(&cell.value, 40))
            }) }</td>
        </tr>
    }
}
