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
    quotas("--user"),
    quotas("--client-defaults"),
    quotas("--ip"),
    quotas("--entity-type users"),
    quotas("--entity-type ips"),
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
];

const fn quotas(step: &'static str) -> Known {
    let why = "brokers do not serve the limits of clients and SCRAM credentials yet";
    Known { step, tool: "", broker: "Ottla", why }
}
