//! Producers that run beside what is done to a cluster, and when their records were acknowledged.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ottla_tests::program::java;

/// Records of each producer in a second.
const RATE: u32 = 200;
/// kcat waits for so many bytes of its input.
const KCAT_READS: usize = 1024;

/// A client program that writes to a topic.
#[derive(Debug)]
pub struct Producer {
    pub name: &'static str,
    child: Child,
    acknowledged: Arc<Mutex<Vec<(Instant, i32)>>>,
    /// The Java client ends with its input.
    input: Option<ChildStdin>,
}

impl Producer {
    /// Apache Kafka's Java client, with the settings that it comes with.
    pub fn java(brokers: &str, topic: &str, partitions: i32) -> Self {
        let (partitions, rate) = (partitions.to_string(), RATE.to_string());
        let arguments = [brokers, topic, &partitions, &rate];
        let mut java = java("tests/bench/Acknowledged.java", &arguments);
        let mut child =
            java.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("java");
        let (input, said) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let acknowledged = listen(BufReader::new(said), |line| line.parse().ok());
        Self { name: "Java", child, acknowledged, input }
    }

    /// librdkafka, by kcat. It asks for acknowledgements whenever it has read a line.
    pub fn librdkafka(brokers: &str, topic: &str) -> Self {
        let mut kcat = Command::new("kcat");
        kcat.args(["-b", brokers, "-P", "-E", "-t", topic, "-X", "acks=all", "-vvv"]);
        let mut child =
            kcat.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("kcat");
        let (mut input, said) = (child.stdin.take().expect("piped"), child.stderr.take().expect("piped"));
        // "% Message delivered to partition 0 (offset 12) on broker 1"
        let acknowledged = listen(BufReader::new(said), |line| {
            line.split_once("delivered to partition ")?.1.split(' ').next()?.parse().ok()
        });
        thread::spawn(move || {
            for number in 0_u64.. {
                if writeln!(input, "{number:0width$}", width = KCAT_READS - 1).is_err() {
                    return;
                }
                thread::sleep(Duration::from_secs(1) / RATE);
            }
        });
        Self { name: "librdkafka", child, acknowledged, input: None }
    }

    /// Whether anything was acknowledged after `since`.
    pub fn has_acknowledged(&self, since: Instant) -> bool {
        self.lock().last().is_some_and(|(at, _)| *at > since)
    }

    /// The longest time between two acknowledgements, of those with some part of it after `since`; of one partition, or of any.
    pub fn longest_gap(&self, since: Instant, partition: Option<i32>) -> Duration {
        let acknowledged = self.lock();
        let of = acknowledged.iter().filter(|(_, of)| partition.is_none_or(|partition| partition == *of));
        let times: Vec<Instant> = of.map(|(at, _)| *at).chain([Instant::now()]).collect();
        let gaps = times.windows(2).filter(|pair| pair[1] > since).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, i32)>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes when each line came that names a partition.
fn listen(
    lines: impl BufRead + Send + 'static,
    partition: impl Fn(&str) -> Option<i32> + Send + 'static,
) -> Arc<Mutex<Vec<(Instant, i32)>>> {
    let acknowledged = Arc::<Mutex<Vec<_>>>::default();
    let into = Arc::clone(&acknowledged);
    thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            if let Some(partition) = partition(&line) {
                let at = Instant::now();
                into.lock().unwrap_or_else(PoisonError::into_inner).push((at, partition));
            }
        }
    });
    acknowledged
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
