//! The head of a broker: what it is, how it is, and what may be done to it.

use yew::prelude::*;

use crate::i18n::{Lang, Text};
use crate::playground::{BrokerView, Operation};

#[derive(Debug, Properties, PartialEq)]
pub struct BrokerHeadProps {
    pub lang: Lang,
    pub broker: BrokerView,
    /// The command of a button goes to a terminal.
    pub on_command: Callback<String>,
}

#[component]
pub fn BrokerHead(props: &BrokerHeadProps) -> Html {
    let BrokerHeadProps { lang, broker, on_command } = props;
    let button = |operation: Operation| {
        let command = command(broker, operation);
        let onclick = {
            let command = command.clone();
            on_command.reform(move |_: MouseEvent| command.clone())
        };
        html! { <button title={command} {onclick}>{ lang.text(name(operation)) }</button> }
    };
    html! {
        <section class={classes!("broker-head", is_unwell(broker).then_some("unwell"))} aria-label={format!("broker {}", broker.id)}>
            <h2>
                <span class="broker-name">{ format!("broker {}", broker.id) }</span>
                if broker.controller {
                    <span class="pill" title={lang.text(Text::ActiveController)}>
                        <svg viewBox="0 0 10 10" aria-hidden="true"><path d="M5 .5L9.5 5 5 9.5.5 5z" /></svg>
                        <span>{ lang.text(Text::ActiveController) }</span>
                    </span>
                }
                { for states(broker).map(|state| html! { <span class="pill fault">{ lang.text(state) }</span> }) }
                <code>{ format!(":{}", broker.port) }</code>
            </h2>
            <div class="operations" role="group" aria-label={format!("broker {}", broker.id)}>{ for operations(broker).map(button) }</div>
        </section>
    }
}

fn is_unwell(broker: &BrokerView) -> bool {
    !broker.is_running || broker.is_paused || broker.is_cut_off
}

/// Words for what is not as it should be.
pub fn states(broker: &BrokerView) -> impl Iterator<Item = Text> {
    let is_joining = broker.is_fenced && !is_unwell(broker);
    let all = [
        (!broker.is_running, Text::BrokerDown),
        (broker.is_paused, Text::BrokerPaused),
        (broker.is_cut_off, Text::BrokerCutOff),
        (is_joining, Text::BrokerJoining),
    ];
    all.into_iter().filter(|(is, _)| *is).map(|(_, text)| text)
}

/// What may be done to it now.
fn operations(broker: &BrokerView) -> impl Iterator<Item = Operation> {
    let runs = broker.is_running;
    let all = [
        (!runs, Operation::Start),
        (runs, Operation::Kill),
        (runs && !broker.is_paused, Operation::Stop),
        (runs && !broker.is_paused, Operation::Pause),
        (broker.is_paused, Operation::Resume),
        (runs && !broker.is_cut_off, Operation::CutOff),
        (broker.is_cut_off, Operation::Reconnect),
    ];
    all.into_iter().filter(|(may, _)| *may).map(|(_, operation)| operation)
}

fn name(operation: Operation) -> Text {
    match operation {
        Operation::Kill => Text::Kill,
        Operation::Stop => Text::Stop,
        Operation::Start => Text::Start,
        Operation::Pause => Text::PauseBroker,
        Operation::Resume => Text::Resume,
        Operation::CutOff => Text::CutOff,
        Operation::Reconnect => Text::Reconnect,
    }
}

/// What a person at a terminal would type.
fn command(broker: &BrokerView, operation: Operation) -> String {
    let (id, process) = (broker.id, broker.process_id);
    match operation {
        Operation::Kill => format!("kill -9 {process}"),
        Operation::Stop => format!("kafka-server-stop.sh --node-id={id}"),
        Operation::Start => format!("kafka-server-start.sh -daemon /opt/kafka/config/server-{id}.properties"),
        Operation::Pause => format!("kill -STOP {process}"),
        Operation::Resume => format!("kill -CONT {process}"),
        Operation::CutOff => format!("docker network disconnect kafka kafka-{id}"),
        Operation::Reconnect => format!("docker network connect kafka kafka-{id}"),
    }
}
