//! Kafka's clients without IO: producer, consumer and admin client as machines over links that a shell opens for them.
//!
//! [`Network`] owns the links: it opens one for each broker when there is something to say, asks it for its API versions
//! first, and matches responses to requests. [`Session`] adds what is known of the cluster. Everything above it is told of
//! answers and asks for more.

pub mod assignor;
pub mod cluster;
pub mod consumer;
pub mod membership;
pub mod partitioner;
pub mod producer;
pub mod session;

pub use crate::network::{Failure, Lane, LinkEffect, LinkEvent, LinkId, Network, Reply, RequestId, Target};
pub use cluster::Cluster;
pub use consumer::{AutoOffsetReset, Consumer, ConsumerConfig, ConsumerEvent, ConsumerRecord};
pub use membership::{MembershipConfig, assigned_partitions};
pub use producer::{
    Delivery, DeliveryError, Producer, ProducerConfig, ProducerRecord, RecordId, RecordMetadata,
};
pub use session::{Destination, Session, SessionConfig, Topics};
