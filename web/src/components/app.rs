//! The whole page: its state, and what goes to the engine.

use std::collections::BTreeSet;
use std::mem::take;
use std::rc::Rc;

use yew::prelude::*;

use crate::components::cluster::{Cluster, Selected};
use crate::components::groups::Groups;
use crate::components::header::Header;
use crate::components::record::Record;
use crate::components::scenes::Scene;
use crate::components::steps::Steps;
use crate::components::terminal::{Terminals, Typed};
use crate::components::transport::Transport;
use crate::components::wire::Wire;
use crate::draw::Hues;
use crate::i18n::Text;
use crate::infra::address::{Settings, media, window};
use crate::infra::worker::{Arrival, Engine};
use crate::link::{Command, Report};
use crate::pace;
use crate::playground::{EdgeView, FlightView, Input, View};
use crate::wire::Clock;

const ENGINE_SCRIPT: &str = "engine-worker.js";
const PHONE: &str = "(max-width: 820px)";
const TERMINALS_MAX: usize = 3;
const REDUCED_MOTION: &str = "(prefers-reduced-motion: reduce)";

/// Starts the page in the document's `#page`.
pub fn run() {
    let place = window().document().and_then(|document| document.get_element_by_id("page"));
    let place = place.expect("the document has a place for the page");
    place.set_inner_html("");
    yew::Renderer::<App>::with_root(place).render();
}

/// One pane at a time on a phone; all of them on wider screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    Steps,
    Cluster,
    Groups,
    Terminal,
}

