//! Instead of the drawing, or above the last one: loading and what went wrong.

use yew::prelude::*;

use crate::components::app::State;
use crate::i18n::{Lang, Text};
use crate::infra::address::window;
use crate::pace;

#[derive(Debug, Properties, PartialEq)]
pub struct SceneProps {
    pub lang: Lang,
    pub state: State,
    pub on_restart: Callback<()>,
}

#[component]
pub fn Scene(props: &SceneProps) -> Html {
    let lang = props.lang;
    let (title, why, detail, way_out) = match &props.state {
        State::Running => return html! {},
        State::Loading { received, total } => return loading(lang, *received, *total),
        State::Failed { now_us, reason } => {
            let why = format!("{} {} s", lang.text(Text::StoppedWhy), pace::clock(*now_us));
            (Text::Stopped, why, Some(reason.clone()), Text::Restart)
        }
        State::Outdated => (Text::Outdated, lang.text(Text::OutdatedWhy).to_owned(), None, Text::Reload),
        State::LoadFailed(reason) => {
            (Text::LoadFailed, lang.text(Text::LoadFailedWhy).to_owned(), Some(reason.clone()), Text::Reload)
        }
    };
    let on_restart = props.on_restart.clone();
    let onclick = Callback::from(move |_: MouseEvent| match way_out {
        Text::Restart => on_restart.emit(()),
        // Where the browser refuses, its own button remains.
        _ => drop(window().location().reload()),
    });
    html! {
        <div class="scene" role="alert">
            <div class="broken">
                <h2>{ lang.text(title) }</h2>
                <p>{ why }</p>
                if let Some(detail) = detail { <pre>{ detail }</pre> }
                <button class="next" {onclick}>{ lang.text(way_out) }</button>
            </div>
        </div>
    }
}

fn loading(lang: Lang, received: u64, total: Option<u64>) -> Html {
    let kilobytes = |bytes: u64| bytes.div_ceil(1_000);
    let amount = match total {
        Some(total) => format!("{} / {} KB", kilobytes(received), kilobytes(total)),
        None => format!("{} KB", kilobytes(received)),
    };
    html! {
        <div class="scene" role="status">
            <div>
                <h2>{ lang.text(Text::Starting) }</h2>
                <p>{ lang.text(Text::StartingWhy) }{ " · " }<span class="mono">{ amount }</span></p>
                <progress aria-label={lang.text(Text::StartingWhy)} value={total.map(|_| received.to_string())}
                    max={total.map(|total| total.to_string())} />
            </div>
        </div>
    }
}
