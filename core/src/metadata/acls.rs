//! Access control entries (KIP-801).

use ottla_protocol::records::metadata::AccessControlEntryRecord;
use ottla_protocol::{Str, Uuid};
use rpds::RedBlackTreeMapSync;

/// One access control entry; numbers are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// `ResourceType`.
    pub resource_type: i8,
    /// Name or prefix.
    pub resource_name: Str,
    /// `PatternType`: 3 literal, 4 prefixed.
    pub pattern_type: i8,
    /// `User:…`.
    pub principal: Str,
    /// An address, or `*`.
    pub host: Str,
    /// `AclOperation`.
    pub operation: i8,
    /// 2 deny, 3 allow.
    pub permission_type: i8,
}

impl Acl {
    /// As a record states it.
    pub fn from_record(record: &AccessControlEntryRecord) -> Self {
        Self {
            resource_type: record.resource_type,
            resource_name: record.resource_name.detached(),
            pattern_type: record.pattern_type,
            principal: record.principal.detached(),
            host: record.host.detached(),
            operation: record.operation,
            permission_type: record.permission_type,
        }
    }

    /// As a record.
    pub fn to_record(&self, id: Uuid) -> AccessControlEntryRecord {
        AccessControlEntryRecord {
            id,
            resource_type: self.resource_type,
            resource_name: self.resource_name.clone(),
            pattern_type: self.pattern_type,
            principal: self.principal.clone(),
            host: self.host.clone(),
            operation: self.operation,
            permission_type: self.permission_type,
        }
    }
}

/// All entries by id.
pub type AclsImage = RedBlackTreeMapSync<Uuid, Acl>;
