//! Topics by regular expression, as Kafka's tools filter them.

use std::fmt;

use regex_lite::Regex;

/// Which names are meant.
#[derive(Clone)]
pub struct Pattern {
    /// As it was given.
    text: Option<String>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Any,
    Literal,
    Regex(Regex),
}

impl Pattern {
    /// Every name.
    pub fn any() -> Self {
        Self { text: None, kind: Kind::Any }
    }

    /// One name.
    pub fn literal(name: &str) -> Self {
        Self { text: Some(name.to_owned()), kind: Kind::Literal }
    }

    /// A regular expression that has to match the whole name; commas separate alternatives, quotes around it are dropped.
    pub fn parse(text: &str) -> Result<Self, String> {
        let cleaned = text.trim().replace(',', "|").replace(' ', "");
        let cleaned = cleaned.trim_start_matches(['"', '\'']).trim_end_matches(['"', '\'']);
        let regex = Regex::new(&format!("^(?:{cleaned})$"));
        let regex = regex.map_err(|_| format!("{cleaned} is an invalid regex."))?;
        Ok(Self { text: Some(text.to_owned()), kind: Kind::Regex(regex) })
    }

    /// As it was given.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Whether a name is meant.
    pub fn matches(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Any => true,
            Kind::Literal => self.text.as_deref() == Some(name),
            Kind::Regex(regex) => regex.is_match(name),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn the_whole_name_has_to_match() {
        let pattern = Pattern::parse("a,b.*").unwrap();
        assert!(pattern.matches("a") && pattern.matches("b") && pattern.matches("b.x"));
        assert!(!pattern.matches("ab") && !pattern.matches("xb"));
        assert!(Pattern::parse("(").is_err());
    }
}
