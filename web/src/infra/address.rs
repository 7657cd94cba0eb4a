//! `?lang=ko|en&theme=light|dark&seed=N`: what the address says, and what is remembered of it.

use wasm_bindgen::JsValue;
use web_sys::{UrlSearchParams, Window};

use crate::i18n::Lang;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    Light,
    Dark,
}

impl Theme {
    pub fn tag(self) -> &'static str {
        match self {
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    fn from_tag(tag: &str) -> Option<Self> {
        [Theme::Light, Theme::Dark].into_iter().find(|theme| theme.tag() == tag)
    }
}

/// How the visitor wants the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    pub lang: Lang,
    pub theme: Theme,
    pub seed: u64,
}

impl Settings {
    /// The address first, then what was chosen before, then Korean and the system's brightness.
    pub fn read() -> Self {
        let asked = |name: &str| parameters().get(name).or_else(|| remembered(name));
        let lang = asked("lang").and_then(|tag| Lang::from_tag(&tag)).unwrap_or_default();
        let theme = asked("theme").and_then(|tag| Theme::from_tag(&tag)).unwrap_or_else(|| {
            if media("(prefers-color-scheme: dark)") { Theme::Dark } else { Theme::Light }
        });
        let seed = parameters().get("seed").and_then(|seed| seed.parse().ok()).unwrap_or(1);
        Self { lang, theme, seed }
    }

    /// Puts them on the document, so that styles and screen readers follow, into the address and into memory.
    pub fn apply(&self, title: &str) {
        let document = window().document();
        if let Some(root) = document.as_ref().and_then(|document| document.document_element()) {
            let _ = root.set_attribute("lang", self.lang.tag());
            let _ = root.set_attribute("data-theme", self.theme.tag());
        }
        if let Some(document) = document {
            document.set_title(title);
        }
        remember("lang", self.lang.tag());
        remember("theme", self.theme.tag());
        if let Ok(history) = window().history() {
            // A page opened from a file may not change its address; nothing depends on it.
            let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&self.query()));
        }
    }

    pub fn query(&self) -> String {
        format!("?lang={}&theme={}&seed={}", self.lang.tag(), self.theme.tag(), self.seed)
    }
}

pub fn window() -> Window {
    web_sys::window().expect("the page runs in a window")
}

/// Whether a media query holds now.
pub fn media(query: &str) -> bool {
    window().match_media(query).ok().flatten().is_some_and(|list| list.matches())
}

fn parameters() -> UrlSearchParams {
    let search = window().location().search().unwrap_or_default();
    UrlSearchParams::new_with_str(&search).expect("any text can be read as parameters")
}

/// Storage is refused in some private windows: then nothing is remembered.
fn remembered(name: &str) -> Option<String> {
    window().local_storage().ok().flatten()?.get_item(&format!("ottla.{name}")).ok().flatten()
}

fn remember(name: &str, value: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.set_item(&format!("ottla.{name}"), value);
    }
}
