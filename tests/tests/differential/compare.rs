//! Two transcripts side by side; equal differences at several versions are told once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::known::{KNOWN, Known};
use crate::transcript::{Noted, Transcript};

/// (scenario, label, API, path, Apache Kafka's value, the other's).
type Difference = (String, String, String, String, String, String);

/// What was found so far.
#[derive(Debug, Default)]
pub struct Differences {
    pub answers: usize,
    found: BTreeMap<Difference, BTreeSet<i16>>,
}

impl Differences {
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Takes out what is known of this family, and says why it differs. What is known and was not met is an error.
    pub fn without_known(mut self, family: &str) -> Result<Self, String> {
        let known: Vec<&Known> = KNOWN.iter().filter(|known| known.family == family).collect();
        let mut unmet: BTreeSet<(usize, &str)> = BTreeSet::new();
        for (at, known) in known.iter().enumerate() {
            unmet.extend(known.labels.iter().chain(known.paths).map(|word| (at, *word)));
        }
        self.found.retain(|(scenario, label, _, path, ..), _| {
            let mut is_known = false;
            for (at, known) in known.iter().enumerate().filter(|(_, known)| known.scenario == scenario) {
                let word = known.paths.iter().find(|part| path.contains(**part));
                if let (Some(word), true) = (word, known.labels.contains(&label.as_str())) {
                    unmet.retain(|(of, other)| *of != at || (other != word && other != label));
                    println!("known: {scenario} / {label}, {path}: {}", known.why);
                    is_known = true;
                }
            }
            !is_known
        });
        let stale: Vec<String> = unmet
            .into_iter()
            .filter_map(|(at, word)| Some(format!("{}, {word}", known.get(at)?.scenario)))
            .collect();
        if stale.is_empty() { Ok(self) } else { Err(stale.join("\n")) }
    }

    /// Notes where the answers of a scenario differ.
    pub fn compare(&mut self, scenario: &str, expected: &Transcript, found: &Transcript) {
        let mut others = found.answers.iter().peekable();
        for answer in &expected.answers {
            match others.next_if(|other| other.label == answer.label) {
                Some(other) => self.answer(scenario, answer, other),
                None => self.note(scenario, answer, "(answer)", "there", "missing"),
            }
        }
        others.for_each(|other| self.note(scenario, other, "(answer)", "missing", "there"));
    }

    fn answer(&mut self, scenario: &str, expected: &Noted, found: &Noted) {
        self.answers += 1;
        let paths: BTreeSet<_> = expected.fields.keys().chain(found.fields.keys()).collect();
        let missing: Vec<&String> = paths
            .iter()
            .copied()
            .filter(|path| !(expected.fields.contains_key(*path) && found.fields.contains_key(*path)))
            .collect();
        for path in paths {
            // Of an element that only one has, the element is told and not each of its fields.
            let inside = |outer: &&String| {
                path.len() > outer.len()
                    && path.starts_with(outer.as_str())
                    && path[outer.len()..].starts_with(['.', '['])
            };
            if missing.iter().any(inside) {
                continue;
            }
            let value = |noted: &Noted| noted.fields.get(path).map_or("absent", String::as_str).to_owned();
            let (one, other) = (value(expected), value(found));
            if one != other {
                self.note(scenario, expected, path, &one, &other);
            }
        }
    }

    fn note(&mut self, scenario: &str, answer: &Noted, path: &str, expected: &str, found: &str) {
        let words = [scenario, &answer.label, answer.api.name(), path, expected, found];
        let [scenario, label, api, path, expected, found] = words.map(str::to_owned);
        self.found.entry((scenario, label, api, path, expected, found)).or_default().insert(answer.version);
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = None;
        for ((scenario, label, api, path, expected, found), versions) in &self.found {
            if before != Some((scenario, label)) {
                writeln!(out, "  {scenario} / {label} ({api})")?;
                before = Some((scenario, label));
            }
            let versions: Vec<_> = versions.iter().map(i16::to_string).collect();
            writeln!(out, "    v{}: {path}: {expected} | {found}", versions.join(","))?;
        }
        write!(out, "{} differences in {} answers", self.found.len(), self.answers)
    }
}
