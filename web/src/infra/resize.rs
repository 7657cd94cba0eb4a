//! Elements that change their size.

use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{Element, ResizeObserver};
use yew::prelude::*;

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
