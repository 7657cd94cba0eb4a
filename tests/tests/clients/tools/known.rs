//! Where a tool or a broker is known to say something else, and why. What is not listed fails the test, and so does what nothing meets any more.

/// A difference that is known.
pub struct Known {
    /// A part of the step, as the tool's name and the step's words.
    pub step: &'static str,
    /// How the name of the tool begins; empty for any.
    pub tool: &'static str,
    /// How the name of the broker ends.
    pub broker: &'static str,
    pub why: &'static str,
}

pub const KNOWN: &[Known] = &[
    Known {
        step: "kafka-features downgrade --release-version",
        tool: "",
        broker: "Ottla",
        why: "a release has features that are not built: they cannot be finalized",
    },
    Known {
        step: "kafka-broker-api-versions",
        tool: "",
        broker: "Ottla",
        why: "what is not built is not advertised",
    },
    Known {
        step: "kafka-reassign-partitions --execute --reassignment-json-file {dir}/broken.json",
        tool: "Ottla",
        broker: "",
        why: "where JSON is broken Java names the letter at which its parser stopped",
    },
    Known {
        step: "kafka-storage format -c {dir}/scram.properties",
        tool: "Ottla",
        broker: "",
        why: "credentials are stored, and set with kafka-configs, but not at the format yet: refused",
    },
    Known {
        step: "--print-metrics",
        tool: "Ottla",
        broker: "",
        why: "of metrics this client has a few, under Java's names",
    },
    Known { step: "--transactional-id", tool: "", broker: "Ottla", why: "transactions are not built" },
    Known { step: "--transactional-id", tool: "Ottla", broker: "", why: "transactions are not built" },
    Known {
        step: "--group-protocol consumer",
        tool: "",
        broker: "",
        why: "the group protocol of KIP-848 is not built",
    },
];
