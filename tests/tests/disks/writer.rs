//! A producer that knows what was acknowledged.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::MetadataRequest;
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::metadata_response::MetadataResponsePartition;
use ottla_tests::batch::Batch;
use ottla_tests::load::Client;

pub const TOPIC: &str = "disks";
const VALUE_BYTES: usize = 60_000;

/// Writes numbered records with acks=all, one a batch, and remembers what was acknowledged.
pub struct Writer {
    /// Of the nodes from 1 on.
    clients: Vec<Client>,
    /// The node that was last told to lead a partition; the first if none was.
    leaders: BTreeMap<i32, usize>,
    producer: (i64, i16),
    sent: BTreeMap<i32, i32>,
    pub acknowledged: BTreeMap<i32, BTreeMap<i64, i32>>,
    /// How long a record may be refused.
    pub patience: Duration,
}

impl Writer {
    pub fn new(nodes: &[SocketAddr]) -> Self {
        let mut clients: Vec<Client> = nodes.iter().map(|node| Client::new(*node)).collect();
        let producer = clients[0].producer_id();
        let (leaders, sent, acknowledged) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { clients, leaders, producer, sent, acknowledged, patience: Duration::from_secs(30) }
    }

    /// Of the first node.
    pub fn client(&mut self) -> &mut Client {
        self.client_of(1)
    }

    pub fn client_of(&mut self, node: usize) -> &mut Client {
        &mut self.clients[node - 1]
    }

    fn leader(&mut self, partition: i32) -> &mut Client {
        let node = self.leaders.get(&partition).copied().unwrap_or(1);
        self.client_of(node)
    }

    /// One record; sent again with the same number if it was refused.
    pub fn write(&mut self, partition: i32) -> Result<(), ErrorCode> {
        let number = self.sent.get(&partition).copied().unwrap_or(0);
        let mut value = vec![b'.'; VALUE_BYTES];
        value[..8].copy_from_slice(format!("{number:08}").as_bytes());
        let batch = Batch { records: vec![(None, Some(Bytes::from(value)))], ..Batch::default() };
        let batch = batch.sequenced(self.producer.0, self.producer.1, number).encode();
        // The first answer after a restart is that the connection is gone.
        let produce = |client: &mut Client| client.try_produce(TOPIC, partition, &batch).ok();
        let offset = self.leader(partition).until("an answer", produce)?;
        self.sent.insert(partition, number + 1);
        self.acknowledged.entry(partition).or_default().insert(offset, number);
        Ok(())
    }

    /// Until it is taken, by whoever leads.
    pub fn write_at_last(&mut self, partition: i32) {
        let began = Instant::now();
        while let Err(error) = self.write(partition) {
            assert!(began.elapsed() < self.patience, "partition {partition}: still {error:?}");
            thread::sleep(Duration::from_millis(20));
            self.look(partition);
        }
    }

    /// Asks a node who leads.
    fn look(&mut self, partition: i32) {
        let told = self.clients.iter_mut().find_map(|client| metadata_of(client, partition));
        if let Some(leader) = told.and_then(|told| usize::try_from(told.leader_id).ok()) {
            self.leaders.insert(partition, leader);
        }
    }

    /// Everything acknowledged is there, from `log_start_offset` on, once and in order.
    pub fn check(&mut self, partition: i32, log_start_offset: i64) {
        let found = self.leader(partition).read_from(TOPIC, partition, log_start_offset);
        let found = found.iter().map(|record| {
            let text = std::str::from_utf8(&record.value.as_ref().expect("a value")[..8]).expect("digits");
            (record.offset, text.parse().expect("a number"))
        });
        let found: Vec<(i64, i32)> = found.collect();
        let acknowledged = self.acknowledged.get(&partition).into_iter().flatten();
        let expected: Vec<(i64, i32)> = acknowledged
            .map(|(offset, number)| (*offset, *number))
            .filter(|(at, _)| *at >= log_start_offset)
            .collect();
        assert_eq!(found, expected, "partition {partition}");
    }
}

/// What the metadata says of a partition.
pub fn metadata_of(client: &mut Client, partition: i32) -> Option<MetadataResponsePartition> {
    let topic = MetadataRequestTopic { name: Some(TOPIC.into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let metadata = client.ask(&request, 12).ok()?;
    metadata.topics.first()?.partitions.iter().find(|found| found.partition_index == partition).cloned()
}
