//! kcat (librdkafka), as Debian packages it.

use ottla_tests::peer::Peer;
use ottla_tests::program::{Ended, command, run, run_with};
use ottla_tests::wire::create_topic;

use crate::on_each_peer;

fn kcat(peer: &Peer, arguments: &[&str], input: &str) -> Ended {
    let mut kcat = command(&["kcat", "-b", &peer.bootstrap(), "-m", "15"]);
    kcat.args(arguments);
    run_with(kcat, input)
}

#[test]
fn lists_brokers_topics_and_partitions() {
    on_each_peer(|peer| {
        create_topic(peer.address(), "kcat-list", 3);
        let listing = kcat(peer, &["-L", "-t", "kcat-list"], "").ok();
        assert!(listing.contains(&format!("broker 1 at {}", peer.bootstrap())), "{listing}");
        assert!(listing.contains("topic \"kcat-list\" with 3 partitions:"), "{listing}");
        for partition in 0..3 {
            let line = format!("partition {partition}, leader 1, replicas: 1, isrs: 1");
            assert!(listing.contains(&line), "{listing}");
        }
    });
}

#[test]
fn creates_a_topic_by_producing_to_it() {
    on_each_peer(|peer| {
        kcat(peer, &["-P", "-t", "kcat-auto"], "first\nsecond\n").ok();
        let read = kcat(peer, &["-C", "-t", "kcat-auto", "-o", "beginning", "-e", "-q"], "").ok();
        assert_eq!(read, "first\nsecond\n");
    });
}

#[test]
fn keys_headers_and_each_compression_come_back() {
    on_each_peer(|peer| {
        for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let topic = format!("kcat-{compression}");
            create_topic(peer.address(), &topic, 1);
            let lines: Vec<_> = (0..500).map(|n| format!("key-{n}:{}-{n}", "value ".repeat(20))).collect();
            let produce =
                ["-P", "-t", &topic, "-K", ":", "-z", compression, "-H", "color=blue", "-H", "empty="];
            kcat(peer, &produce, &(lines.join("\n") + "\n")).ok();
            let consume = ["-C", "-t", &topic, "-o", "beginning", "-e", "-q", "-f", "%o %h %k:%s\n"];
            let read = kcat(peer, &consume, "").ok();
            let expected: String =
                lines.iter().enumerate().map(|(n, line)| format!("{n} color=blue,empty= {line}\n")).collect();
            assert_eq!(read, expected, "with {compression}");
        }
    });
}

#[test]
fn null_keys_and_values_stay_null() {
    on_each_peer(|peer| {
        create_topic(peer.address(), "kcat-null", 1);
        kcat(peer, &["-P", "-t", "kcat-null", "-K", ":", "-Z"], "key:\n:value\n").ok();
        let read = kcat(
            peer,
            &["-C", "-t", "kcat-null", "-o", "beginning", "-e", "-q", "-Z", "-f", "%k=%s %K %S\n"],
            "",
        );
        assert_eq!(read.ok(), "key=NULL 3 -1\nNULL=value -1 5\n");
    });
}

#[test]
fn starts_at_offsets_relative_absolute_and_by_time() {
    on_each_peer(|peer| {
        create_topic(peer.address(), "kcat-seek", 1);
        kcat(peer, &["-P", "-t", "kcat-seek"], "a\nb\nc\nd\n").ok();
        let from = |offset: &str| kcat(peer, &["-C", "-t", "kcat-seek", "-o", offset, "-e", "-q"], "").ok();
        assert_eq!(from("2"), "c\nd\n");
        assert_eq!(from("-1"), "d\n");
        assert_eq!(from("s@1"), "a\nb\nc\nd\n");
        let at =
            |time: &str| kcat(peer, &["-Q", "-t", &format!("kcat-seek:0:{time}")], "").ok().trim().to_owned();
        assert_eq!(at("-2"), "kcat-seek [0] offset 0");
        assert_eq!(at("-1"), "kcat-seek [0] offset 4");
        assert_eq!(at("1"), "kcat-seek [0] offset 0");
    });
}

#[test]
fn a_group_reads_everything_once_and_goes_on_where_it_committed() {
    on_each_peer(|peer| {
        create_topic(peer.address(), "kcat-group", 3);
        let lines: String = (0..300).map(|n| format!("k{n}:v{n}\n")).collect();
        kcat(peer, &["-P", "-t", "kcat-group", "-K", ":"], &lines).ok();
        let arguments = |count: &'static str| {
            ["-q", "-X", "auto.offset.reset=earliest", "-K", ":", "-c", count, "-G", "kcat-g", "kcat-group"]
        };
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let first = kcat(peer, &arguments("300"), "").ok();
        assert_eq!(sorted(&first), sorted(&lines));
        kcat(peer, &["-P", "-t", "kcat-group", "-K", ":"], "late:one\nlater:two\n").ok();
        let second = kcat(peer, &arguments("2"), "").ok();
        assert_eq!(sorted(&second), ["late:one", "later:two"]);
    });
}

#[test]
fn two_members_of_a_group_share_the_partitions() {
    on_each_peer(|peer| {
        create_topic(peer.address(), "kcat-share", 2);
        let bootstrap = peer.bootstrap();
        let member = |name: &str| {
            let mut kcat = command(&["timeout", "8", "kcat", "-b", &bootstrap, "-u", "-f", "%p %s\n"]);
            kcat.args(["-X", "auto.offset.reset=earliest", "-X", &format!("client.id={name}")]);
            kcat.args(["-G", "kcat-share-g", "kcat-share"]);
            kcat
        };
        let (first, second) = (member("first"), member("second"));
        let both = [first, second].map(|member| std::thread::spawn(move || run(member)));
        std::thread::sleep(std::time::Duration::from_secs(4));
        for partition in ["0", "1"] {
            kcat(peer, &["-P", "-t", "kcat-share", "-p", partition], "x\ny\n").ok();
        }
        let mut read: Vec<String> = both.map(|thread| thread.join().expect("ran").out).into();
        read.sort();
        assert_eq!(read, ["0 x\n0 y\n", "1 x\n1 y\n"]);
    });
}
