//! Groups: who reads what, how far, and how much is left.

use std::rc::Rc;

use yew::prelude::*;

use crate::components::steps::{DESCRIBE_GROUP, TypeButton};
use crate::i18n::{Lang, Text};
use crate::playground::{GroupView, View};

#[derive(Debug, Properties, PartialEq)]
pub struct GroupsProps {
    pub lang: Lang,
    pub view: Rc<View>,
    pub on_type: Callback<String>,
}

#[component]
pub fn Groups(props: &GroupsProps) -> Html {
    let lang = props.lang;
    html! {
        <section class="groups">
            <h2>{ lang.text(Text::GroupsAndLag) }</h2>
            if props.view.groups.is_empty() {
                <div class="empty">
                    <svg viewBox="0 0 220 40" aria-hidden="true">
                        <path class="outline" d="M.5 12.5h219M.5 26.5h219M60.5 2v36M120.5 2v36M180.5 2v36" />
                    </svg>
                    <h3>{ lang.text(Text::NoGroup) }</h3>
                    <p>{ lang.text(Text::NoGroupWhy) }</p>
                    <TypeButton {lang} text={DESCRIBE_GROUP} on_type={props.on_type.clone()} />
                </div>
            }
            { for props.view.groups.iter().map(|group| html! { <Group key={group.id.clone()} {lang} group={group.clone()} /> }) }
        </section>
    }
}

#[derive(Debug, Properties, PartialEq)]
struct GroupProps {
    lang: Lang,
    group: GroupView,
}

#[component]
fn Group(props: &GroupProps) -> Html {
    let GroupProps { lang, group } = props;
    let total: i64 =
        group.offsets.iter().filter(|offset| offset.committed >= 0).map(|offset| offset.lag.max(0)).sum();
    let assignor = if group.protocol.is_empty() { "–" } else { &group.protocol };
    html! {
        <article class="group">
            <h3><code>{ &group.id }</code><span class="pill state">{ &group.state }</span></h3>
            <dl>
                <div><dt>{ lang.text(Text::Lag) }</dt><dd class="lag-total">{ total }</dd></div>
                <div><dt>{ lang.text(Text::Members) }</dt><dd>{ group.members.len() }</dd></div>
                <div><dt>{ lang.text(Text::Generation) }</dt><dd>{ group.generation }</dd></div>
                <div><dt>{ lang.text(Text::Assignor) }</dt><dd>{ assignor }</dd></div>
            </dl>
            if !group.offsets.is_empty() {
                <table>
                    <caption class="unseen">{ &group.id }</caption>
                    <thead><tr>
                        <th scope="col">{ lang.text(Text::Partition) }</th>
                        <th scope="col">{ lang.text(Text::Committed) }</th>
                        <th scope="col">{ lang.text(Text::LogEnd) }</th>
                        <th scope="col">{ lang.text(Text::Lag) }</th>
                    </tr></thead>
                    <tbody>{ for group.offsets.iter().map(|offset| {
                        let owner = group.members.iter().find(|m| m.partitions.iter().any(|(t, p)| *t == offset.topic && *p == offset.partition));
                        html! {
                            <tr key={format!("{}-{}", offset.topic, offset.partition)}>
                                <th scope="row">
                                    <span class="topic-name">{ &offset.topic }</span><b>{ format!("P{}", offset.partition) }</b>
                                    <small>{ owner.map_or(lang.text(Text::Unassigned), |owner| owner.client_id.as_str()) }</small>
                                </th>
                                <td>{ if offset.committed < 0 { "–".to_owned() } else { offset.committed.to_string() } }</td>
                                <td>{ offset.log_end }</td>
                                <td class="lag-number">{ if offset.committed < 0 { "–".to_owned() } else { offset.lag.max(0).to_string() } }</td>
                            </tr>
                        }
                    }) }</tbody>
                </table>
            }
        </article>
    }
}
