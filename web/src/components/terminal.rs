//! Terminals: a log of whole lines and a native input, in which Hangul is composed as everywhere else.

use std::rc::Rc;

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlInputElement};
use yew::prelude::*;

use crate::complete::{Completion, complete};
use crate::history::History;
use crate::i18n::{Lang, Text};
use crate::infra::address::window;
use crate::infra::resize::use_resize;
use crate::playground::{Input, LineKind, TerminalView, View};

/// What browsers report for a key that an input method has taken.
const KEY_CODE_COMPOSING: u32 = 229;
const TERMINALS_MAX: usize = 3;
/// How far above the newest line a visitor still follows it.
const FOLLOWS_PX: i32 = 40;

/// A text that a button types into a terminal; the serial number tells the same text twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    pub serial: u64,
    pub terminal: u8,
    pub text: AttrValue,
}

#[derive(Debug, Properties, PartialEq)]
pub struct TerminalsProps {
    pub lang: Lang,
    pub view: Rc<View>,
    pub typed: Option<Typed>,
    /// The terminal that buttons type into, and the one that a phone shows.
    pub active: u8,
    pub is_playing: bool,
    pub is_running: bool,
    pub on_active: Callback<u8>,
    pub on_input: Callback<Input>,
}

#[component]
pub fn Terminals(props: &TerminalsProps) -> Html {
    let TerminalsProps { lang, active, .. } = *props;
    let terminals = &props.view.terminals;
    let next = terminals.iter().map(|terminal| terminal.id).max().map_or(0, |id| id.saturating_add(1));
    let open = props.on_input.reform(move |_: MouseEvent| Input::OpenTerminal { terminal: next });
    html! {
        <section class="terminals" aria-label={lang.text(Text::Terminal)}>
            { for terminals.iter().enumerate().map(|(i, terminal)| {
                let id = terminal.id;
                let is_last = i + 1 == terminals.len();
                html! {
                    <div class={classes!("terminal", (id == active).then_some("active"))} key={id}>
                        <div class="terminal-head">
                            <span class="tabs" role="group">
                                { for terminals.iter().map(|other| {
                                    let (other, is_own) = (other.id, other.id == id);
                                    html! {
                                        <button key={other} class={classes!(is_own.then_some("own"))} aria-pressed={(other == active).to_string()}
                                            onclick={props.on_active.reform(move |_| other)}>
                                            { name(lang, other) }
                                        </button>
                                    }
                                }) }
                            </span>
                            <span class="running">{ terminal.running.clone().unwrap_or_default() }</span>
                            if is_last && terminals.len() < TERMINALS_MAX {
                                <button class="more" onclick={open.clone()} aria-label={lang.text(Text::OpenTerminal)} title={lang.text(Text::OpenTerminal)}>{ "+" }</button>
                            }
                        </div>
                        <Terminal {lang} terminal={terminal.clone()} view={props.view.clone()} is_playing={props.is_playing} is_running={props.is_running}
                            typed={props.typed.clone().filter(|typed| typed.terminal == id)}
                            on_active={props.on_active.reform(move |()| id)} on_input={props.on_input.clone()} />
                    </div>
                }
            }) }
        </section>
    }
}

#[derive(Debug, Properties, PartialEq)]
pub struct TerminalProps {
    pub lang: Lang,
    pub terminal: TerminalView,
    pub view: Rc<View>,
    pub typed: Option<Typed>,
    pub is_playing: bool,
    pub is_running: bool,
    pub on_active: Callback<()>,
    pub on_input: Callback<Input>,
}

