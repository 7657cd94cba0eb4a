//! The clock and its keys.

use wasm_bindgen::JsCast;
use web_sys::HtmlInputElement;
use yew::prelude::*;

use crate::i18n::{Lang, Text};
use crate::pace;

#[derive(Debug, Properties, PartialEq)]
pub struct TransportProps {
    pub lang: Lang,
    pub now_us: u64,
    pub is_playing: bool,
    pub is_running: bool,
    /// Of the speed, a power of ten.
    pub exponent: f64,
    pub on_playing: Callback<bool>,
    pub on_step: Callback<()>,
    pub on_speed: Callback<f64>,
}

#[component]
pub fn Transport(props: &TransportProps) -> Html {
    let TransportProps { lang, is_playing, exponent, .. } = *props;
    let play = props.on_playing.reform(move |_: MouseEvent| !is_playing);
    let step = props.on_step.reform(|_: MouseEvent| ());
    let speed = props.on_speed.reform(|event: InputEvent| {
        let input: Option<HtmlInputElement> = event.target().and_then(|target| target.dyn_into().ok());
        input.map_or(0.0, |input| input.value_as_number() / 10.0)
    });
    let label = pace::label(exponent);
    html! {
        <section class="transport" aria-label={lang.text(Text::Clock)}>
            <button class="play" disabled={!props.is_running} onclick={play}
                aria-label={lang.text(if is_playing { Text::Pause } else { Text::Play })}>
                <svg viewBox="0 0 16 16" aria-hidden="true">
                    <path d={if is_playing { "M4 3h3v10H4zM9 3h3v10H9z" } else { "M5 3l8 5-8 5z" }} />
                </svg>
            </button>
            <button class="next" disabled={is_playing || !props.is_running} onclick={step}>
                <span>{ lang.text(Text::Step) }</span>
                <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 8h9M8 4.5L11.5 8 8 11.5M14 3v10" /></svg>
            </button>
            <span class="clock" role="timer" aria-live="off">
                { pace::clock(props.now_us) }{ " s" }
                if !is_playing { <small>{ lang.text(Text::Paused) }</small> }
            </span>
            <label class="speed">
                <span>{ lang.text(Text::Speed) }</span>
                <input type="range" aria-label={lang.text(Text::Speed)} min="-20" max="20" step="1" list="speeds" value={(exponent * 10.0).round().to_string()}
                    aria-valuetext={label.clone()} oninput={speed} />
                <output>{ label }</output>
            </label>
            <datalist id="speeds">
                { for ["-20", "-10", "0", "10", "20"].map(|value| html! { <option {value} /> }) }
            </datalist>
        </section>
    }
}
