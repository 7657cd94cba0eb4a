//! What differs between any two clusters, and the words for it.

use ottla_tests::peer::cluster::Cluster;
use ottla_tests::program::Ended;

/// How long the text of an id is.
const ID_LEN: usize = 22;
/// A voter of the quorum that leads or follows.
const VOTER: &str = "<leader or follower>";

/// The words `{brokers}`, `{broker:N}`, `{sasl:N}`, `{controllers}`, `{properties:N}` and `{file:NAME}`, as the cluster has them.
pub fn fill(cluster: &Cluster, argument: &str) -> String {
    let address = |port: u16| format!("127.0.0.1:{port}");
    let mut filled = argument.to_owned();
    while let Some((before, rest)) = filled.split_once('{') {
        // JSON is not ours.
        let Some((word, after)) = rest.split_once('}') else { break };
        let (name, which) = word.split_once(':').unwrap_or((word, ""));
        let text = match name {
            "brokers" => cluster.brokers(),
            "controllers" => cluster.bootstrap(),
            "broker" => address(cluster.ports(which.parse().expect("an id")).1),
            "sasl" => address(cluster.ports(which.parse().expect("an id")).0),
            "properties" => cluster.properties(which.parse().expect("an id")).display().to_string(),
            "directory" => super::directory(cluster, which.parse().expect("an id")),
            "file" => cluster.directory().join(which).display().to_string(),
            _ => panic!("no word {name}"),
        };
        filled = format!("{before}{text}{after}");
    }
    filled
}

/// What a tool said and how it ended, in lines.
pub fn mask(cluster: &Cluster, ended: &Ended) -> String {
    let mut lines: Vec<String> = vec![format!("exit code {:?}", ended.code)];
    for (name, text) in [("out", &ended.out), ("err", &ended.err)] {
        // Where in its own code a tool was is not what the cluster said.
        let is_trace = |line: &str| line.starts_with("\tat ") || line.starts_with("\t... ");
        // Keys that Apache Kafka does not have.
        let is_own = |line: &str| line.starts_with("  ottla.");
        // And features that are not built yet.
        let is_to_come = |line: &str| {
            let named = |feature: &str| line.starts_with(&format!("Feature: {feature}.version"));
            ["group", "share", "streams", "transaction"].iter().any(|feature| named(feature))
        };
        let said = text.lines().filter(|line| !is_trace(line) && !is_own(line) && !is_to_come(line));
        let mut masked: Vec<String> =
            said.map(|line| format!("{name}: {}", mask_quorum(&mask_line(cluster, line)))).collect();
        // Who leads comes first.
        if masked.iter().any(|line| line.contains(VOTER)) {
            masked.sort();
        }
        lines.append(&mut masked);
    }
    lines.join("\n")
}

/// Id and HMAC of the delegation token that is told of: the HMAC is 64 bytes in base 64, after the id.
pub fn token(text: &str) -> Option<(String, String)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words.iter().position(|word| word.len() == 88 && word.ends_with("=="))?;
    Some((words[at.checked_sub(1)?].to_owned(), words[at].to_owned()))
}

/// What is said of tokens without what differs: what was drawn, and dates.
pub fn mask_token(token: Option<&(String, String)>, text: &str) -> String {
    let text = match token {
        Some((id, hmac)) => text.replace(hmac, "<hmac>").replace(id, "<token>"),
        None => text.to_owned(),
    };
    let is_date = |word: &str| word.len() == 16 && word.starts_with("20") && word.contains('T');
    let line = |line: &str| {
        let words = line.split_whitespace().map(|word| if is_date(word) { "<date>" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn mask_line(cluster: &Cluster, line: &str) -> String {
    let line = line.replace(&cluster.directory().display().to_string(), "<directory>");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut masked = String::new();
    let mut rest = line.as_str();
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        masked.push_str(&mask_word(cluster, word));
        let next = after.find(is_word).unwrap_or(after.len());
        masked.push_str(&after[..next]);
        rest = &after[next..];
    }
    // Voters are a set, too.
    if let Some((before, (voters, after))) =
        masked.split_once("[ReplicaKey").and_then(|(before, rest)| Some((before, rest.split_once(']')?)))
    {
        let mut voters: Vec<&str> = voters.split(", ReplicaKey").collect();
        voters.sort_unstable();
        masked = format!("{before}[{}]{after}", voters.join(", "));
    }
    // Columns are as wide as what was masked.
    let mut words: Vec<String> = masked.split_whitespace().map(str::to_owned).collect();
    // In-sync replicas are a set.
    if let Some(isr) = words.iter().position(|word| word == "Isr:").and_then(|at| words.get_mut(at + 1)) {
        let mut replicas: Vec<&str> = isr.split(',').collect();
        replicas.sort_unstable();
        *isr = replicas.join(",");
    }
    words.join(" ")
}

fn mask_word(cluster: &Cluster, word: &str) -> String {
    let port = |id: usize| {
        let (controller, broker) = cluster.ports(id);
        let is = |port: u16| word == port.to_string();
        is(controller).then(|| format!("<controller {id}>")).or(is(broker).then(|| format!("<broker {id}>")))
    };
    match word.len() {
        13 if word.starts_with("17") && word.bytes().all(|byte| byte.is_ascii_digit()) => "<time>".to_owned(),
        ID_LEN if is_id(word) => "<id>".to_owned(),
        _ => (1..=cluster.nodes()).find_map(port).unwrap_or_else(|| word.to_owned()),
    }
}

/// A random id, and none that a first voter was given.
fn is_id(word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_uppercase())
        && word.contains(|c: char| c.is_ascii_lowercase())
        && !word.starts_with("ottlaOttla")
}

/// What a tool says of a quorum, without its numbers, which differ from one moment to the next.
fn mask_quorum(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    // Who leads the quorum.
    let leader = words.windows(2).position(|pair| *pair == ["Local", "controller"]);
    if let Some(number) = leader.and_then(|at| words.get_mut(at + 2)) {
        *number = "<number>";
    }
    match words.as_mut_slice() {
        // The offset of the metadata that was looked at.
        ["Feature:", .., "Epoch:", number] => *number = "<number>",
        [
            "LeaderId:" | "LeaderEpoch:" | "HighWatermark:" | "MaxFollowerLag:" | "MaxFollowerLagTimeMs:",
            number,
        ] => {
            *number = "<number>";
        }
        // Its id, its directory, its offset, its lag, two times (that of an observer that has only begun is −1) and its place.
        [_, _, numbers @ .., place @ ("Leader" | "Follower" | "Observer")] => {
            numbers.iter_mut().for_each(|number| *number = "<number>");
            if *place != "Observer" {
                *place = VOTER;
            }
        }
        _ => {}
    }
    words.join(" ")
}
