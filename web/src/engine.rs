//! The worker: one world, its clock, and what the page is told.

use std::cell::{Cell, RefCell};
use std::mem::take;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

use crate::link::{Command, Report, decode, encode};
use crate::pace::Debt;
use crate::playground::{Playground, View};

const TICK_MS: i32 = 16;
/// How much of a tick the world may use, so that commands and reports keep flowing at any speed.
const WORK_MS_MAX: f64 = 10.0;
/// The world runs in this many slices per tick, between which the clock on the wall is looked at.
const SLICES: u64 = 16;

thread_local! {
    static NOW_US: Cell<u64> = const { Cell::new(0) };
}

/// Runs the engine in the worker's global scope; returns at once, the scope's events do the rest.
pub fn run() {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    report_panics(&scope);
    let engine = Rc::new(RefCell::new(Engine::new(scope.clone(), 0)));

    let on_message = {
        let engine = engine.clone();
        Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let frame = js_sys::Uint8Array::new(&event.data()).to_vec();
            // A page built from other types learns it from the first report, which it cannot read either.
            if let Ok(command) = decode(&frame) {
                engine.borrow_mut().handle(command);
            }
        })
    };
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();

    let on_tick = {
        let engine = engine.clone();
        Closure::<dyn FnMut()>::new(move || engine.borrow_mut().tick())
    };
    let started = scope
        .set_interval_with_callback_and_timeout_and_arguments_0(on_tick.as_ref().unchecked_ref(), TICK_MS);
    on_tick.forget();
    if started.is_ok() {
        engine.borrow_mut().report();
    }
}

struct Engine {
    scope: DedicatedWorkerGlobalScope,
    world: Playground,
    is_playing: bool,
    speed: f64,
    debt: Debt,
    ticked_at_ms: f64,
    ticks: u32,
    is_dirty: bool,
    reported: Option<View>,
}

impl Engine {
    fn new(scope: DedicatedWorkerGlobalScope, seed: u64) -> Self {
        let ticked_at_ms = wall_ms(&scope);
        Self {
            world: Playground::new(seed),
            scope,
            is_playing: false,
            speed: 1.0,
            debt: Debt::default(),
            ticked_at_ms,
            ticks: 0,
            is_dirty: true,
            reported: None,
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Start { seed } => {
                self.world = Playground::new(seed);
                self.debt.forgive();
                self.reported = None;
            }
            Command::Input(input) => self.world.input(input),
            Command::Play => {
                self.is_playing = true;
                self.ticked_at_ms = wall_ms(&self.scope);
            }
            Command::Pause => self.is_playing = false,
            Command::Step => {
                if let Some(at_us) = self.world.next_event_at() {
                    self.world.step(at_us);
                }
            }
            Command::Speed(speed) => self.speed = speed,
        }
        self.is_dirty = true;
    }

    fn tick(&mut self) {
        let now_ms = wall_ms(&self.scope);
        if self.is_playing {
            let owed_us = self.debt.accrue(now_ms - self.ticked_at_ms, self.speed);
            self.advance(owed_us, now_ms + WORK_MS_MAX);
        }
        self.ticked_at_ms = now_ms;
        self.ticks = self.ticks.wrapping_add(1);
        NOW_US.set(self.world.now_us());
        if self.is_dirty || (self.is_playing && self.ticks.is_multiple_of(2)) {
            self.report();
        }
    }

    fn advance(&mut self, owed_us: u64, deadline_ms: f64) {
        let target_us = self.world.now_us() + owed_us;
        let slice_us = (owed_us / SLICES).max(1);
        while self.world.now_us() < target_us {
            self.world.advance((self.world.now_us() + slice_us).min(target_us));
            if wall_ms(&self.scope) > deadline_ms {
                self.debt.forgive();
                break;
            }
        }
    }

    fn report(&mut self) {
        self.is_dirty = false;
        let mut view = self.world.view();
        let (now_us, flights, edges) = (view.now_us, take(&mut view.flights), take(&mut view.edges));
        let is_same = self.reported.as_mut().is_some_and(|reported| {
            reported.now_us = now_us;
            *reported == view
        });
        if is_same {
            post(&self.scope, &Report::Traffic { now_us, flights, edges });
        } else {
            self.reported = Some(view.clone());
            post(&self.scope, &Report::View(Box::new(View { flights, edges, ..view })));
        }
    }
}

fn wall_ms(scope: &DedicatedWorkerGlobalScope) -> f64 {
    scope.performance().map_or(0.0, |performance| performance.now())
}

fn post(scope: &DedicatedWorkerGlobalScope, report: &Report) {
    let bytes = js_sys::Uint8Array::from(encode(report).as_slice());
    let buffer = bytes.buffer();
    // A refused message means that the worker is being ended.
    let _ = scope.post_message_with_transfer(&buffer, &js_sys::Array::of1(&buffer));
}

/// A broken rule ends the world; the page says so instead of standing still.
fn report_panics(scope: &DedicatedWorkerGlobalScope) {
    let scope = scope.clone();
    std::panic::set_hook(Box::new(move |panic| {
        post(&scope, &Report::Failed { now_us: NOW_US.get(), reason: panic.to_string() });
    }));
}
