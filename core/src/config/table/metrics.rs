//! Metrics and client telemetry (KIP-714).

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// How often the older metrics reporters are asked to report.
    "kafka.metrics.polling.interval.secs" Int = "10", AtLeast(1), Low, ReadOnly, Ignored(JVM);
    /// Plugins that report the older kind of metrics.
    "kafka.metrics.reporters" List = "", Distinct, Low, ReadOnly, Ignored(JVM);
    /// Plugins that report metrics.
    "metric.reporters" List = "org.apache.kafka.common.metrics.JmxReporter", Distinct, Low, ClusterWide, Ignored(JVM);
    /// How many samples a metric remembers.
    "metrics.num.samples" Int = "2", AtLeast(1), Low, ReadOnly, Ignored(JVM);
    /// How detailed the recorded metrics are.
    "metrics.recording.level" String = "INFO", Any, Low, ReadOnly, Ignored(JVM);
    /// How long one sample of a metric lasts.
    "metrics.sample.window.ms" Long = "30000", AtLeast(1), Low, ReadOnly, Ignored(JVM);
    /// Most bytes of metrics that a client may push at once.
    "telemetry.max.bytes" Int = "1048576", AtLeast(1), Low, ReadOnly, Ignored(TELEMETRY);
}