impl Pane {
    pub const ALL: [(Pane, Text, &str); 4] = [
        (Pane::Steps, Text::Steps, "steps"),
        (Pane::Cluster, Text::Cluster, "cluster"),
        (Pane::Groups, Text::Groups, "groups"),
        (Pane::Terminal, Text::Terminal, "terminal"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(pane, ..)| *pane == self).map_or("", |(.., name)| name)
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum State {
    Loading { received: u64, total: Option<u64> },
    Running,
    Failed { now_us: u64, reason: String },
    Outdated,
    LoadFailed(String),
}

#[derive(Debug)]
pub enum Msg {
    Arrived(Arrival),
    Settings(Settings),
    Pane(Pane),
    Typed(String),
    /// For a terminal that has a prompt.
    Command(String),
    Active(u8),
    Input(Input),
    Playing(bool),
    Step,
    Speed(f64),
    Select(Option<Selected>),
    Fold(String),
    Restart,
}

#[derive(Debug)]
pub struct App {
    settings: Settings,
    pane: Pane,
    state: State,
    engine: Option<Engine>,
    /// Without frames, which come and go.
    view: Rc<View>,
    flights: Rc<Vec<FlightView>>,
    edges: Rc<Vec<EdgeView>>,
    now_us: u64,
    hues: Rc<Hues>,
    is_playing: bool,
    exponent: f64,
    typed: Option<Typed>,
    active: u8,
    selected: Option<Selected>,
    /// Topics that are not in the form which they have by themselves.
    folded: Rc<BTreeSet<String>>,
}

impl Component for App {
    type Message = Msg;
    type Properties = ();

    fn create(ctx: &Context<Self>) -> Self {
        let settings = Settings::read();
        settings.apply(settings.lang.text(Text::Title));
        let view = View::default();
        let mut app = Self {
            settings,
            pane: if media(PHONE) { Pane::Steps } else { Pane::Cluster },
            state: State::Loading { received: 0, total: None },
            engine: None,
            view: Rc::new(view),
            flights: Rc::default(),
            edges: Rc::default(),
            now_us: 0,
            hues: Rc::default(),
            is_playing: !media(REDUCED_MOTION),
            exponent: 0.0,
            typed: None,
            active: 0,
            selected: None,
            folded: Rc::default(),
        };
        app.start(ctx);
        app
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Arrived(arrival) => return self.arrived(arrival),
            Msg::Settings(settings) => {
                settings.apply(settings.lang.text(Text::Title));
                self.settings = settings;
            }
            Msg::Pane(pane) => self.pane = pane,
            Msg::Command(text) => {
                self.active = self.prompting();
                self.type_in(text);
            }
            Msg::Typed(text) => {
                self.type_in(text);
                if self.pane == Pane::Steps && media(PHONE) {
                    self.pane = Pane::Terminal;
                }
            }
            Msg::Active(terminal) => {
                let changed = self.active != terminal;
                self.active = terminal;
                return changed;
            }
            Msg::Input(input) => {
                if let Input::OpenTerminal { terminal } = &input {
                    self.active = *terminal;
                }
                self.send(&Command::Input(input));
            }
            Msg::Playing(is_playing) => {
                self.is_playing = is_playing;
                self.send(if is_playing { &Command::Play } else { &Command::Pause });
            }
            Msg::Step => self.send(&Command::Step),
            Msg::Speed(exponent) => {
                self.exponent = exponent;
                self.send(&Command::Speed(pace::speed(exponent)));
            }
            Msg::Select(selected) => {
                self.selected = if self.selected == selected { None } else { selected };
            }
            Msg::Fold(topic) => {
                let folded = Rc::make_mut(&mut self.folded);
                if !folded.remove(&topic) {
                    folded.insert(topic);
                }
            }
            Msg::Restart => self.start(ctx),
        }
        true
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let lang = self.settings.lang;
        let is_eased = self.is_playing && pace::speed(self.exponent) <= 4.0;
        let on_type = link.callback(Msg::Typed);
        let is_reduced = media(REDUCED_MOTION);
        let clock = Clock {
            now_us: self.now_us,
            is_playing: self.is_playing,
            speed: pace::speed(self.exponent),
            is_still: is_reduced,
        };
        let stage = match (&self.state, self.view.topics.is_empty() && self.view.brokers.is_empty()) {
            (State::Running, _) | (State::Failed { .. }, false) => html! {
                <>
                <Wire {lang} view={self.view.clone()} flights={self.flights.clone()} edges={self.edges.clone()} {clock} />
                <Cluster {lang} view={self.view.clone()} hues={self.hues.clone()} folded={self.folded.clone()}
                    selected={self.selected.clone()} on_select={link.callback(Msg::Select)}
                    on_fold={link.callback(Msg::Fold)} on_type={on_type.clone()}
                    on_command={link.callback(Msg::Command)} />
                </>
            },
            _ => html! {},
        };
        html! {
            <main class={classes!("app", is_eased.then_some("eased"))} data-pane={self.pane.name()}>
                <Header settings={self.settings} on_settings={link.callback(Msg::Settings)} />
                <nav class="panes" aria-label={lang.text(Text::Panes)}>
                    { for Pane::ALL.iter().map(|&(pane, text, _)| html! {
                        <button key={text as usize} aria-current={(self.pane == pane).then_some("page")}
                            onclick={link.callback(move |_| Msg::Pane(pane))}>{ lang.text(text) }</button>
                    }) }
                </nav>
                <Steps {lang} on_type={on_type.clone()} />
                <section class="stage" aria-label={lang.text(Text::Cluster)}>
                    if self.state != State::Running {
                        <Scene {lang} state={self.state.clone()} on_restart={link.callback(|()| Msg::Restart)} />
                    }
                    { stage }
                    // On a phone the record stands under the drawing that it was chosen in.
                    if self.selected.is_some() {
                        <Record {lang} view={self.view.clone()} hues={self.hues.clone()} selected={self.selected.clone()} />
                    }
                </section>
                <Transport {lang} now_us={self.now_us} is_playing={self.is_playing} exponent={self.exponent}
                    is_running={self.state == State::Running}
                    on_playing={link.callback(Msg::Playing)} on_step={link.callback(|()| Msg::Step)}
                    on_speed={link.callback(Msg::Speed)} />
                <section class="side" aria-label={lang.text(Text::GroupsAndLag)}>
                    <Groups {lang} view={self.view.clone()} on_type={on_type} />
                    <Record {lang} view={self.view.clone()} hues={self.hues.clone()} selected={self.selected.clone()} />
                </section>
                <Terminals {lang} view={self.view.clone()} typed={self.typed.clone()} active={self.active}
                    is_playing={self.is_playing} is_running={self.state == State::Running}
                    on_active={link.callback(Msg::Active)} on_input={link.callback(Msg::Input)} />
            </main>
        }
    }
}

impl App {
    /// A new worker with a new world; the one before it ends.
    fn start(&mut self, ctx: &Context<Self>) {
        self.state = State::Loading { received: 0, total: None };
        match Engine::start(ENGINE_SCRIPT, ctx.link().callback(Msg::Arrived)) {
            Ok(engine) => self.engine = Some(engine),
            Err(error) => self.state = State::LoadFailed(format!("{error:?}")),
        }
    }

