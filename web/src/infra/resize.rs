//! Elements that change their size.

use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{Element, ResizeObserver};
use yew::prelude::*;

use super::address::window;

/// Calls `on_resize` with the element at `place` when it is shown and whenever its size changes.
#[hook]
pub fn use_resize(place: &NodeRef, on_resize: impl Fn(&Element) + 'static) {
    let place = place.clone();
    use_effect_with((), move |()| {
        let element = place.cast::<Element>();
        let measured = element.clone();
        let on_resize = Closure::<dyn FnMut()>::new(move || measured.iter().for_each(&on_resize));
        let observer = ResizeObserver::new(on_resize.as_ref().unchecked_ref()).ok();
        if let (Some(observer), Some(element)) = (&observer, &element) {
            observer.observe(element);
        }
        move || {
            if let Some(observer) = observer {
                observer.disconnect();
            }
            drop(on_resize);
        }
    });
}

/// The width of an element, followed as it changes.
#[hook]
pub fn use_width(place: &NodeRef) -> UseStateHandle<f64> {
    // Until it is known: that of the window.
    let width = use_state(|| window().inner_width().ok().and_then(|width| width.as_f64()).unwrap_or(640.0));
    let state = width.clone();
    use_resize(place, move |element| match element.client_width() {
        // A pane that is not shown has no width: it keeps the one that it had.
        0 => {}
        width => state.set(f64::from(width)),
    });
    width
}
