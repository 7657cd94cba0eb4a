//! The two clusters, and the tools that run against both.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ottla_tests::peer::Kind;
use ottla_tests::peer::cluster::{Cluster, Quorum, Roles};
use ottla_tests::program::{self, Ended};

use crate::{known, masks};

/// How long what is told to a cluster may take to be true everywhere.
const SOON: Duration = Duration::from_secs(20);

/// What all nodes are told.
const CONFIGURATION: &[(&str, &str)] = &[
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("offsets.topic.replication.factor", "3"),
    ("offsets.topic.num.partitions", "2"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("auto.leader.rebalance.enable", "false"),
    ("broker.rack", "one"),
    ("broker.session.timeout.ms", "3000"),
    ("broker.heartbeat.interval.ms", "500"),
];

/// What controllers and brokers are told where clients authenticate.
const SECURED: &[(&str, &str)] = &[
    ("offsets.topic.replication.factor", "1"),
    ("delegation.token.secret.key", "house"),
    ("delegation.token.expiry.check.interval.ms", "1000"),
];

/// What the broker is told besides.
const AUTHENTICATES: &[(&str, &str)] = &[
    ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256"),
    (
        "listener.name.sasl.plain.sasl.jaas.config",
        "org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"a\" user_bob=\"b\";",
    ),
    (
        "listener.name.sasl.scram-sha-256.sasl.jaas.config",
        "org.apache.kafka.common.security.scram.ScramLoginModule required;",
    ),
];

/// Apache Kafka's tools by the names of their scripts.
const TOOLS: &[(&str, &str)] = &[
    ("acls", "org.apache.kafka.tools.AclCommand"),
    ("cluster", "org.apache.kafka.tools.ClusterTool"),
    ("configs", "kafka.admin.ConfigCommand"),
    ("consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
    ("delegation-tokens", "org.apache.kafka.tools.DelegationTokenCommand"),
    ("features", "org.apache.kafka.tools.FeatureCommand"),
    ("get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
    ("leader-election", "org.apache.kafka.tools.LeaderElectionCommand"),
    ("log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
    ("metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand"),
    ("producer-performance", "org.apache.kafka.tools.ProducerPerformance"),
    ("reassign-partitions", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
    ("topics", "org.apache.kafka.tools.TopicCommand"),
];

/// Apache Kafka's cluster and the one that is compared with it.
pub struct Pair {
    sides: [Side; 2],
    differences: Vec<String>,
    /// Which of those that are known were met.
    known: Vec<usize>,
    compared: usize,
}

struct Side {
    cluster: Cluster,
    tools: Tools,
    /// Id and HMAC of the delegation token that a tool showed last.
    token: Option<(String, String)>,
}

/// A JVM that runs tools.
struct Tools {
    jvm: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Pair {
    /// Three nodes of Apache Kafka, and three of this kind.
    pub fn start(kind: Kind, quorum: Quorum) -> Self {
        let side = |kind, quorum| Side {
            cluster: Cluster::start_with(&[kind; 3], Roles::Both, quorum, |_| CONFIGURATION.to_vec()),
            tools: Tools::start(),
            token: None,
        };
        Self::both_start(move |of| side(if of == 0 { Kind::Kafka } else { kind }, quorum))
    }

    /// One controller of Apache Kafka, and one of this kind; each with a broker of Apache Kafka, the node 2, whose clients authenticate.
    pub fn start_secured(kind: Kind) -> Self {
        let side = |kind| {
            let mut cluster = Cluster::start(&[kind], Roles::Controllers, SECURED);
            cluster.add_broker(Kind::Kafka, &[SECURED, AUTHENTICATES].concat());
            Side { cluster, tools: Tools::start(), token: None }
        };
        Self::both_start(move |of| side(if of == 0 { Kind::Kafka } else { kind }))
    }

    fn both_start(start: impl Fn(usize) -> Side + Copy + Send + 'static) -> Self {
        let theirs = thread::spawn(move || start(0));
        let ours = start(1);
        let theirs = theirs.join().expect("Apache Kafka starts");
        Self { sides: [theirs, ours], differences: Vec::new(), known: Vec::new(), compared: 0 }
    }

    /// Runs a tool against both, once.
    pub fn once(&mut self, tool: &str, arguments: &[&str]) {
        let said = self.both(tool, arguments);
        self.compare(tool, arguments, said);
    }

    /// Runs a tool against each until it succeeds there: a leader of Apache Kafka that has not spoken to a node yet refuses to add it.
    pub fn until_done(&mut self, tool: &str, arguments: &[&str]) {
        let started = Instant::now();
        let said = self.sides.each_mut().map(|side| {
            loop {
                let said = side.run(tool, arguments);
                if said.starts_with("exit code Some(0)") || started.elapsed() > SOON {
                    return said;
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        self.compare(tool, arguments, said);
    }

    /// Runs a tool against both; what it says is of no interest.
    pub fn quietly(&mut self, tool: &str, arguments: &[&str]) {
        self.both(tool, arguments);
    }

    /// Runs a tool that changes nothing against both, until they say the same and it satisfies the condition.
    pub fn soon_when(&mut self, tool: &str, arguments: &[&str], is_so: impl Fn(&str) -> bool) {
        let started = Instant::now();
        loop {
            let said = self.both(tool, arguments);
            if said[0] == said[1] && is_so(&said[0]) {
                return self.compare(tool, arguments, said);
            }
            if started.elapsed() > SOON {
                let [theirs, ours] = [is_so(&said[0]), is_so(&said[1])];
                if !(theirs && ours) {
                    let (step, text) = (arguments.join(" "), &said[0]);
                    self.differences
                        .push(format!("== {tool} {step}\nnot within {SOON:?}: {theirs} {ours}\n{text}\n"));
                }
                return self.compare(tool, arguments, said);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// [`Pair::soon_when`] without a condition.
    pub fn soon(&mut self, tool: &str, arguments: &[&str]) {
        self.soon_when(tool, arguments, |_| true);
    }

    /// Writes a file that arguments name `{file:NAME}`.
    pub fn write(&mut self, name: &str, text: &str) {
        for side in &self.sides {
            fs::write(side.cluster.directory().join(name), text).expect("it is written");
        }
    }

    /// The same, of a text with the words that arguments may have, and `{token}` and `{hmac}`.
    pub fn write_filled(&mut self, name: &str, text: &str) {
        for side in &self.sides {
            fs::write(side.cluster.directory().join(name), side.fill(text)).expect("it is written");
        }
    }

    /// Does the same to both clusters.
    pub fn each(&mut self, act: impl Fn(&mut Cluster)) {
        self.sides.iter_mut().for_each(|side| act(&mut side.cluster));
    }

    /// Kills a broker of both, and waits until its cluster knows: until then a client may be told that it is the controller, and wait for it.
    pub fn kill(&mut self, id: usize) {
        self.each(|cluster| cluster.kill(id));
        self.settle();
    }

    /// Starts it again, and waits until its cluster has let it in.
    pub fn restart(&mut self, id: usize) {
        self.each(|cluster| cluster.restart(id));
        self.settle();
    }

    /// Waits until the brokers of both know each other.
    pub fn settle(&mut self) {
        self.each(|cluster| cluster.until_brokers_know_each_other());
    }

    /// A fourth node for both, which is a controller and no voter.
    pub fn add_controller(&mut self) {
        for side in &mut self.sides {
            let kind = side.cluster.kind(1);
            side.cluster.add_controller(kind, &[]);
        }
    }

    /// What differed, and how much was compared.
    pub fn differences(self) -> (Vec<String>, usize) {
        (self.differences, self.compared)
    }

    /// The known differences that were not met.
    pub fn stale(&self) -> Vec<&'static str> {
        let is_met = |at: &usize| self.known.contains(at);
        let stale = (0..known::KNOWN.len()).filter(|at| !is_met(at));
        stale.map(|at| known::KNOWN[at].step).collect()
    }

    fn both(&mut self, tool: &str, arguments: &[&str]) -> [String; 2] {
        let [theirs, ours] = &mut self.sides;
        thread::scope(|scope| {
            let theirs = scope.spawn(|| theirs.run(tool, arguments));
            let ours = ours.run(tool, arguments);
            [theirs.join().expect("it ran"), ours]
        })
    }

    fn compare(&mut self, tool: &str, arguments: &[&str], [theirs, ours]: [String; 2]) {
        let step = format!("{tool} {}", arguments.join(" "));
        self.compared += 1;
        if std::env::var_os("OTTLA_TEST_SHOW").is_some() {
            println!("== {step}\n{theirs}");
        }
        if theirs != ours {
            let only = |these: &str, those: &str, mark: char| -> String {
                let those: Vec<&str> = those.lines().collect();
                let missing = these.lines().filter(|line| !those.contains(line));
                missing.map(|line| format!("{mark} {line}\n")).collect()
            };
            let difference = format!("== {step}\n{}{}", only(&theirs, &ours, '<'), only(&ours, &theirs, '>'));
            println!("{difference}");
            match known::KNOWN.iter().position(|known| step.contains(known.step)) {
                Some(at) => self.known.push(at),
                None => self.differences.push(difference),
            }
        }
    }
}

impl Side {
    /// What a tool says, without what differs between any two clusters.
    fn run(&mut self, tool: &str, arguments: &[&str]) -> String {
        let class = TOOLS.iter().find(|(name, _)| *name == tool).expect("a tool").1;
        let mut words = vec![class.to_owned()];
        words.extend(arguments.iter().map(|argument| self.fill(argument)));
        let started = Instant::now();
        let mut ended = self.tools.run(&words);
        if tool == "delegation-tokens" {
            self.token = masks::token(&ended.out).or(self.token.take());
            ended.out = masks::mask_token(self.token.as_ref(), &ended.out);
        }
        if std::env::var_os("OTTLA_TEST_SHOW").is_some() {
            println!("{:?} {tool} {:?}", self.cluster.kind(1), started.elapsed());
        }
        masks::mask(&self.cluster, &ended)
    }

    fn fill(&self, text: &str) -> String {
        let (id, hmac) = self.token.clone().unwrap_or_default();
        masks::fill(&self.cluster, &text.replace("{token}", &id).replace("{hmac}", &hmac))
    }
}

impl Tools {
    fn start() -> Self {
        let source = ottla_tests::root().join("tests/cluster/Tools.java");
        let mut java = program::java(&source.display().to_string(), &[]);
        let mut jvm = java
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("Java starts");
        let input = jvm.stdin.take().expect("piped");
        let output = BufReader::new(jvm.stdout.take().expect("piped"));
        Self { jvm, input, output }
    }

    fn run(&mut self, words: &[String]) -> Ended {
        writeln!(self.input, "{}", words.join("\t")).expect("the JVM reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the JVM answers");
        let numbers: Vec<usize> =
            line.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        let mut text = |bytes| {
            let mut read = vec![0; bytes];
            self.output.read_exact(&mut read).expect("the JVM answers");
            String::from_utf8_lossy(&read).into_owned()
        };
        let (out, err) = (text(numbers[1]), text(numbers[2]));
        Ended { code: i32::try_from(numbers[0]).ok(), out, err }
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        let _ = self.jvm.kill();
        let _ = self.jvm.wait();
    }
}
