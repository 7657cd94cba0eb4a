//! Ottla's no-IO core.
