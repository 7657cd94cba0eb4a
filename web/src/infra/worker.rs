//! The engine's worker, seen from the page.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};
use yew::Callback;

use ottla_core::feed::FrameError;

use crate::link::{Command, Report, decode, encode};

/// What comes from the worker: reports, and before them the progress of its loading.
#[derive(Clone, PartialEq, Debug)]
pub enum Arrival {
    /// Bytes of the engine that have arrived; the total where the server told it.
    Loading {
        received: u64,
        total: Option<u64>,
    },
    Report(Report),
    /// The engine was built from other types than this page.
    Outdated,
    LoadFailed(String),
}

/// A running worker; dropping it ends it.
#[derive(Debug)]
pub struct Engine {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

impl Engine {
    /// Starts the script at `url`, relative to the page.
    pub fn start(url: &str, arrivals: Callback<Arrival>) -> Result<Self, JsValue> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(url, &options)?;
        let on_message = {
            let arrivals = arrivals.clone();
            Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
                arrivals.emit(arrival(&event.data()));
            })
        };
        let on_error = Closure::<dyn FnMut(ErrorEvent)>::new(move |event: ErrorEvent| {
            event.prevent_default();
            arrivals.emit(Arrival::LoadFailed(event.message()));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { worker, _on_message: on_message, _on_error: on_error })
    }

    pub fn send(&self, command: &Command) {
        // A worker that is gone has said so through its error event.
        let _ = self.worker.post_message(&Uint8Array::from(encode(command).as_slice()));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// Reports come as buffers; the few lines of script that load the engine send `[received, total]` and error texts.
fn arrival(data: &JsValue) -> Arrival {
    if let Some(progress) = data.dyn_ref::<Array>() {
        let number =
            |index| progress.get(index).as_f64().filter(|number| *number > 0.0).map(|number| number as u64);
        return Arrival::Loading { received: number(0).unwrap_or(0), total: number(1) };
    }
    if let Some(text) = data.as_string() {
        return Arrival::LoadFailed(text);
    }
    match decode(&Uint8Array::new(data).to_vec()) {
        Ok(report) => Arrival::Report(report),
        Err(FrameError::Schema | FrameError::Malformed) => Arrival::Outdated,
    }
}
