//! The browser's side of the page: the worker, the address, the document.

pub mod address;
pub mod resize;
pub mod worker;
