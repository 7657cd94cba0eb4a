//! The cluster as clients of one listener see it.

use ottla_protocol::Str;

use crate::metadata::topics::DIRECTORY_LOST;
use crate::metadata::{Endpoint, MetadataImage, PartitionRegistration};
use crate::network::Target;

/// Groups and their offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Topics that clients do not write to.
const INTERNAL_TOPICS: [&str; 3] = [OFFSETS_TOPIC, "__transaction_state", "__share_group_state"];

/// Whether a topic belongs to the brokers.
pub fn is_internal(topic: &str) -> bool {
    INTERNAL_TOPICS.contains(&topic)
}

/// Where clients of a listener find a broker that is alive.
pub fn endpoint(image: &MetadataImage, broker: i32, listener: &str) -> Option<(Str, i32)> {
    let endpoint = registered(image, broker, listener)?;
    Some((endpoint.host.clone(), i32::from(endpoint.port)))
}

/// The same, where clients need neither TLS nor SASL.
pub fn plain_endpoint(image: &MetadataImage, broker: i32, listener: &str) -> Option<Target> {
    let endpoint = registered(image, broker, listener).filter(|endpoint| endpoint.security_protocol == 0)?;
    Some(Target { host: endpoint.host.clone(), port: endpoint.port })
}

fn registered<'a>(image: &'a MetadataImage, broker: i32, listener: &str) -> Option<&'a Endpoint> {
    image.broker(broker).filter(|broker| !broker.fenced)?.endpoint(listener)
}

/// The broker that clients are told is the controller: any that is alive, for it forwards (KIP-590).
pub fn controller_id(image: &MetadataImage) -> i32 {
    image.unfenced_brokers().next().map_or(-1, |broker| broker.id)
}

/// Replicas that do not serve: their broker is fenced or their log directory is lost.
pub fn offline_replicas(image: &MetadataImage, partition: &PartitionRegistration) -> Vec<i32> {
    let is_offline = |id: &i32| {
        let Some(broker) = image.broker(*id).filter(|broker| !broker.fenced) else { return true };
        let is_elsewhere =
            |its| !broker.directories.is_empty() && broker.directories.binary_search(&its).is_err();
        partition.directory(*id) == Some(DIRECTORY_LOST)
            || partition.directory_of(*id).is_some_and(is_elsewhere)
    };
    partition.replicas.iter().copied().filter(|id| is_offline(id)).collect()
}

#[cfg(test)]
mod tests {
    use ottla_protocol::records::metadata::RegisterBrokerRecord;
    use ottla_protocol::records::metadata::register_broker_record::BrokerEndpoint;

    use super::*;

    #[test]
    fn where_a_tunnel_may_lead() {
        let mut image = MetadataImage::empty("c");
        for (broker_id, fenced) in [(1, false), (2, true)] {
            let listeners = [("PLAINTEXT", 0), ("TLS", 1), ("SASL", 2)];
            let endpoint = |(name, security_protocol): (&str, i16)| BrokerEndpoint {
                name: name.into(),
                host: format!("node-{broker_id}").into(),
                port: 9092,
                security_protocol,
            };
            let end_points = listeners.map(endpoint).into();
            image
                .replay(&RegisterBrokerRecord { broker_id, fenced, end_points, ..Default::default() }.into())
                .expect("a broker");
        }
        let there = Some(Target { host: "node-1".into(), port: 9092 });
        assert_eq!(plain_endpoint(&image, 1, "PLAINTEXT"), there);
        for (broker, listener) in [
            (1, "TLS"),
            (1, "SASL"),
            (1, "CONTROLLER"),
            (1, ""),
            (2, "PLAINTEXT"),
            (3, "PLAINTEXT"),
            (-1, "PLAINTEXT"),
        ] {
            assert_eq!(plain_endpoint(&image, broker, listener), None, "{broker} {listener}");
        }
    }
}
