//! Ottla's no-IO core.

pub mod record;
