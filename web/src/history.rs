//! The lines that were entered in one terminal, walked with ↑ and ↓.

const LINES_MAX: usize = 200;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    lines: Vec<String>,
    /// Where the walk stands; `lines.len()` is the line being written.
    at: usize,
    draft: String,
}

impl History {
    /// Remembers an entered line; blank lines and repetitions are not worth a step.
    pub fn push(&mut self, line: &str) {
        if !line.trim().is_empty() && self.lines.last().is_none_or(|last| last != line) {
            self.lines.push(line.to_owned());
            if self.lines.len() > LINES_MAX {
                self.lines.remove(0);
            }
        }
        self.at = self.lines.len();
        self.draft.clear();
    }

    /// The line before; `current` is kept as the draft when the walk begins.
    pub fn older(&mut self, current: &str) -> Option<String> {
        let before = self.at.checked_sub(1)?;
        if self.at == self.lines.len() {
            self.draft = current.to_owned();
        }
        self.at = before;
        self.lines.get(before).cloned()
    }

    /// The line after, the draft at the end.
    pub fn newer(&mut self) -> Option<String> {
        if self.at >= self.lines.len() {
            return None;
        }
        self.at += 1;
        Some(self.lines.get(self.at).unwrap_or(&self.draft).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_there_and_back_keeps_the_draft() {
        let mut history = History::default();
        ["jps", "ls", "ls", "  "].iter().for_each(|line| history.push(line));
        assert_eq!(history.older("kaf"), Some("ls".into()));
        assert_eq!(history.older("ls"), Some("jps".into()));
        assert_eq!(history.older("jps"), None);
        assert_eq!(history.newer(), Some("ls".into()));
        assert_eq!(history.newer(), Some("kaf".into()));
        assert_eq!(history.newer(), None);
    }
}
