//! Client quotas (KIP-546).

use std::collections::BTreeMap;

use ottla_protocol::Str;
use rpds::RedBlackTreeMapSync;

/// Whom a quota is for: kinds (`user`, `client-id`, `ip`) with names; `None` is the default of that kind.
pub type QuotaEntity = BTreeMap<Str, Option<Str>>;

/// All client quotas. An entity without any is not in the map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientQuotasImage {
    /// Limits by key (`producer_byte_rate`, …) by entity.
    pub entities: RedBlackTreeMapSync<QuotaEntity, RedBlackTreeMapSync<Str, f64>>,
}

impl ClientQuotasImage {
    pub(super) fn set(&mut self, entity: QuotaEntity, key: Str, value: Option<f64>) {
        let mut quotas = self.entities.get(&entity).cloned().unwrap_or_default();
        match value {
            Some(value) => quotas.insert_mut(key, value),
            None => _ = quotas.remove_mut(&key),
        }
        if quotas.is_empty() {
            self.entities.remove_mut(&entity);
        } else {
            self.entities.insert_mut(entity, quotas);
        }
    }
}
