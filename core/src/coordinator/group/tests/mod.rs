//! Scenarios of groups, each told by its members over a virtual clock.

mod describing;
mod expiring;
mod harness;
mod joining;
mod leaving;
mod loading;
mod offsets;
mod random;
mod rebalancing;
mod records;
mod static_members;
