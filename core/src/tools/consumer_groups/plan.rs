//! Offsets as `--export` writes them and `--from-file` reads them: CSV with or without the group.

use std::collections::BTreeMap;

use ottla_protocol::Str;

use crate::tools::failure::Refusal;
use crate::tools::partitions::TopicPartition;

/// Offsets by partition.
pub type Offsets = BTreeMap<TopicPartition, i64>;

/// Longer words are quoted by Kafka's writer, whatever is in them.
const UNQUOTED_MAX: usize = 24;

/// Reads `topic,partition,offset` of the one group that is named, or `group,topic,partition,offset`.
pub fn read(text: &str, group: Option<&Str>) -> Result<BTreeMap<Str, Offsets>, Refusal> {
    let lines: Vec<Vec<String>> = text.lines().filter(|line| !line.is_empty()).map(fields).collect();
    let group = group.filter(|_| lines.first().is_some_and(|line| row(line).is_some()));
    let mut plan: BTreeMap<Str, Offsets> = BTreeMap::new();
    for line in &lines {
        let (group, line) = match (group, line.split_first()) {
            (None, Some((of_line, rest))) => (Str::from(of_line.as_str()), rest),
            (group, _) => (group.cloned().unwrap_or_default(), line.as_slice()),
        };
        let Some((place, offset)) = row(line) else {
            let sentence = format!("java.io.IOException: Unreadable line: {}", line.join(","));
            return Err(Refusal::new("RuntimeException", sentence));
        };
        plan.entry(group).or_default().insert(place, offset);
    }
    Ok(plan)
}

/// What is missing at the end of a line is 0.
fn row(fields: &[String]) -> Option<(TopicPartition, i64)> {
    let number = |at: usize| fields.get(at).map_or(Some(0), |text| text.trim().parse().ok());
    let partition = i32::try_from(number(1)?).ok()?;
    let topic = fields.first().filter(|_| fields.len() <= 3)?;
    Some(((Str::from(topic.as_str()), partition), number(2)?))
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.trim_end_matches('\r').chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            letter => {
                if let Some(field) = fields.last_mut() {
                    field.push(letter);
                }
            }
        }
    }
    fields
}

/// A line for each partition.
pub fn written(plan: &BTreeMap<Str, Offsets>, with_groups: bool) -> String {
    let word = |word: &str| {
        let is_plain = word.len() <= UNQUOTED_MAX && word.chars().all(|letter| letter >= '-');
        if is_plain { word.to_owned() } else { format!("\"{}\"", word.replace('"', "\"\"")) }
    };
    let mut text = String::new();
    for (group, offsets) in plan {
        for ((topic, partition), offset) in offsets {
            let group = if with_groups { format!("{},", word(group)) } else { String::new() };
            text.push_str(&format!("{group}{},{partition},{offset}\n", word(topic)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let place = |topic: &str, partition| (Str::from(topic), partition);
        let offsets = |topic: &str| Offsets::from([(place(topic, 0), 7), (place(topic, 1), 0)]);
        let long = "a-topic-whose-name-is-rather-long";
        let plan = BTreeMap::from([(Str::from("g"), offsets("t")), (Str::from("h, i"), offsets(long))]);
        let text = written(&plan, true);
        assert_eq!(text, format!("g,t,0,7\ng,t,1,0\n\"h, i\",\"{long}\",0,7\n\"h, i\",\"{long}\",1,0\n"));
        assert_eq!(read(&text, None), Ok(plan));
        let single = BTreeMap::from([(Str::from("g"), offsets("t"))]);
        assert_eq!(read("t,0,7\nt,1\n", Some(&"g".into())), Ok(single));
        assert!(read("g,t,x,1\n", None).is_err());
    }
}
