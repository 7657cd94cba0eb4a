//! Three nodes with two log directories each, one of which fails (KIP-858): the others go on with what it led.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::DescribeLogDirsRequest;
use ottla_tests::peer::cluster::{Cluster, Quorum, Roles};
use ottla_tests::peer::{Kind, chosen};
use ottla_tests::program;

use crate::places::{Small, bring_back, take_away};
use crate::writer::{TOPIC, Writer, metadata_of};

const NODES: usize = 3;
const PARTITIONS: i32 = 4;
/// Node 1 leads the first two, which are in both of its directories.
const ASSIGNMENT: &str = "1:2:3,1:2:3,2:3:1,3:1:2";
const PATIENCE: Duration = Duration::from_secs(60);

/// Three nodes, each with its metadata in the directory `kept`, and another one.
struct Bench {
    cluster: Cluster,
    writer: Writer,
    place: PathBuf,
    /// The other one of the first node.
    lost: PathBuf,
    /// Partitions that the first node has there, and the rest.
    going: Vec<i32>,
    staying: Vec<i32>,
}

impl Bench {
    fn start(kind: Kind, name: &str, lost: Option<PathBuf>) -> Self {
        let place = std::env::temp_dir().join(format!("ottla-{name}-{kind:?}-{}", std::process::id()));
        let of = |id: usize, name: &str| place.join(id.to_string()).join(name);
        let lost = lost.unwrap_or_else(|| of(1, "other"));
        let directories: Vec<[String; 2]> = (1..=NODES)
            .map(|id| {
                fs::create_dir_all(place.join(id.to_string())).expect("a directory");
                let other = if id == 1 { lost.clone() } else { of(id, "other") };
                [of(id, "kept"), other].map(|path| path.display().to_string())
            })
            .collect();
        let dirs: Vec<String> = directories.iter().map(|both| both.join(",")).collect();
        let cluster = Cluster::start_with(&[kind; NODES], Roles::Both, Quorum::Static, |id| {
            vec![
                ("log.dirs", dirs[id - 1].as_str()),
                ("metadata.log.dir", directories[id - 1][0].as_str()),
                ("min.insync.replicas", "2"),
                ("log.segment.bytes", "1048576"),
                ("log.retention.ms", "-1"),
                ("auto.leader.rebalance.enable", "false"),
            ]
        });
        cluster.until_brokers_know_each_other();
        cluster.topics(&["--create", "--topic", TOPIC, "--replica-assignment", ASSIGNMENT]).ok();
        cluster.until_in_sync(TOPIC);
        let addresses: Vec<_> = (1..=NODES).map(|id| cluster.broker_address(id)).collect();
        let is_lost = |partition: &i32| lost.join(format!("{TOPIC}-{partition}")).exists();
        let (going, staying): (Vec<i32>, Vec<i32>) = (0..PARTITIONS).partition(is_lost);
        assert!(going[0] < 2 && staying[0] < 2, "node 1 leads in both: {going:?} {staying:?}");
        let mut writer = Writer::new(&addresses);
        if kind == Kind::Kafka {
            // Its leaders wait for `replica.lag.time.max.ms` for a replica whose directory is gone.
            writer.patience = PATIENCE;
        }
        let mut bench = Self { cluster, writer, place, lost, going, staying };
        bench.write(5);
        bench
    }

    fn write(&mut self, each: usize) {
        for _ in 0..each {
            (0..PARTITIONS).for_each(|partition| self.writer.write_at_last(partition));
        }
    }

    fn check(&mut self) {
        (0..PARTITIONS).for_each(|partition| self.writer.check(partition, 0));
    }

