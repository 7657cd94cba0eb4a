//! A metadata directory of ours in the hands of Apache Kafka: its dump tool reads every record, and its broker opens it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_core::broker::RequestContext;
use ottla_core::config::{BrokerConfig, Origin, Setting};
use ottla_core::controller::{self, ControllerEvent, ControllerRequest};
use ottla_core::coordinator::Token;
use ottla_core::ids::ConnectionId;
use ottla_core::log::{LogStore, MemoryStore};
use ottla_core::machine::{Cx, Effect, Effects, Machine as _, SyncOutcome};
use ottla_core::record::Compressors;
use ottla_core::rng::Rng;
use ottla_core::time::Now;
use ottla_core::trace::Traces;
use ottla_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_tests::program::{java, run};

/// A node's directory after two lives, topics and a snapshot.
fn write_directory() -> PathBuf {
    let setting = |value: &str| Setting { value: value.to_owned(), origin: Origin::Override };
    let settings = [("metadata.log.max.record.bytes.between.snapshots".to_owned(), setting("3000"))];
    let config = Arc::new(BrokerConfig::resolve(settings, true).expect("they are valid").config);
    let mut store = MemoryStore::new();
    for life in 0..2 {
        let (mut effects, mut traces) = (Effects::default(), Traces::default());
        let compressors = Compressors::default();
        let now = Now { wall: 1_760_000_000_000, ..Now::default() };
        let mut cx = Cx {
            now,
            store: &mut store,
            compressors: &compressors,
            effects: &mut effects,
            traces: &mut traces,
        };
        let (mut controller, _) = controller::open(&mut cx, &config, Rng::from_seed(7)).expect("it opens");
        for topic in 0..20 {
            let topics = vec![CreatableTopic {
                name: format!("topic-{life}-{topic}").into(),
                num_partitions: 3,
                replication_factor: 1,
                configs: vec![CreatableTopicConfig {
                    name: "retention.ms".into(),
                    value: Some("1000".into()),
                }],
                ..CreatableTopic::default()
            }];
            let request =
                ControllerRequest::CreateTopics(CreateTopicsRequest { topics, ..Default::default() });
            let token = Token { connection: ConnectionId(1), request: 1 };
            let context = RequestContext::anonymous("PLAINTEXT", "/127.0.0.1");
            controller.handle(&mut cx, ControllerEvent::Request { token, context, request, version: None });
            loop {
                let syncs: Vec<u64> = cx
                    .effects
                    .drain()
                    .filter_map(|effect| match effect {
                        Effect::Sync { then, .. } => Some(then.token),
                        _ => None,
                    })
                    .collect();
                if syncs.is_empty() {
                    break;
                }
                for token in syncs {
                    controller.handle(&mut cx, ControllerEvent::Synced { token, outcome: SyncOutcome::Done });
                }
            }
        }
    }
    static DIRECTORIES: AtomicU32 = AtomicU32::new(0);
    let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("ottla-metadata-{}-{number}", std::process::id()));
    copy(&mut store, "./data", &directory);
    directory
}

fn copy(store: &mut MemoryStore, from: &str, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in store.list(from).expect("its entries") {
        let (from, to) = (format!("{from}/{}", entry.name), to.join(&entry.name));
        if entry.is_dir {
            copy(store, &from, &to);
        } else {
            fs::write(to, store.read(&from).expect("its bytes")).expect("it is written");
        }
    }
}

#[test]
fn kafkas_tool_reads_every_record() {
    let directory = write_directory();
    let metadata = directory.join("__cluster_metadata-0");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&metadata).expect("it is there").map(|one| one.expect("an entry").path()).collect();
    files.push(directory.join("bootstrap.checkpoint"));
    files.sort();
    let mut topics = 0;
    let mut snapshots = 0;
    for file in files {
        let name = file.to_string_lossy().into_owned();
        if !name.ends_with(".log") && !name.ends_with(".checkpoint") {
            continue;
        }
        let arguments = ["--cluster-metadata-decoder", "--files", &name];
        let dump = run(java("org.apache.kafka.tools.DumpLogSegments", &arguments)).ok();
        assert!(!dump.contains("isvalid: false") && !dump.contains("Could not"), "{name}: {dump}");
        if name.ends_with(".log") {
            topics = dump.matches("\"TOPIC_RECORD\"").count();
            assert_eq!(dump.matches("LeaderChange").count(), 2, "{dump}");
            assert!(dump.contains("KRaftVoters") && dump.contains("BEGIN_TRANSACTION_RECORD"), "{dump}");
        } else {
            snapshots += 1;
            assert!(dump.contains("SnapshotHeader") && dump.contains("SnapshotFooter"), "{dump}");
        }
    }
    assert_eq!(topics, 40);
    assert!(snapshots >= 3, "bootstrap, and two of the log");
    fs::remove_dir_all(directory).expect("it goes");
}

#[test]
fn kafkas_broker_opens_it() {
    let directory = write_directory();
    let port =
        || TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let (clients, quorum) = (port(), port());
    let properties = directory.join("server.properties");
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\nlog.dirs={}\ncontroller.listener.names=CONTROLLER\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{quorum}\n\
         listeners=PLAINTEXT://127.0.0.1:{clients},CONTROLLER://127.0.0.1:{quorum}\n",
        directory.display()
    );
    fs::write(&properties, text).expect("it is written");
    let output = directory.join("server.out");
    let log = fs::File::create(&output).expect("a file");
    let mut kafka = java("kafka.Kafka", &[&properties.to_string_lossy()]);
    kafka.stdout(log.try_clone().expect("its twin")).stderr(log).stdin(Stdio::null());
    let mut kafka = kafka.spawn().expect("a JVM");
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", clients)).is_err() {
        let words = || fs::read_to_string(&output).unwrap_or_default();
        assert_eq!(kafka.try_wait().expect("its state"), None, "{}", words());
        assert!(started.elapsed() < Duration::from_secs(60), "{}", words());
        thread::sleep(Duration::from_millis(200));
    }
    let bootstrap = format!("127.0.0.1:{clients}");
    let ask = ["--bootstrap-server", bootstrap.as_str(), "--describe", "--topic", "topic-1-7"];
    let described = run(java("org.apache.kafka.tools.TopicCommand", &ask));
    let ask = ["--bootstrap-server", bootstrap.as_str(), "--list"];
    let listed = run(java("org.apache.kafka.tools.TopicCommand", &ask));
    kafka.kill().expect("it ends");
    kafka.wait().expect("it ended");
    let described = described.ok();
    assert!(
        described.contains("PartitionCount: 3") && described.contains("retention.ms=1000"),
        "{described}"
    );
    assert!(described.contains("Leader: 1") && !described.contains("Leader: none"), "{described}");
    assert_eq!(listed.ok().lines().filter(|line| line.starts_with("topic-")).count(), 40);
    fs::remove_dir_all(directory).expect("it goes");
}
