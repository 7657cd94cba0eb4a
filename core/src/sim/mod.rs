//! Worlds from one seed: brokers, clients, network and disks on a virtual clock.
//!
//! Everything that happens is an event in one queue, ordered by (instant, number); every delay and every fault is drawn from the
//! world's generator. The same seed and inputs give the same [`World::trace_hash`] on every target, and a world can be cloned and
//! goes on the same way twice.

mod admin;
pub mod checkers;
pub mod cluster;
mod device;
pub mod disk;
mod history;
mod host;
pub mod mutation;
mod network;
pub mod one_log;
pub mod playground;
pub mod quorum;
pub mod scenario;
#[cfg(test)]
mod tests;
mod trouble;
pub mod workload;
pub mod world;

pub use device::Losses;
pub use disk::{Disk, DiskFile, DiskOp, SimDisk, Trouble};
pub use host::Host;
pub use network::Network;
pub use world::{ProcessId, Program, ProgramEvent, Tally, World, WorldConfig};
