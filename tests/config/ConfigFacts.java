import java.util.*;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.config.ConfigSynonym;
import org.apache.kafka.server.config.DynamicBrokerConfig;
import org.apache.kafka.server.config.QuotaConfig;
import org.apache.kafka.server.config.ServerTopicConfigSynonyms;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

/**
 * Prints what Apache Kafka itself says of its configuration keys, one tab-separated line per key:
 * scope, name, type, default (rendered as Kafka renders it; "<none>" without one, "<null>" for null), importance,
 * validator, update mode, internal or public, synonyms in order of precedence.
 *
 * Run: java -cp 'kafka/libs/*' ConfigFacts.java
 */
public class ConfigFacts {
    public static void main(String[] args) {
        Map<String, String> modes = DynamicBrokerConfig.dynamicConfigUpdateModes();
        for (ConfigDef.ConfigKey key : AbstractKafkaConfig.CONFIG_DEF.configKeys().values()) {
            List<String> synonyms = DynamicBrokerConfig.brokerConfigSynonyms(key.name, false);
            line("broker", key, modes.getOrDefault(key.name, "read-only"), String.join(",", synonyms));
        }
        for (ConfigDef.ConfigKey key : QuotaConfig.brokerQuotaConfigs().configKeys().values())
            line("broker", key, modes.getOrDefault(key.name, "read-only"), true, key.name);
        for (ConfigDef.ConfigKey key : QuotaConfig.userAndClientQuotaConfigs().configKeys().values())
            line("client-quota", key, "client-quota", "");
        for (ConfigDef.ConfigKey key : QuotaConfig.ipConfigs().configKeys().values())
            line("ip-quota", key, "ip-quota", "");
        for (ConfigDef.ConfigKey key : LogConfig.configKeys().values()) {
            List<String> synonyms = new ArrayList<>();
            for (ConfigSynonym s : ServerTopicConfigSynonyms.ALL_TOPIC_CONFIG_SYNONYMS.getOrDefault(key.name, List.of()))
                synonyms.add(s.name());
            line("topic", key, "topic", String.join(",", synonyms));
        }
        for (ConfigDef.ConfigKey key : GroupConfig.CONFIG_DEF.configKeys().values())
            line("group", key, "group", GroupConfig.brokerSynonym(key.name).orElse(""));
        for (ConfigDef.ConfigKey key : ClientMetricsConfigs.configDef().configKeys().values())
            line("client-metrics", key, "client-metrics", "");
    }

    private static void line(String scope, ConfigDef.ConfigKey key, String mode, String synonyms) {
        line(scope, key, mode, key.internalConfig, synonyms);
    }

    private static void line(String scope, ConfigDef.ConfigKey key, String mode, boolean internal, String synonyms) {
        String value = !key.hasDefault() ? "<none>"
            : key.defaultValue == null ? "<null>"
            : ConfigDef.convertToString(key.defaultValue, key.type);
        String validator = key.validator == null ? "" : key.validator.toString();
        System.out.println(String.join("\t", scope, key.name, key.type.name(), escape(value), key.importance.name(),
            escape(validator), mode, internal ? "internal" : "public", synonyms));
    }

    private static String escape(String text) {
        return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t");
    }
}
