//! Copying partitions from their leaders (KIP-101, 227, 279, 595): fetchers, and what leaders propose to the controller.
//!
//! A shard fetches its own partitions, one [`Fetcher`] for each broker that leads some of them: what comes is appended where it arrives.

pub mod alter_partition;
pub mod assign_directories;
pub mod fetcher;
mod session;
pub mod throttle;

pub use alter_partition::{AlterPartitions, AlteredIsr, IsrAnswer, IsrProposal};
pub use assign_directories::DirectoryAssignments;
pub use fetcher::{FetchPosition, Fetcher};
pub use throttle::Throttles;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests;
