//! `kafka-configs.sh` for credentials and quotas, `kafka-delegation-tokens.sh`, `kafka-acls.sh`: through a broker of Apache Kafka.

use super::pair::Pair;

const TOOL: &str = "delegation-tokens";

pub fn play(pair: &mut Pair) {
    login(pair, "alice", "PLAIN", "plain.PlainLoginModule required username=\"alice\" password=\"a\"");
    login(pair, "bob", "PLAIN", "plain.PlainLoginModule required username=\"bob\" password=\"b\"");
    let carol = "scram.ScramLoginModule required username=\"carol\" password=\"c\"";
    login(pair, "carol", "SCRAM-SHA-256", carol);
    credentials(pair);
    quotas(pair);
    tokens(pair);
    let acl = ["--bootstrap-server", "{broker:2}", "--add", "--allow-principal", "User:bob", "--topic", "t"];
    pair.once("acls", &acl);
    let acl = ["--bootstrap-server", "{broker:2}", "--remove", "--force", "--topic", "t"];
    pair.once("acls", &acl);
}

/// Writes how a client authenticates.
fn login(pair: &mut Pair, name: &str, mechanism: &str, module: &str) {
    pair.write_filled(
        &format!("{name}.properties"),
        &format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism={mechanism}\n\
             sasl.jaas.config=org.apache.kafka.common.security.{module};\n"
        ),
    );
}

/// A client that authenticates so may do something, or may not.
fn may(pair: &mut Pair, name: &str, may: bool) {
    let properties = format!("{{file:{name}.properties}}");
    let list = ["--bootstrap-server", "{sasl:2}", "--command-config", &properties, "--list"];
    let wanted = if may { "exit code Some(0)" } else { "exit code Some(1)" };
    pair.soon_when("topics", &list, |said| said.contains(wanted));
}

fn credentials(pair: &mut Pair) {
    let of = |name| ["--bootstrap-server", "{broker:2}", "--entity-type", "users", "--entity-name", name];
    let alter = |pair: &mut Pair, name, what: &[&str]| {
        pair.once("configs", &[&of(name)[..], &["--alter"], what].concat());
    };
    may(pair, "carol", false);
    alter(pair, "carol", &["--add-config", "SCRAM-SHA-256=[iterations=4096,password=c]"]);
    let describe = [&of("carol")[..], &["--describe"]].concat();
    pair.soon_when("configs", &describe, |said| said.contains("iterations=4096"));
    may(pair, "carol", true);
    alter(pair, "carol", &["--add-config", "SCRAM-SHA-256=[iterations=16385,password=c]"]);
    alter(pair, "carol", &["--delete-config", "SCRAM-SHA-512"]);
    alter(pair, "dave", &["--add-config", "SCRAM-SHA-512=[iterations=8192,password=d]"]);
    alter(pair, "dave", &["--delete-config", "SCRAM-SHA-512"]);
    pair.soon_when("configs", &[&of("dave")[..], &["--describe"]].concat(), |said| !said.contains("8192"));
}

fn quotas(pair: &mut Pair) {
    let both: &[&str] =
        &["--entity-type", "users", "--entity-name", "carol", "--entity-type", "clients", "--entity-default"];
    let ip: &[&str] = &["--entity-type", "ips", "--entity-name", "10.0.0.1"];
    let steps: [(&[&str], &[&str]); 7] = [
        (both, &["--add-config", "producer_byte_rate=1024,consumer_byte_rate=2048.5"]),
        (both, &["--add-config", "producer_byte_rate=1024,consumer_byte_rate=2048"]),
        (both, &["--add-config", "request_percentage=-1"]),
        (both, &["--delete-config", "producer_byte_rate"]),
        (ip, &["--add-config", "connection_creation_rate=10"]),
        (ip, &["--add-config", "connection_creation_rate=1.5"]),
        (ip, &["--delete-config", "connection_creation_rate"]),
    ];
    for (entity, change) in steps {
        let server = ["--bootstrap-server", "{broker:2}"];
        pair.once("configs", &[&server[..], &["--alter"], change, entity].concat());
        pair.soon("configs", &[&server[..], &["--describe"], entity].concat());
    }
}

fn tokens(pair: &mut Pair) {
    let with = |name: &str, what: &[&'static str]| -> Vec<String> {
        let properties = format!("{{file:{name}.properties}}");
        let first = ["--bootstrap-server", "{sasl:2}", "--command-config", &properties];
        first.iter().chain(what).map(|word| (*word).to_owned()).collect()
    };
    let once = |pair: &mut Pair, name: &str, what: &[&'static str]| {
        let words = with(name, what);
        pair.once(TOOL, &words.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let described = |pair: &mut Pair, is_so: fn(&str) -> bool| {
        let owners = ["--describe", "--owner-principal", "User:alice", "--owner-principal", "User:carol"];
        let words = with("alice", &owners);
        pair.soon_when(TOOL, &words.iter().map(String::as_str).collect::<Vec<_>>(), is_so);
    };
    const UNKNOWN: &str = "bm9ib2R5cw==";
    once(pair, "alice", &["--create", "--max-life-time-period", "-1", "--renewer-principal", "User:bob"]);
    described(pair, |said| said.contains("<token>"));
    once(pair, "bob", &["--renew", "--renew-time-period", "-1", "--hmac", "{hmac}"]);
    once(pair, "carol", &["--renew", "--renew-time-period", "-1", "--hmac", "{hmac}"]);
    once(pair, "bob", &["--renew", "--renew-time-period", "-1", "--hmac", UNKNOWN]);
    once(pair, "carol", &["--expire", "--expiry-time-period", "-1", "--hmac", "{hmac}"]);

    let token = "scram.ScramLoginModule required username=\"{token}\" password=\"{hmac}\" tokenauth=\"true\"";
    login(pair, "token", "SCRAM-SHA-256", token);
    may(pair, "token", true);
    // A token begets none, and neither does who has not authenticated.
    once(pair, "token", &["--create", "--max-life-time-period", "-1"]);
    pair.write("nobody.properties", "\n");
    let nobody = ["--bootstrap-server", "{broker:2}", "--command-config", "{file:nobody.properties}"];
    pair.once(TOOL, &[&nobody[..], &["--create", "--max-life-time-period", "-1"]].concat());

    once(pair, "bob", &["--expire", "--expiry-time-period", "-1", "--hmac", "{hmac}"]);
    described(pair, |said| !said.contains("<token>"));
    may(pair, "token", false);

    // For another, who ends it soon; it goes by itself.
    let other = ["--create", "--max-life-time-period", "1000000", "--owner-principal", "User:carol"];
    once(pair, "alice", &other);
    described(pair, |said| said.contains("<token>"));
    once(pair, "carol", &["--expire", "--expiry-time-period", "1", "--hmac", "{hmac}"]);
    described(pair, |said| !said.contains("<token>"));
}
