//! The same random use by the same clients to Apache Kafka's managers of client quotas and to ours, on one clock: they give the same
//! limits and have clients wait as long (`tests/quotas/QuotaPeer.java`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ottla_core::broker::quotas::{Quotas, Use, Windows};
use ottla_core::config::{BrokerConfig, Origin, Setting};
use ottla_core::controller::mutation_quotas::{Asker, MutationQuotas};
use ottla_core::coordinator::Token;
use ottla_core::ids::ConnectionId;
use ottla_core::metadata::quotas::QuotaKind;
use ottla_core::metadata::{MetadataImage, Published};
use ottla_core::rng::Rng;
use ottla_core::time::Instant;
use ottla_protocol::Str;
use ottla_protocol::records::metadata::{ClientQuotaRecord, client_quota_record::EntityData};
use ottla_tests::program::{java, run_with};

const STEPS: usize = 3_000;
const KINDS: [(QuotaKind, &str); 4] = [
    (QuotaKind::Produce, "producer_byte_rate"),
    (QuotaKind::Fetch, "consumer_byte_rate"),
    (QuotaKind::Request, "request_percentage"),
    (QuotaKind::ControllerMutation, "controller_mutation_rate"),
];
const USERS: [&str; 3] = ["alice", "bob", "carol"];
const CLIENT_IDS: [&str; 3] = ["one", "two", "three"];

#[test]
fn clients_wait_as_long_as_apache_kafka_has_them_wait() {
    let mut waits: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (seed, (windows, seconds)) in (0..).zip([(11, 1), (2, 3), (1, 1), (5, 2)]) {
        let mut world = World::new(seed, windows, seconds);
        for _ in 0..STEPS {
            world.step();
        }
        let arguments = [windows.to_string(), seconds.to_string()];
        let mut peer = java("tests/quotas/QuotaPeer.java", &[]);
        peer.current_dir(ottla_tests::root()).args(arguments);
        let printed = run_with(peer, &world.script).ok();
        assert_eq!(printed.lines().count(), world.expected.len());
        for (line, (what, expected)) in printed.lines().zip(&world.expected) {
            assert_eq!(expected, line, "seed {seed}: {what}");
            let kind = what.split(' ').nth(1).expect("a kind").to_owned();
            let (asked, waited) = waits.entry(kind).or_default();
            *asked += 1;
            *waited += usize::from(!line.starts_with('0'));
        }
    }
    println!("asked how often, and how often the client had to wait: {waits:?}");
    for (kind, (asked, waited)) in waits {
        assert!(waited > 50 && asked > 2 * waited / 3, "{kind}: {waited} of {asked} have to wait");
    }
}

/// Our side, and what Apache Kafka is asked.
struct World {
    rng: Rng,
    now_ms: i64,
    image: MetadataImage,
    quotas: Quotas,
    mutations: MutationQuotas,
    windows: Windows,
    script: String,
    /// What was asked, and our answer.
    expected: Vec<(String, String)>,
}

impl World {
    fn new(seed: u64, windows: i32, seconds: i32) -> Self {
        let keys = ["quota.window.", "controller.quota.window."];
        let values = [("num", windows), ("size.seconds", seconds)];
        let settings = keys.iter().flat_map(|key| values.map(|(end, value)| (format!("{key}{end}"), value)));
        let settings = settings
            .map(|(key, value)| (key, Setting { value: value.to_string(), origin: Origin::Override }));
        let config = BrokerConfig::resolve(settings, true).expect("they are valid").config;
        Self {
            rng: Rng::from_seed(seed),
            now_ms: 1_000_000,
            image: MetadataImage::empty("cluster"),
            quotas: Quotas::new(&config),
            mutations: MutationQuotas::new(&config),
            windows: Windows::new(windows, seconds),
            script: String::new(),
            expected: Vec::new(),
        }
    }

