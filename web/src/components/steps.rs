//! First steps: what the lecture notes teach, as commands that are typed for the visitor.

use yew::prelude::*;

use crate::i18n::{Lang, Text};

#[derive(Debug, Properties, PartialEq)]
pub struct StepsProps {
    pub lang: Lang,
    pub on_type: Callback<String>,
}

pub const CREATE_TOPIC: &str = "kafka-topics.sh --create --bootstrap-server localhost:9092 --replication-factor 1 --partitions 3 --topic exam-topic";
const PRODUCE: &str = "kafka-console-producer.sh --broker-list localhost:9092 --topic exam-topic --property parse.key=true --property key.separator=:";
const CONSUME: &str = "kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic exam-topic --from-beginning --group exam-group";
const CREATE_REPLICATED: &str = "kafka-topics.sh --create --bootstrap-server localhost:9092 --replication-factor 3 --partitions 1 --topic safe-topic";
pub const DESCRIBE_GROUP: &str =
    "kafka-consumer-groups.sh --bootstrap-server localhost:9092 --describe --group exam-group";

#[component]
pub fn Steps(props: &StepsProps) -> Html {
    let lang = props.lang;
    let lines: [&str; 3] = match lang {
        Lang::Ko => ["D:커피 주문", "G:결제 완료", "M:회원 가입"],
        Lang::En => ["D:coffee ordered", "G:payment done", "M:member joined"],
    };
    let steps: [(Text, Text, &str); 5] = [
        (Text::StepTopic, Text::StepTopicWhy, CREATE_TOPIC),
        (Text::StepProduce, Text::StepProduceWhy, PRODUCE),
        (Text::StepConsume, Text::StepConsumeWhy, CONSUME),
        (Text::StepLag, Text::StepLagWhy, DESCRIBE_GROUP),
        (Text::StepReplicas, Text::StepReplicasWhy, CREATE_REPLICATED),
    ];
    html! {
        <section class="steps" aria-label={lang.text(Text::Steps)}>
            <h2>{ lang.text(Text::Steps) }</h2>
            <p class="lead">{ lang.text(Text::StepsLead) }</p>
            <ol>
                { for steps.into_iter().map(|(title, why, command)| html! {
                    <li key={command}>
                        <h3>{ lang.text(title) }</h3>
                        <p>{ lang.text(why) }</p>
                        <TypeButton {lang} text={command} on_type={props.on_type.clone()} />
                        if title == Text::StepProduce {
                            <div class="lines" role="group" aria-label={lang.text(Text::StepProduceLines)}>
                                { for lines.iter().map(|line| html! {
                                    <TypeButton key={*line} {lang} text={*line} is_short=true on_type={props.on_type.clone()} />
                                }) }
                            </div>
                        }
                    </li>
                }) }
            </ol>
            <p class="foot">{ lang.text(Text::StepsFoot) }</p>
        </section>
    }
}

#[derive(Debug, Properties, PartialEq)]
pub struct TypeButtonProps {
    pub lang: Lang,
    pub text: AttrValue,
    #[prop_or_default]
    pub is_short: bool,
    pub on_type: Callback<String>,
}

/// A button that types what it shows into the terminal.
#[component]
pub fn TypeButton(props: &TypeButtonProps) -> Html {
    let onclick = {
        let text = props.text.clone();
        props.on_type.reform(move |_: MouseEvent| text.to_string())
    };
    html! {
        <button class={classes!("types", props.is_short.then_some("short"))} {onclick}>
            // An option and its value stay together where the line breaks.
            <code>{ for props.text.split_inclusive(' ').map(|word| html! { <span>{ word.to_owned() }</span> }) }</code>
            if !props.is_short { <i>{ props.lang.text(Text::TypeIt) }</i> }
        </button>
    }
}
