//! A node in this process, and a client that says exactly what it is told to.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_core::config::{BrokerConfig, Origin, Setting};
use ottla_core::record::compression::Compressors;
use ottla_core::record::{BatchBuilder, BatchOptions, batches};
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::{Decoder, Encoder, Message, Piece, Records, Request, ResponseHeader, encode_request};
use ottla_server::compressors::compressors;
use ottla_server::dispatcher::Dispatcher;
use ottla_server::driver::{Clock, Driver, Surroundings};
use ottla_server::http::{self, Web};
use ottla_server::kafka_listener::{KafkaListener, Limits, Stops};
use ottla_server::memory::Memory;
use ottla_server::store::Durable;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A running node.
pub struct Running<S: Durable> {
    pub driver: Arc<Driver<S>>,
    pub dispatcher: Dispatcher,
    pub port: u16,
    stop: watch::Sender<bool>,
}

/// Starts a node with its data in `directory`, and a few settings over those of a single node.
pub async fn start<S: Durable>(store: S, directory: &str, settings: &[(&str, &str)]) -> Running<S> {
    let fixed = [("listeners", "PLAINTEXT://127.0.0.1:0"), ("log.dirs", directory)];
    let setting = |(key, value): &(&str, &str)| {
        ((*key).to_owned(), Setting { value: (*value).to_owned(), origin: Origin::Override })
    };
    let mut config =
        BrokerConfig::resolve(fixed.iter().chain(settings).map(setting), true).expect("settings").config;
    let listener = KafkaListener::bind(&config.listeners[0], &config).await.expect("bound");
    let port = listener.address().expect("address").port();
    config.advertised_listeners[0].port = port;
    let config = Arc::new(config);
    let runtime = tokio::runtime::Handle::current();
    let dispatcher = Dispatcher::start(runtime.clone()).expect("thread");
    let around = Surroundings {
        store,
        compressors: compressors(),
        clock: Clock::start(),
        dispatcher: dispatcher.clone(),
        runtime,
        halt: Box::new(|reason| panic!("halted: {reason}")),
        seed: 1,
    };
    let driver = Driver::open(Arc::clone(&config), around).expect("opened");
    let (stop, stopped) = watch::channel(false);
    let limits = Limits::new(&config).await;
    let stops = Stops { listener: stopped.clone(), connections: stopped };
    tokio::spawn(listener.serve(Arc::clone(&driver) as _, limits, dispatcher.clone(), stops));
    Running { driver, dispatcher, port, stop }
}

impl<S: Durable> Running<S> {
    pub async fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("connected");
        Client { stream, correlation_id: 0 }
    }

    /// Serves HTTP beside Kafka's protocol; where.
    pub async fn serve_http(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let web = Web {
            service: Arc::clone(&self.driver) as _,
            watched: Arc::clone(&self.driver) as _,
            metered: Arc::clone(&self.driver) as _,
            node_id: 1,
            listener: "PLAINTEXT".into(),
            request_bytes_max: 1_000_000,
            own_names: [].into(),
            dispatcher: self.dispatcher.clone(),
            memory: Memory::new(-1),
        };
        tokio::spawn(http::serve(listener, web, std::future::pending()));
        address
    }

    /// A clean stop.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.driver.stop().await;
        self.dispatcher.end();
    }

    /// What a killed process leaves: nothing flushed, nothing written any more.
    pub fn kill(self) {
        self.stop.send_replace(true);
        self.dispatcher.end();
    }
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    /// Sends a request and reads its response.
    pub async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request).await;
        self.receive::<R>(version).await
    }

    pub async fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation_id += 1;
        let mut encoder = Encoder::new();
        encode_request(&mut encoder, version, self.correlation_id, Some("test".into()), request)
            .expect("encodes");
        for piece in encoder.into_pieces() {
            let Piece::Bytes(bytes) = piece else { panic!("a request without slices") };
            self.stream.write_all(&bytes).await.expect("written");
        }
    }

    pub async fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let len = self.stream.read_u32().await.expect("a response");
        let mut frame = BytesMut::zeroed(usize::try_from(len).expect("fits"));
        self.stream.read_exact(&mut frame).await.expect("a whole response");
        let mut decoder = Decoder::new(frame.freeze());
        let header_version = R::API_KEY.response_header_version(version);
        ResponseHeader::decode(&mut decoder, header_version).expect("a header");
        R::Response::decode(&mut decoder, version).expect("a body")
    }

    /// Creates a topic and waits until its partitions can be produced to.
    pub async fn create_topic(&mut self, name: &str, partitions: i32) {
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5_000, ..Default::default() };
        let response = self.call(7, &request).await;
        assert_eq!(response.topics[0].error_code, 0, "{response:?}");
    }

    /// Produces one record; the offset it got, or the error code.
    pub async fn produce(&mut self, topic: &str, partition: i32, value: &[u8]) -> Result<i64, i16> {
        let response = self.call(9, &produce_request(topic, partition, value)).await;
        let answer = &response.responses[0].partition_responses[0];
        if answer.error_code == 0 { Ok(answer.base_offset) } else { Err(answer.error_code) }
    }
}

/// One record for one partition, with acks=all.
pub fn produce_request(topic: &str, partition: i32, value: &[u8]) -> ProduceRequest {
    let mut batch = BatchBuilder::new(BatchOptions::default());
    batch.append(1_000, None, Some(value), &[]);
    let records: Bytes = batch.build(&Compressors::default());
    let partition_data = vec![PartitionProduceData { index: partition, records: Records::Bytes(records) }];
    ProduceRequest {
        acks: -1,
        timeout_ms: 5_000,
        topic_data: vec![TopicProduceData { name: topic.into(), partition_data, ..Default::default() }],
        ..ProduceRequest::default()
    }
}

/// The values in a run of batches.
pub fn values(records: &Bytes, compressors: &Compressors) -> Vec<Vec<u8>> {
    let batches = batches(records).map(|batch| batch.expect("a batch"));
    let records = batches.flat_map(|batch| batch.records(compressors).expect("records").collect::<Vec<_>>());
    records.map(|record| record.expect("a record").value.expect("a value").to_vec()).collect()
}