    fn step(&mut self) {
        self.now_ms += match self.rng.below(10) {
            0 => i64::try_from(self.rng.below(9_000)).expect("small"),
            1..=5 => i64::try_from(self.rng.below(300)).expect("small"),
            _ => 0,
        };
        match self.rng.below(30) {
            0 => self.limit(),
            1..=4 => self.burst(),
            5..=11 => self.take(),
            _ => self.spend(),
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.rng.below(from.len() as u64)).expect("small")]
    }

    fn ask(&mut self, line: String, answer: String) {
        writeln!(self.script, "{line}").expect("a string");
        self.expected.push((line, answer));
    }

    /// Sets or removes a limit; often there is none of a kind, or only some of one level.
    fn limit(&mut self) {
        let (kind, key) = self.pick(&KINDS);
        let level = self.rng.below(6);
        let mut part = |names: &[&'static str]| {
            let at = usize::try_from(self.rng.below(names.len() as u64 + 1)).expect("small");
            names.get(at).copied().unwrap_or("*")
        };
        let (user, client_id) = match level {
            0 | 1 => (part(&USERS), "-"),
            2 | 3 => ("-", part(&CLIENT_IDS)),
            _ => (part(&USERS), part(&CLIENT_IDS)),
        };
        let value = (self.rng.below(3) > 0).then(|| {
            self.rng.below(match kind {
                QuotaKind::Request => 100,
                QuotaKind::ControllerMutation => 20,
                _ => 100_000,
            }) + 1
        });
        let shown = value.map_or("-".to_owned(), |value| value.to_string());
        writeln!(self.script, "limit {key} {user} {client_id} {shown}").expect("a string");
        let parts = [("user", user), ("client-id", client_id)].into_iter().filter(|(_, name)| *name != "-");
        let part = |(kind, name): (&str, &str)| EntityData {
            entity_type: kind.into(),
            entity_name: (name != "*").then(|| name.into()),
        };
        let record = ClientQuotaRecord {
            entity: parts.map(part).collect(),
            key: key.into(),
            value: value.unwrap_or(0) as f64,
            remove: value.is_none(),
        };
        self.image.replay(&record.into()).expect("it follows");
    }

    fn client(&mut self) -> (&'static str, Option<&'static str>) {
        let client_id = self.pick(&[Some("one"), Some("two"), Some("three"), Some("four"), None]);
        (self.pick(&["alice", "bob", "carol", "dave"]), client_id)
    }

    fn spend(&mut self) {
        let (kind, key) = self.pick(&KINDS[..3]);
        let (user, client_id) = self.client();
        let amount = self.rng.below(if kind == QuotaKind::Request { 900_000 } else { 300_000 });
        let connection = ConnectionId(1);
        if kind == QuotaKind::Request {
            self.quotas.spend(connection, amount);
        }
        let bytes = |wanted| (kind == wanted).then(|| usize::try_from(amount).expect("small"));
        let used = Use {
            token: Token { connection, request: 0 },
            published: Published::first(self.image.clone(), 0, 0, 0),
            user: user.into(),
            client_id: client_id.map(Str::from),
            produced: bytes(QuotaKind::Produce),
            fetched: bytes(QuotaKind::Fetch),
            is_timed: kind == QuotaKind::Request,
        };
        let throttle_ms = self.quotas.throttle_ms(self.now(), &used);
        let (now_ms, client_id) = (self.now_ms, client_id.unwrap_or("null"));
        self.ask(format!("use {key} {now_ms} {user} {client_id} {amount}"), throttle_ms.to_string());
    }

    fn burst(&mut self) {
        let (user, client_id) = self.client();
        let id = client_id.map(Str::from);
        let (_, limit) = self.image.client_quotas.limit(QuotaKind::Fetch, &user.into(), id.as_ref());
        let most = limit.map_or(i32::MAX, |limit| self.windows.burst(limit) as i32);
        let client_id = client_id.unwrap_or("null");
        self.ask(format!("burst consumer_byte_rate {user} {client_id}"), most.to_string());
    }

    fn take(&mut self) {
        let (user, client_id) = self.client();
        let (is_strict, partitions) = (self.rng.below(2) == 0, self.rng.below(150));
        let asker = Asker { user: user.into(), client_id: client_id.map(Str::from), is_strict };
        let now = self.now();
        let mut quota = self.mutations.of(now, &self.image.client_quotas, &asker);
        let outcome = quota.take(usize::try_from(partitions).expect("small"));
        let said = if outcome.is_ok() { "taken" } else { "refused" };
        let answer = format!("{} {said}", quota.throttle_time_ms());
        let how = if is_strict { "strict" } else { "permissive" };
        let (now_ms, client_id) = (self.now_ms, client_id.unwrap_or("null"));
        self.ask(format!("take {how} {now_ms} {user} {client_id} {partitions}"), answer);
    }

    fn now(&self) -> Instant {
        Instant(0).plus_ms(self.now_ms)
    }
}
