//! Completion in a terminal: commands, their options, and the names that the cluster knows.

use crate::playground::View;

/// What Tab does to a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Nothing fits: Tab moves the focus as everywhere else.
    None,
    /// The line with its last word completed (as far as all candidates agree).
    Line(String),
    /// Several fit and agree no further.
    Choices(Vec<String>),
}

const COMMON: &[&str] = &["--bootstrap-server", "--help", "--version"];

const TOOLS: &[(&str, &[&str])] = &[
    (
        "kafka-topics.sh",
        &[
            "--alter",
            "--config",
            "--create",
            "--delete",
            "--describe",
            "--if-exists",
            "--if-not-exists",
            "--list",
            "--partitions",
            "--replication-factor",
            "--topic",
            "--zookeeper",
        ],
    ),
    (
        "kafka-console-producer.sh",
        &[
            "--broker-list",
            "--compression-codec",
            "--producer-property",
            "--property",
            "--request-required-acks",
            "--topic",
        ],
    ),
    (
        "kafka-console-consumer.sh",
        &[
            "--consumer-property",
            "--from-beginning",
            "--group",
            "--isolation-level",
            "--max-messages",
            "--offset",
            "--partition",
            "--property",
            "--timeout-ms",
            "--topic",
        ],
    ),
    (
        "kafka-consumer-groups.sh",
        &[
            "--all-groups",
            "--delete",
            "--describe",
            "--group",
            "--list",
            "--members",
            "--offsets",
            "--state",
            "--topic",
            "--verbose",
        ],
    ),
];

const PLAIN: &[&str] = &["clear", "help", "jps", "kafka-server-start.sh", "kafka-server-stop.sh", "kill"];

/// Completes the last word of `line`, whose cursor is at its end.
pub fn complete(line: &str, view: &View) -> Completion {
    let start = line
        .rfind(char::is_whitespace)
        .map_or(0, |index| index + line[index..].chars().next().map_or(1, char::len_utf8));
    let (before, word) = line.split_at(start);
    let mut words: Vec<&str> = before.split_whitespace().collect();
    let candidates = match words.pop() {
        None if word.is_empty() => return Completion::None,
        None => commands(),
        Some("--topic") => {
            view.topics.iter().filter(|topic| !topic.internal).map(|topic| topic.name.clone()).collect()
        }
        Some("--group") => view.groups.iter().map(|group| group.id.clone()).collect(),
        Some("--bootstrap-server" | "--broker-list") => {
            view.brokers.iter().map(|broker| format!("localhost:{}", broker.port)).collect()
        }
        Some("kafka-server-stop.sh") => brokers(view, |id| format!("--node-id={id}")),
        Some("-daemon") => brokers(view, |id| format!("/opt/kafka/config/server-{id}.properties")),
        Some("kafka-server-start.sh") => vec!["-daemon".to_owned()],
        Some("kill") => ["-9", "-CONT", "-STOP"].map(str::to_owned).to_vec(),
        Some("-9" | "-CONT" | "-STOP") => {
            let running = view.brokers.iter().filter(|broker| broker.is_running);
            running.map(|broker| broker.process_id.to_string()).collect()
        }
        Some("--zookeeper") => vec!["zookeeper:2181".to_owned()],
        Some("--property") => [
            "key.separator=:",
            "parse.key=true",
            "print.key=true",
            "print.offset=true",
            "print.partition=true",
        ]
        .map(str::to_owned)
        .to_vec(),
        Some(last) => options(words.first().copied().unwrap_or(last), before),
    };
    settle(before, word, candidates)
}

fn brokers(view: &View, text: impl Fn(i32) -> String) -> Vec<String> {
    view.brokers.iter().map(|broker| text(broker.id)).collect()
}

fn commands() -> Vec<String> {
    TOOLS.iter().map(|(name, _)| *name).chain(PLAIN.iter().copied()).map(str::to_owned).collect()
}

/// The options of a tool that the line does not hold yet (`--property` may come again).
fn options(tool: &str, line: &str) -> Vec<String> {
    let base = tool.rsplit('/').next().unwrap_or(tool);
    let base = base.strip_suffix(".sh").unwrap_or(base);
    let Some((_, own)) = TOOLS.iter().find(|(name, _)| name.strip_suffix(".sh") == Some(base)) else {
        return Vec::new();
    };
    let mut options: Vec<String> = own
        .iter()
        .chain(COMMON)
        .filter(|option| **option == "--property" || !line.split_whitespace().any(|word| word == **option))
        .map(|option| (*option).to_owned())
        .collect();
    options.sort();
    options
}

fn settle(before: &str, word: &str, candidates: Vec<String>) -> Completion {
    let mut fitting: Vec<String> =
        candidates.into_iter().filter(|candidate| candidate.starts_with(word)).collect();
    let Some(first) = fitting.first() else { return Completion::None };
    if fitting.len() == 1 {
        return Completion::Line(format!("{before}{first} "));
    }
    let common = fitting.iter().skip(1).fold(first.as_str(), |common, other| {
        let shared = common.char_indices().zip(other.chars()).find(|((_, a), b)| a != b);
        let end = shared.map_or(common.len().min(other.len()), |((index, _), _)| index);
        &common[..end]
    });
    if common.len() > word.len() {
        return Completion::Line(format!("{before}{common}"));
    }
    fitting.dedup();
    Completion::Choices(fitting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playground::{TopicView, View};

    fn view() -> View {
        let topic = |name: &str| TopicView {
            name: name.into(),
            id: String::new(),
            internal: false,
            partitions: Vec::new(),
        };
        let topics = vec![topic("exam-topic"), topic("exam-끝")];
        View { topics, ..View::default() }
    }

    #[test]
    fn completes_as_far_as_all_agree() {
        let cases = [
            ("kafka-t", Completion::Line("kafka-topics.sh ".into())),
            ("kaf", Completion::Line("kafka-".into())),
            (
                "kafka-server-st",
                Completion::Choices(vec!["kafka-server-start.sh".into(), "kafka-server-stop.sh".into()]),
            ),
            ("kafka-server-start.sh ", Completion::Line("kafka-server-start.sh -daemon ".into())),
            ("kafka-topics.sh --cr", Completion::Line("kafka-topics.sh --create ".into())),
            (
                "kafka-topics.sh --create --partitions 3 --topic ex",
                Completion::Line("kafka-topics.sh --create --partitions 3 --topic exam-".into()),
            ),
            ("kafka-topics.sh --topic exam-끝", Completion::Line("kafka-topics.sh --topic exam-끝 ".into())),
            ("nothing --cr", Completion::None),
            ("", Completion::None),
        ];
        for (line, expected) in cases {
            assert_eq!(complete(line, &view()), expected, "{line}");
        }
    }

    #[test]
    fn an_option_is_offered_once() {
        let Completion::Choices(choices) = complete("kafka-topics.sh --create --", &view()) else {
            panic!("choices")
        };
        assert!(!choices.contains(&"--create".to_owned()));
        assert!(choices.contains(&"--partitions".to_owned()));
    }
}
