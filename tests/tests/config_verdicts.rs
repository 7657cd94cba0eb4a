//! Values and properties files against Apache Kafka's and Java's own parsers.

use std::collections::BTreeMap;
use std::fmt::Write;

use ottla_core::config::{Scope, key, parse_properties};
use ottla_tests::program::{class_path, command, run, run_with};

/// Values at and beyond the edges of every type and validator.
const VALUES: &[&str] = &[
    "",
    " ",
    "0",
    "1",
    "-1",
    "-2",
    "-3",
    "2",
    "3",
    "5",
    "9",
    "10",
    "11",
    "17",
    "18",
    "22",
    "23",
    "26",
    "99",
    "100",
    "199",
    "500",
    "501",
    "999",
    "1000",
    "1001",
    "1023",
    "1024",
    "3601",
    "10000",
    "10001",
    "86401",
    "524287",
    "524288",
    "1048575",
    "1048576",
    "8388607",
    "8388608",
    "32767",
    "32768",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "-131072",
    "-131073",
    "+3",
    " 3 ",
    "3.0",
    "0x10",
    "1_000",
    "0.5",
    "0.50",
    "1.5",
    "-0.1",
    "1e-5",
    "2.5e10",
    "100f",
    "1D",
    "NaN",
    "Infinity",
    "inf",
    ".5",
    "5.",
    "e5",
    "true",
    "TRUE",
    " false ",
    "yes",
    "x",
    "a,b",
    "a,a",
    "a,,b",
    " x , y ",
    ",",
    "delete",
    "compact,delete",
    "delete , compact",
    "delete,x",
    "compact,compact",
    "gzip",
    "GZIP",
    "producer",
    "none",
    "CreateTime",
    "logappendtime",
    "broker",
    "broker,controller",
    "consumer,classic",
    "bidirectional",
    "upgrade",
    "required",
    "PLAINTEXT",
    "read_committed",
    "earliest",
    "latest",
    "by_duration:PT1H",
    "by_duration:P1DT2H",
    "by_duration:x",
    "by_duration:",
    "*",
    "*,0:1",
    "0:1",
    "0:1,2:3",
    "0:1,,2:3",
    "0:1,",
    ",0:1",
    "*,*",
    "1@@h:1",
    "1@h:1@g:1",
    "@h:1",
    "1@:1",
    ":1",
    "h:-1",
    "[::1]:1",
    "1@[::1]:1",
    "http://h:1",
    "0:-1",
    "a:b",
    "1@h:1",
    "1@h:1,2@g:2",
    "1@h",
    "x@h:1",
    "h:1",
    "h:1,g:2",
    "h",
    "h:x",
    "ES256",
    "rs256",
];

#[test]
fn every_key_takes_and_refuses_what_kafka_does() {
    let mut java = command(&["java", "-cp", &class_path()]);
    java.arg("tests/config/ConfigVerdicts.java").args(VALUES);
    let printed = run(java).ok();
    let mut seen = 0;
    let mut differences = String::new();
    for line in printed.lines() {
        let fields: Vec<&str> = line.splitn(4, '\t').collect();
        let [scope, name, value, theirs] = fields[..] else { panic!("{line}") };
        let ours = match key(scope_named(scope), name).expect(name).parse(value) {
            Ok(value) => format!("ok\t{}", value.render().unwrap_or_else(|| "null".into())),
            Err(error) => format!("refused\t{error}"),
        };
        seen += 1;
        if ours != theirs {
            let _ = writeln!(differences, "{scope} {name}={value:?}\n  Kafka: {theirs}\n  Ottla: {ours}");
        }
    }
    assert!(seen > 400 * VALUES.len() * 9 / 10, "{seen} verdicts");
    assert!(differences.is_empty(), "{differences}");
}

fn scope_named(name: &str) -> Scope {
    match name {
        "broker" => Scope::Broker,
        "topic" => Scope::Topic,
        "group" => Scope::Group,
        "client-metrics" => Scope::ClientMetrics,
        other => panic!("{other}"),
    }
}

#[test]
fn properties_are_read_as_java_reads_them() {
    // No surrogates: we refuse a lone one, which Java keeps as half a character.
    const PIECES: &[&str] = &[
        "a", "b", "=", ":", " ", "\t", "\x0c", "\n", "\r", "\r\n", "\\", "\\\\", "\\\n", "\\\r\n  ", "#",
        "!", "\\u0041", "\\u", "\\uc218", "\\t", "\\=", "수", "\\\n#",
    ];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).expect("31 bits") % below
    };
    let texts: Vec<String> =
        (0..20_000).map(|_| (0..draw(14)).map(|_| PIECES[draw(PIECES.len())]).collect::<String>()).collect();
    let input: String = texts.iter().map(|text| hex(text) + "\n").collect();
    let printed = run_with(command(&["java", "tests/config/PropertiesPeer.java"]), &input).ok();
    let theirs: Vec<&str> = printed.split('\n').collect();
    for (text, theirs) in texts.iter().zip(theirs) {
        let ours = match parse_properties(text) {
            Ok(properties) => {
                let last: BTreeMap<String, String> =
                    properties.into_iter().map(|property| (property.key, property.value)).collect();
                let mut pairs: Vec<String> =
                    last.iter().map(|(k, v)| format!("{}={}", hex(k), hex(v))).collect();
                pairs.sort_unstable();
                pairs.join(" ")
            }
            Err(_) => "refused".into(),
        };
        assert_eq!(without_empty_key(&ours), without_empty_key(theirs), "{text:?}");
    }
}

/// Java makes an empty key of a lone backslash at the end of a file, depending on how its line ends.
fn without_empty_key(pairs: &str) -> Vec<&str> {
    pairs.split(' ').filter(|pair| !pair.is_empty() && !pair.starts_with('=')).collect()
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
