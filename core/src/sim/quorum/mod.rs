//! Quorums of replicas from one seed: elections, replication, snapshots and changes of the voters, under faults.
//!
//! [`World`] runs up to seven replicas of [`crate::quorum::raft`] on simulated disks, each with a clock of its own, over a network
//! that delays, drops, repeats and reorders whole messages, encoded at versions that both sides know. [`Scenario`] befalls them, and
//! [`Checkers`] hold what a quorum promises. A run ends with everything healed: then all must agree, and soon.

mod checkers;
mod ledger;
mod network;
mod node;
mod scenario;
#[cfg(test)]
mod tests;
mod world;

pub use checkers::{Checker, Checkers};
pub use scenario::{Fault, Report, Scenario, run};
pub use world::{Counts, World};