    fn type_in(&mut self, text: String) {
        let serial = self.typed.as_ref().map_or(0, |typed| typed.serial) + 1;
        self.typed = Some(Typed { serial, terminal: self.active, text: text.into() });
    }

    /// A terminal without a program: the active one if it is, or another, or a new one while there is room.
    fn prompting(&self) -> u8 {
        let terminals = &self.view.terminals;
        let mut idle =
            terminals.iter().filter(|terminal| terminal.running.is_none()).map(|terminal| terminal.id);
        let is_active_idle = idle.clone().any(|id| id == self.active);
        match idle.next() {
            _ if is_active_idle => self.active,
            Some(id) => id,
            None if terminals.len() < TERMINALS_MAX => {
                let next =
                    terminals.iter().map(|terminal| terminal.id).max().map_or(0, |id| id.saturating_add(1));
                self.send(&Command::Input(Input::OpenTerminal { terminal: next }));
                next
            }
            None => self.active,
        }
    }

    fn send(&self, command: &Command) {
        if let Some(engine) = self.engine.as_ref().filter(|_| self.state == State::Running) {
            engine.send(command);
        }
    }

    /// True if something is to be drawn.
    fn arrived(&mut self, arrival: Arrival) -> bool {
        if matches!(self.state, State::Failed { .. } | State::Outdated) {
            return false;
        }
        match arrival {
            Arrival::Loading { received, total } => self.state = State::Loading { received, total },
            Arrival::Outdated => self.state = State::Outdated,
            Arrival::LoadFailed(reason) => self.state = State::LoadFailed(reason),
            Arrival::Report(Report::Failed { now_us, reason }) => {
                self.state = State::Failed { now_us, reason }
            }
            Arrival::Report(_) if self.state != State::Running => {
                self.state = State::Running;
                self.begin();
            }
            Arrival::Report(Report::Traffic { now_us, flights, edges }) => self.pass(now_us, flights, edges),
            Arrival::Report(Report::View(view)) => self.show(*view),
        }
        true
    }

    /// The engine's first report says that it listens: it gets this page's world.
    fn begin(&mut self) {
        self.selected = None;
        self.hues = Rc::default();
        self.send(&Command::Start { seed: self.settings.seed });
        self.send(&Command::Speed(pace::speed(self.exponent)));
        self.send(if self.is_playing { &Command::Play } else { &Command::Pause });
    }

    fn pass(&mut self, now_us: u64, flights: Vec<FlightView>, edges: Vec<EdgeView>) {
        self.now_us = now_us;
        self.flights = Rc::new(flights);
        self.edges = Rc::new(edges);
    }

    fn show(&mut self, mut view: View) {
        let (flights, edges) = (take(&mut view.flights), take(&mut view.edges));
        self.pass(view.now_us, flights, edges);
        let mut hues = (*self.hues).clone();
        if hues.learn(&view) {
            self.hues = Rc::new(hues);
        }
        if !view.terminals.iter().any(|terminal| terminal.id == self.active)
            && let Some(first) = view.terminals.first()
        {
            self.active = first.id;
        }
        let is_same = View { now_us: self.view.now_us, ..view.clone() } == *self.view;
        if !is_same {
            self.view = Rc::new(view);
        }
    }
}
