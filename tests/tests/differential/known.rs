//! Where Ottla is known to answer differently, and why. What is not listed here fails the test, and so does an entry
//! that nothing meets any more.

/// A difference that is known.
#[derive(Debug)]
pub struct Known {
    /// The family of scenarios, as its test names it.
    pub family: &'static str,
    pub scenario: &'static str,
    /// Each must differ.
    pub labels: &'static [&'static str],
    /// Parts of the paths that differ; each must be met.
    pub paths: &'static [&'static str],
    pub why: &'static str,
}

pub const KNOWN: &[Known] = &[];