    /// Writes until node 1 has no part any more in what it had there, as the other nodes have heard; and in the rest as before.
    fn write_until_it_is_left_out(&mut self) {
        let began = Instant::now();
        loop {
            self.write(1);
            let is_out = |partition: &i32| {
                let told = |node| metadata_of(self.writer.client_of(node), *partition);
                [2, 3].into_iter().filter_map(told).all(|told| {
                    told.leader_id > 1 && !told.isr_nodes.contains(&1) && told.offline_replicas == [1]
                })
            };
            if self.going.iter().all(is_out) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "node 1 still has a part in {:?}", self.going);
        }
        for partition in &self.staying {
            let told = metadata_of(self.writer.client_of(2), *partition).expect("the partition");
            let leader: i32 =
                ASSIGNMENT.split(',').nth(*partition as usize).expect("it")[..1].parse().expect("an id");
            assert_eq!(
                (told.leader_id, told.offline_replicas, told.isr_nodes.len()),
                (leader, vec![], NODES)
            );
        }
    }

    /// The errors of the first node's directories, as it tells them.
    fn errors(&mut self) -> [Option<ErrorCode>; 2] {
        let request = DescribeLogDirsRequest { topics: None };
        let told = self.writer.client().ask(&request, 4).expect("DescribeLogDirs is answered");
        let [kept, lost] = [self.place.join("1/kept"), self.lost.clone()];
        [kept, lost].map(|path| {
            let found = told.results.iter().find(|result| Path::new(&*result.log_dir) == path);
            found.and_then(|found| ErrorCode::from_code(found.error_code))
        })
    }

    /// The directories with an error, as Apache Kafka's tool prints them.
    fn offline_by_tool(&self) -> Vec<String> {
        let arguments = ["--bootstrap-server", &self.cluster.brokers(), "--describe", "--topic-list", TOPIC];
        let said = program::run(program::java("org.apache.kafka.tools.LogDirsCommand", &arguments)).ok();
        // `{"brokers":[{"broker":1,"logDirs":[{"error":…,"logDir":"…",…`, in no order that is promised.
        let directories = said.split('{').filter(|object| object.contains("\"logDir\""));
        let broken = directories.filter(|object| object.contains("KafkaStorageException"));
        broken
            .filter_map(|object| Some(object.split("\"logDir\":\"").nth(1)?.split('"').next()?.to_owned()))
            .collect()
    }

    /// All replicas are in sync, and each is the same, byte by byte.
    fn end(mut self) {
        self.cluster.until_in_sync(TOPIC);
        self.write(2);
        self.check();
        (1..=NODES).for_each(|id| self.cluster.kill(id));
        for partition in 0..PARTITIONS {
            let logs: Vec<_> = (1..=NODES).map(|id| self.log(id, partition)).collect();
            assert!(
                !logs[0].is_empty() && logs.iter().all(|log| *log == logs[0]),
                "partition {partition}: the replicas differ"
            );
        }
        drop(self.cluster);
        fs::remove_dir_all(&self.place).expect("removed");
    }

    /// The records of a replica.
    fn log(&self, id: usize, partition: i32) -> Vec<u8> {
        let other = if id == 1 { self.lost.clone() } else { self.place.join(format!("{id}/other")) };
        let both = [self.place.join(format!("{id}/kept")), other];
        let found = both.map(|path| path.join(format!("{TOPIC}-{partition}")));
        let found = found.into_iter().find(|path| path.exists()).expect("a replica");
        let files = fs::read_dir(found).expect("it is read").map(|entry| entry.expect("an entry").path());
        let mut segments: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
        segments.sort();
        segments.iter().flat_map(|path| fs::read(path).expect("a segment")).collect()
    }
}

#[test]
fn a_directory_that_fails_is_left_to_the_other_nodes() {
    for kind in chosen() {
        let mut bench = Bench::start(kind, "left", None);
        take_away(&bench.lost);
        bench.write_until_it_is_left_out();
        assert_eq!(bench.errors(), [Some(ErrorCode::None), Some(ErrorCode::KafkaStorageError)]);
        assert_eq!(bench.offline_by_tool(), [bench.lost.display().to_string()]);
        bench.write(20);
        bench.check();

        println!("a start without it");
        assert!(bench.cluster.stop(1), "a clean stop");
        bench.cluster.restart(1);
        bench.cluster.until_brokers_know_each_other();
        bench.write(5);
        bench.check();
        assert_eq!(bench.offline_by_tool(), [bench.lost.display().to_string()]);

        println!("a start with it");
        // Apache Kafka's takes longer than it is given.
        assert!(bench.cluster.stop(1) || kind == Kind::Kafka, "a clean stop");
        bring_back(&bench.lost);
        bench.cluster.restart(1);
        bench.cluster.until_brokers_know_each_other();
        bench.end();
    }
}

#[test]
fn a_full_disk_is_left_to_the_other_nodes_until_there_is_room() {
    let Some(disk) = Small::mount("full-of-three") else { return };
    let mut bench = Bench::start(Kind::Ottla, "full", Some(disk.0.join("data")));
    disk.fill();
    bench.write_until_it_is_left_out();
    let [kept, _] = bench.errors();
    assert_eq!(kept, Some(ErrorCode::None));
    bench.write(5);
    bench.check();
    disk.free();
    bench.end();
}
