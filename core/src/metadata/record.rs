//! The version at which each record of `__cluster_metadata` is written.

use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::BrokerRegistrationChangeRecord;
use ottla_protocol::{Bytes, EncodeError};

use super::MetadataVersion;

/// The value of a record, its type at the version that `metadata_version` asks for.
pub fn encode(record: &MetadataRecord, metadata_version: MetadataVersion) -> Result<Bytes, EncodeError> {
    record.encode(version_of(record, metadata_version))
}

fn version_of(record: &MetadataRecord, metadata_version: MetadataVersion) -> i16 {
    match record {
        MetadataRecord::RegisterBroker(_) => metadata_version.register_broker_record(),
        MetadataRecord::BrokerRegistrationChange(change) => broker_registration_change(change),
        MetadataRecord::Partition(_) | MetadataRecord::PartitionChange(_) => {
            metadata_version.partition_record()
        }
        _ => 0,
    }
}

/// The lowest version that can say it, as Kafka does: the change itself was allowed by `metadata.version` or not.
fn broker_registration_change(change: &BrokerRegistrationChangeRecord) -> i16 {
    if change.cordoned_log_dirs.is_some() {
        3
    } else if !change.log_dirs.is_empty() {
        2
    } else {
        i16::from(change.in_controlled_shutdown != 0)
    }
}

/// Kafka's name of a record's type, for messages.
pub fn name(record: &MetadataRecord) -> &'static str {
    MetadataRecord::spec(record.type_id()).map_or("metadata record", |spec| spec.name)
}