#[component]
pub fn Terminal(props: &TerminalProps) -> Html {
    let TerminalProps { lang, terminal, .. } = props;
    let (lang, id) = (*lang, terminal.id);
    let field = use_node_ref();
    let log = use_node_ref();
    let line = use_state(String::new);
    let choices = use_state(Vec::<String>::new);
    let is_composing = use_state(|| false);
    let history = use_mut_ref(History::default);

    use_effect_with(props.typed.clone(), {
        let (field, line) = (field.clone(), line.clone());
        move |typed| {
            if let Some(typed) = typed {
                line.set(typed.text.to_string());
                focus_at_end(&field, &typed.text);
            }
        }
    });
    // The newest line stays in sight, unless the visitor has scrolled away from it.
    let follows = use_mut_ref(|| true);
    let show_newest = {
        let follows = follows.clone();
        move |log: &Element| {
            if *follows.borrow() {
                log.set_scroll_top(log.scroll_height());
            }
        }
    };
    use_resize(&log, show_newest.clone());
    use_effect_with(terminal.lines.clone(), {
        let log = log.clone();
        move |_| log.cast::<Element>().iter().for_each(show_newest)
    });
    let onscroll = {
        let log = log.clone();
        move |_: Event| {
            // A pane that is not shown has no height and stands nowhere.
            if let Some(log) = log.cast::<Element>().filter(|log| log.client_height() > 0) {
                let below = log.scroll_height() - log.scroll_top() - log.client_height();
                *follows.borrow_mut() = below < FOLLOWS_PX;
            }
        }
    };

    let keys = Keys {
        id,
        field,
        line: line.clone(),
        choices: choices.clone(),
        history,
        view: props.view.clone(),
        on_input: props.on_input.clone(),
    };
    let onkeydown = {
        let keys = keys.clone();
        Callback::from(move |event: KeyboardEvent| keys.pressed(&event))
    };
    let oninput = {
        let (line, choices, is_composing) = (line.clone(), choices.clone(), is_composing.clone());
        Callback::from(move |event: InputEvent| {
            if let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok())
            {
                line.set(input.value());
                choices.set(Vec::new());
                is_composing.set(event.is_composing());
            }
        })
    };
    // The last key of a syllable is released after its composition has ended.
    let onkeyup = {
        let is_composing = is_composing.clone();
        Callback::from(move |event: KeyboardEvent| {
            if !event.is_composing() {
                is_composing.set(false);
            }
        })
    };
    let on_focus = props.on_active.reform(|_: FocusEvent| ());
    let is_waiting = props.is_running && !props.is_playing;
    html! {
        <>
            <div class="log" ref={log} {onscroll} role="log" aria-live="polite" tabindex="0" aria-label={name(lang, id)}>
                { for terminal.lines.iter().map(|line| text_line(line.kind, &line.text)) }
                if !choices.is_empty() { <p class="choices">{ for choices.iter().map(|choice| html! { <span>{ choice }</span> }) }</p> }
            </div>
            <label class="entry">
                <span class="prompt">{ terminal.prompt.trim_end() }</span>
                <input ref={keys.field.clone()} type="text" value={(*line).clone()} disabled={!props.is_running} {onkeydown} {onkeyup} {oninput} onfocus={on_focus}
                    aria-label={name(lang, id)}
                    autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck="false" enterkeyhint="send" />
                if *is_composing {
                    <span class="note">{ lang.text(Text::Composing) }</span>
                } else if is_waiting {
                    <span class="note">{ lang.text(Text::PausedHint) }</span>
                }
                if terminal.running.is_some() {
                    <button class="interrupt" onclick={keys.on(Keys::interrupt)}>{ lang.text(Text::Interrupt) }</button>
                }
            </label>
            <div class="keys" role="group">
                <button onclick={keys.on(|keys| { keys.complete(); })}>{ "Tab" }</button>
                <button onclick={keys.on(Keys::older)} aria-label="↑">{ "↑" }</button>
                <button onclick={keys.on(Keys::newer)} aria-label="↓">{ "↓" }</button>
                { for ["--", "/", ":"].map(|text| html! { <button onclick={keys.on(move |keys| keys.set(format!("{}{text}", *keys.line)))}>{ text }</button> }) }
                <button onclick={keys.on(Keys::interrupt)}>{ lang.text(Text::Interrupt) }</button>
            </div>
        </>
    }
}

/// The engine counts terminals from nought, people from one.
fn name(lang: Lang, id: u8) -> String {
    format!("{} {}", lang.text(Text::TerminalLabel), u16::from(id) + 1)
}

/// Whole lines only; the words of a command keep together.
fn text_line(kind: LineKind, text: &str) -> Html {
    match kind {
        LineKind::Prompt | LineKind::Input => {
            let (prompt, rest) = split_prompt(text);
            html! { <p class="in"><span class="prompt">{ prompt }</span>{ rest }</p> }
        }
        LineKind::Out => html! { <p class="out">{ text }</p> },
        LineKind::Err => html! { <p class="err">{ text }</p> },
    }
}

