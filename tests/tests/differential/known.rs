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

pub const KNOWN: &[Known] = &[
    Known {
        family: "find-coordinator",
        scenario: "all",
        labels: &["a share partition by its key"],
        paths: &["ErrorCode"],
        why: "share groups are not built: a retriable refusal would have clients ask for ever",
    },
    Known {
        family: "malformed",
        scenario: "bodies",
        labels: &["InitProducerId v0: text that is none", "InitProducerId v1: text that is none"],
        paths: &["ErrorCode"],
        why: "transactions are not built: a retriable refusal would have clients ask for ever",
    },
];
