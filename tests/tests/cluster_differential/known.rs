//! Where Ottla is known to answer differently, and why. What is not listed here fails the test, and so does an entry that nothing meets any more.

/// A difference that is known.
pub struct Known {
    /// A part of the step, as it is printed.
    pub step: &'static str,
    pub why: &'static str,
}

pub const KNOWN: &[Known] = &[
    Known {
        step: "--add-config kafka.server.KafkaApis=LOUD --entity-type broker-loggers --entity-name 1",
        why: "the loggers of a JVM have no counterpart: there are none to be set, and the tool says so",
    },
    Known {
        step: "--add-config kafka.server.KafkaApis=LOUD --entity-type broker-loggers --entity-name 2",
        why: "the same",
    },
    Known {
        step: "--add-config ssl.keystore.location=/nowhere",
        why: "TLS is not built: a setting that cannot be honoured is refused for that reason first",
    },
];