/// What a line starts with by itself: `broker1 bin$ ` or `>`.
fn split_prompt(text: &str) -> (&str, &str) {
    match text.find("$ ").map(|index| index + 2).filter(|_| !text.starts_with('>')) {
        Some(end) => text.split_at(end),
        None => text.split_at(usize::from(text.starts_with('>'))),
    }
}

/// What keys do, whether pressed or tapped.
#[derive(Clone)]
struct Keys {
    id: u8,
    field: NodeRef,
    line: UseStateHandle<String>,
    choices: UseStateHandle<Vec<String>>,
    history: Rc<std::cell::RefCell<History>>,
    view: Rc<View>,
    on_input: Callback<Input>,
}

impl Keys {
    fn pressed(&self, event: &KeyboardEvent) {
        // While a syllable is composed, every key belongs to the input method.
        if event.is_composing() || event.key_code() == KEY_CODE_COMPOSING {
            return;
        }
        let handled = match event.key().as_str() {
            "Enter" => {
                self.enter();
                true
            }
            "ArrowUp" => {
                self.older();
                true
            }
            "ArrowDown" => {
                self.newer();
                true
            }
            "Tab" if !event.shift_key() => self.complete(),
            "c" | "C" if event.ctrl_key() && !self.is_selecting() => {
                self.interrupt();
                true
            }
            "d" | "D" if event.ctrl_key() && self.value().is_empty() => {
                self.on_input.emit(Input::EndOfInput { terminal: self.id });
                true
            }
            "l" | "L" if event.ctrl_key() => {
                self.on_input.emit(Input::Line { terminal: self.id, text: "clear".into() });
                true
            }
            _ => false,
        };
        if handled {
            event.prevent_default();
        }
    }

    /// The same for a button beside the input, which keeps the focus.
    fn on(&self, act: impl Fn(&Keys) + 'static) -> Callback<MouseEvent> {
        let keys = self.clone();
        Callback::from(move |event: MouseEvent| {
            event.prevent_default();
            act(&keys);
            if let Some(input) = keys.field.cast::<HtmlInputElement>() {
                let _ = input.focus();
            }
        })
    }

    fn value(&self) -> String {
        self.field.cast::<HtmlInputElement>().map_or_else(|| (*self.line).clone(), |input| input.value())
    }

    fn set(&self, line: String) {
        focus_at_end(&self.field, &line);
        self.choices.set(Vec::new());
        self.line.set(line);
    }

    fn enter(&self) {
        let text = self.value();
        self.history.borrow_mut().push(&text);
        self.on_input.emit(Input::Line { terminal: self.id, text });
        self.set(String::new());
    }

    fn interrupt(&self) {
        self.on_input.emit(Input::Interrupt { terminal: self.id });
        self.set(String::new());
    }

    fn older(&self) {
        let older = self.history.borrow_mut().older(&self.value());
        older.into_iter().for_each(|line| self.set(line));
    }

    fn newer(&self) {
        let newer = self.history.borrow_mut().newer();
        newer.into_iter().for_each(|line| self.set(line));
    }

    /// False if there was nothing to complete: then Tab moves the focus.
    fn complete(&self) -> bool {
        match complete(&self.value(), &self.view) {
            Completion::None => return false,
            Completion::Line(line) => self.set(line),
            Completion::Choices(choices) => self.choices.set(choices),
        }
        true
    }

    /// Ctrl C copies where something is selected.
    fn is_selecting(&self) -> bool {
        let in_field = self.field.cast::<HtmlInputElement>().is_some_and(|input| {
            input.selection_start().ok().flatten() != input.selection_end().ok().flatten()
        });
        in_field || window().get_selection().ok().flatten().is_some_and(|selection| !selection.is_collapsed())
    }
}

fn focus_at_end(field: &NodeRef, text: &str) {
    if let Some(input) = field.cast::<HtmlInputElement>() {
        input.set_value(text);
        let _ = input.focus();
        let end = text.encode_utf16().count() as u32;
        let _ = input.set_selection_range(end, end);
        input.set_scroll_left(input.scroll_width());
    }
}
