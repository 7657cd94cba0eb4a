//! The record that was chosen in the drawing.

use std::rc::Rc;

use yew::prelude::*;

use crate::components::cluster::Selected;
use crate::draw::{Hues, time_of_day};
use crate::i18n::{Lang, Text};
use crate::playground::{CellView, View};

#[derive(Debug, Properties, PartialEq)]
pub struct RecordProps {
    pub lang: Lang,
    pub view: Rc<View>,
    pub hues: Rc<Hues>,
    pub selected: Option<Selected>,
}

#[component]
pub fn Record(props: &RecordProps) -> Html {
    let lang = props.lang;
    // A record that has left the window was never a thing of its own: its cell stays until another is chosen.
    let kept = use_mut_ref(|| None::<(Selected, CellView)>);
    let Some(selected) = &props.selected else {
        return html! {
            <section class="record"><h2>{ lang.text(Text::Record) }</h2><p class="hint">{ lang.text(Text::RecordNone) }</p></section>
        };
    };
    if let Some(cell) = find(&props.view, selected) {
        *kept.borrow_mut() = Some((selected.clone(), cell.clone()));
    }
    let cell = kept.borrow().as_ref().filter(|(of, _)| of == selected).map(|(_, cell)| cell.clone());
    let Some(cell) = cell else { return html! {} };
    html! {
        <section class="record">
            <h2>{ lang.text(Text::Record) }<code>{ format!("{}-{} @ {}", selected.topic, selected.partition, selected.offset) }</code></h2>
            <dl>
                <dt>{ lang.text(Text::Key) }</dt>
                <dd>
                    <svg class="swatch" viewBox="0 0 9 9" aria-hidden="true"><rect class={format!("k{}", props.hues.hue(cell.key.as_deref()))} width="9" height="9" rx="2" /></svg>
                    { cell.key.clone().unwrap_or_else(|| lang.text(Text::NoKey).to_owned()) }
                </dd>
                <dt>{ lang.text(Text::Value) }</dt><dd>{ &cell.value }</dd>
                <dt>{ lang.text(Text::Timestamp) }</dt><dd>{ time_of_day(cell.timestamp) }</dd>
                <dt>{ lang.text(Text::Bytes) }</dt><dd>{ format!("{} B", cell.bytes) }</dd>
            </dl>
        </section>
    }
}

fn find<'a>(view: &'a View, selected: &Selected) -> Option<&'a CellView> {
    let topic = view.topics.iter().find(|topic| topic.name == selected.topic)?;
    let partition = topic.partitions.iter().find(|partition| partition.index == selected.partition)?;
    // The leader knows it best; a follower may be the only one that still has it.
    let replicas = partition.led().into_iter().chain(&partition.replicas);
    replicas.flat_map(|replica| &replica.cells).find(|cell| cell.offset == selected.offset)
}
