//! Scenarios of groups, each told by its members over a virtual clock.

mod harness;
mod joining;
