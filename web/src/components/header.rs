//! The bar at the top: name, seed, link, language, brightness.

use wasm_bindgen_futures::JsFuture;
use yew::platform::spawn_local;
use yew::prelude::*;

use crate::i18n::{Lang, Text};
use crate::infra::address::{Settings, Theme, window};

#[derive(Debug, Properties, PartialEq)]
pub struct HeaderProps {
    pub settings: Settings,
    pub on_settings: Callback<Settings>,
}

#[component]
pub fn Header(props: &HeaderProps) -> Html {
    let settings = props.settings;
    let lang = settings.lang;
    let copied = use_state(|| false);
    let set = |changed: Settings| props.on_settings.reform(move |_: MouseEvent| changed);
    let copy = {
        let copied = copied.clone();
        Callback::from(move |_: MouseEvent| {
            let copied = copied.clone();
            let address = window().location().href().unwrap_or_default();
            spawn_local(async move {
                let written = JsFuture::from(window().navigator().clipboard().write_text(&address)).await;
                copied.set(written.is_ok());
            });
        })
    };
    let languages = [(Lang::Ko, "한국어"), (Lang::En, "EN")];
    let themes = [(Theme::Light, Text::Light), (Theme::Dark, Text::Dark)];
    html! {
        <header class="top">
            <h1 class="name">
                <svg viewBox="0 0 18 18" aria-hidden="true">
                    <path d="M1.5 4h15M1.5 9h10M1.5 14h13" stroke="currentColor" stroke-width="2.4" fill="none" />
                    <path class="mast" d="M14.2 1v8" stroke-width="2" fill="none" />
                </svg>
                { "Ottla" }
            </h1>
            <span class="crumb">{ lang.text(Text::Crumb) }</span>
            <span class="seed">{ format!("{} {}", lang.text(Text::Seed), settings.seed) }</span>
            <button class="plain" onclick={copy} aria-live="polite">
                { lang.text(if *copied { Text::CopiedLink } else { Text::CopyLink }) }
            </button>
            <span class="segments" role="group" aria-label={lang.text(Text::Language)}>
                { for languages.map(|(own, name)| html! {
                    <button lang={own.tag()} aria-pressed={(own == lang).to_string()}
                        onclick={set(Settings { lang: own, ..settings })}>{ name }</button>
                }) }
            </span>
            <span class="segments theme" role="group" aria-label={lang.text(Text::Theme)}>
                { for themes.map(|(own, text)| html! {
                    <button aria-pressed={(own == settings.theme).to_string()}
                        onclick={set(Settings { theme: own, ..settings })}>{ lang.text(text) }</button>
                }) }
            </span>
        </header>
    }
}
