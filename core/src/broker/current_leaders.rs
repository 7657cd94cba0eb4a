//! Who leads instead: what a client is told with the refusal, so that it need not ask (KIP-951).

use ottla_protocol::{Str, Uuid};

use crate::metadata::MetadataImage;
use crate::small_map::SmallSet;

/// The leaders that one answer names.
#[derive(Clone, Debug, Default)]
pub struct CurrentLeaders {
    named: SmallSet<i32>,
}

impl CurrentLeaders {
    /// The leader of a partition and its epoch; the answer names it from now on.
    pub fn of(&mut self, image: &MetadataImage, topic_id: Uuid, partition: i32) -> Option<(i32, i32)> {
        let registration = image.partition(topic_id, partition)?;
        self.named.insert(registration.leader);
        Some((registration.leader, registration.leader_epoch))
    }

    /// Where those who are alive listen: (broker, host, port, rack).
    pub fn endpoints<'a>(
        &self,
        image: &'a MetadataImage,
        listener: &'a str,
    ) -> impl Iterator<Item = (i32, Str, i32, Option<Str>)> {
        self.named.iter().filter_map(move |id| {
            let broker = image.broker(*id).filter(|broker| !broker.fenced)?;
            let endpoint = broker.endpoint(listener)?;
            Some((*id, endpoint.host.clone(), i32::from(endpoint.port), broker.rack.clone()))
        })
    }
}
