//! Topics and cluster-wide policies.

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// Plugin that may veto changes of configuration.
    "alter.config.policy.class.name" Class = null, Any, Low, ReadOnly, NotBuilt;
    /// Whether a topic comes into being when a client first asks for it.
    "auto.create.topics.enable" Boolean = "true", Any, High, ReadOnly, Honoured;
    /// Names of plugins that fill in values from elsewhere.
    "config.providers" List = "", Distinct, Low, ClusterWide, Ignored(JVM);
    /// Plugin that may veto new topics.
    "create.topic.policy.class.name" Class = null, Any, Low, ReadOnly, NotBuilt;
    /// Whether topics can be deleted.
    "delete.topic.enable" Boolean = "true", Any, High, ReadOnly, Honoured;
    /// Partitions of a topic whose creation names no number.
    "num.partitions" Int = "1", AtLeast(1), Medium, ReadOnly, Honoured;
}
