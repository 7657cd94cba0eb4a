import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.*;
import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import java.util.stream.*;
import com.fasterxml.jackson.databind.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.connect.cli.ConnectDistributed;

/**
 * Kafka Connect, distributed over two workers, with its file connectors: java Connect BOOTSTRAP DIRECTORY
 *
 * Lines of a file go through a topic into another file; a worker leaves, the other takes over, none is lost and none comes twice.
 */
public class Connect {
    static final Duration WAIT = Duration.ofSeconds(60);
    static final HttpClient HTTP = HttpClient.newHttpClient();
    static final ObjectMapper JSON = new ObjectMapper();
    static final String TOPIC = "connect-lines";

    public static void main(String[] arguments) {
        int code = 1;
        try {
            run(arguments);
            code = 0;
        } catch (Throwable error) {
            error.printStackTrace();
        }
        // Without its hooks: those of Connect and of its HTTP server may wait for each other.
        Runtime.getRuntime().halt(code);
    }

    static void run(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        Path source = Path.of(arguments[1], "source.txt"), sink = Path.of(arguments[1], "sink.txt");
        int[] ports = {freePort(), freePort()};
        var workers = new ArrayList<org.apache.kafka.connect.runtime.Connect<?>>();
        for (int port : ports) workers.add(new ConnectDistributed().startConnect(settings(bootstrap, port)));
        String first = "http://127.0.0.1:" + ports[0], second = "http://127.0.0.1:" + ports[1];

        List<String> lines = new ArrayList<>();
        write(source, lines, 500);
        // Whichever worker is asked, the leader is told.
        configure(first, "lines-in", Map.of("connector.class", "FileStreamSource", "tasks.max", "1",
            "file", source.toString(), "topic", TOPIC));
        configure(second, "lines-out", Map.of("connector.class", "FileStreamSink", "tasks.max", "2",
            "file", sink.toString(), "topics", TOPIC));
        for (String worker : List.of(first, second))
            for (String connector : List.of("lines-in", "lines-out")) runs(worker, connector);
        until("the first lines", () -> read(sink).equals(lines), () -> read(sink).size());

        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            for (var entry : Map.of("connect-configs", 1, "connect-offsets", 25, "connect-status", 5).entrySet()) {
                TopicDescription topic = admin.describeTopics(List.of(entry.getKey())).allTopicNames().get().get(entry.getKey());
                same(entry.getValue(), topic.partitions().size());
                ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, entry.getKey());
                same("compact", admin.describeConfigs(List.of(resource)).all().get().get(resource).get("cleanup.policy").value());
            }
            GroupListing group = admin.listGroups().all().get().stream().filter(listed -> listed.groupId().equals("connect-workers")).findFirst().get();
            same("connect", group.protocol());
            until("what was read is committed", () -> admin.listConsumerGroupOffsets("connect-lines-out").partitionsToOffsetAndMetadata().get()
                .values().stream().mapToLong(OffsetAndMetadata::offset).sum() == lines.size(), () -> "");
        }
        enveloped(bootstrap, lines);

        // Paused, nothing moves; resumed, all of it.
        put(first + "/connectors/lines-out/pause", "");
        until("paused", () -> state(second, "lines-out").equals("PAUSED"), () -> state(second, "lines-out"));
        List<String> shown = read(sink);
        write(source, lines, 100);
        put(second + "/connectors/lines-out/resume", "");
        until("the lines written meanwhile", () -> read(sink).equals(lines), () -> read(sink).size());
        check(shown.size() == 500, shown.size());

        // A worker leaves: the other has everything, and goes on where it was.
        workers.get(0).stop();
        workers.get(0).awaitStop();
        until("one worker has all", () -> task(second, "lines-in").endsWith(":" + ports[1]) && task(second, "lines-out").endsWith(":" + ports[1]),
            () -> task(second, "lines-in") + " " + task(second, "lines-out"));
        runs(second, "lines-in");
        runs(second, "lines-out");
        write(source, lines, 100);
        until("the lines of the second worker", () -> read(sink).equals(lines), () -> read(sink).size());
        same(source.toString(), offset(second).get("partition").get("filename").asText());
        until("the source's offset", () -> offset(second).get("offset").get("position").asLong() == Files.size(source), () -> offset(second));

        for (String connector : List.of("lines-in", "lines-out")) send("DELETE", second + "/connectors/" + connector, "", 204);
        until("deleted", () -> get(second + "/connectors").isEmpty(), () -> "");
        workers.get(1).stop();
        workers.get(1).awaitStop();
    }

    static Map<String, String> settings(String bootstrap, int port) {
        Map<String, String> settings = new HashMap<>(Map.of(
            "bootstrap.servers", bootstrap, "group.id", "connect-workers", "listeners", "http://127.0.0.1:" + port,
            "key.converter", "org.apache.kafka.connect.json.JsonConverter",
            "value.converter", "org.apache.kafka.connect.json.JsonConverter",
            "offset.flush.interval.ms", "200", "scheduled.rebalance.max.delay.ms", "0"));
        for (String storage : List.of("config", "offset", "status")) {
            settings.put(storage + ".storage.topic", "connect-" + (storage.equals("status") ? storage : storage + "s"));
            settings.put(storage + ".storage.replication.factor", "1");
        }
        return settings;
    }

    /** The converter's envelope is in the records. */
    static void enveloped(String bootstrap, List<String> lines) throws Exception {
        Map<String, Object> consuming = Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest");
        List<String> found = new ArrayList<>();
        try (Consumer<String, String> consumer = new KafkaConsumer<>(consuming, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(new TopicPartition(TOPIC, 0)));
            until("the topic's records", () -> {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    JsonNode value = JSON.readTree(record.value());
                    same("string", value.get("schema").get("type").asText());
                    found.add(value.get("payload").asText());
                }
                return found.size() >= lines.size();
            }, found::size);
        }
        same(lines, found);
    }

    static void write(Path file, List<String> lines, int count) throws IOException {
        List<String> more = IntStream.range(lines.size(), lines.size() + count).mapToObj(n -> "line " + n).toList();
        lines.addAll(more);
        Files.write(file, more, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    static List<String> read(Path file) throws IOException {
        return Files.exists(file) ? Files.readAllLines(file) : List.of();
    }

    static void configure(String worker, String connector, Map<String, String> config) throws Exception {
        // 409 while the workers are sharing out.
        until(connector + " is configured", () -> {
            int status = request("PUT", worker + "/connectors/" + connector + "/config", JSON.writeValueAsString(config)).statusCode();
            check(status == 201 || status == 409, status);
            return status == 201;
        }, () -> "");
    }

    static void runs(String worker, String connector) throws Exception {
        until(connector + " runs", () -> state(worker, connector).equals("RUNNING") && !task(worker, connector).isEmpty(), () -> state(worker, connector));
    }

    static String state(String worker, String connector) throws Exception {
        JsonNode status = JSON.readTree(request("GET", worker + "/connectors/" + connector + "/status", "").body());
        List<String> states = status.findValuesAsText("state");
        return states.stream().distinct().count() == 1 ? states.get(0) : states.toString();
    }

    /** Who has the connector's tasks. */
    static String task(String worker, String connector) throws Exception {
        JsonNode tasks = JSON.readTree(request("GET", worker + "/connectors/" + connector + "/status", "").body()).path("tasks");
        return tasks.findValuesAsText("worker_id").stream().distinct().collect(Collectors.joining(" "));
    }

    /** How far the source has come, as its task has committed it. */
    static JsonNode offset(String worker) throws Exception {
        return get(worker + "/connectors/lines-in/offsets").get("offsets").get(0);
    }

    static JsonNode get(String address) throws Exception {
        return JSON.readTree(send("GET", address, "", 200));
    }

    static void put(String address, String body) throws Exception {
        send("PUT", address, body, 202);
    }

    static String send(String method, String address, String body, int expected) throws Exception {
        HttpResponse<String> response = request(method, address, body);
        check(response.statusCode() == expected, method + " " + address + ": " + response.statusCode() + " " + response.body());
        return response.body();
    }

    static HttpResponse<String> request(String method, String address, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(address)).header("Content-Type", "application/json")
            .method(method, HttpRequest.BodyPublishers.ofString(body)).build();
        return HTTP.send(request, HttpResponse.BodyHandlers.ofString());
    }

    static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    interface Condition<T> {
        T get() throws Exception;
    }

    static void until(String what, Condition<Boolean> condition, Condition<Object> seen) throws Exception {
        long end = System.nanoTime() + WAIT.toNanos();
        while (!condition.get()) {
            check(System.nanoTime() < end, "not in time: " + what + "; seen: " + seen.get());
            Thread.sleep(50);
        }
    }

    static void check(boolean holds, Object what) {
        if (!holds) throw new AssertionError(String.valueOf(what));
    }

    static void same(Object expected, Object found) {
        check(Objects.equals(expected, found), "expected " + expected + ", found " + found);
    }
}
