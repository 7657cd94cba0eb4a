// Writes core/src/record/testdata with Apache Kafka's own classes: batches and message sets of every codec, control
// batches, compacted batches, and the verdicts of its validator on produced batches.
//
//   javac -cp 'libs/*' -d out tests/records/RecordFixtures.java
//   java -cp 'libs/*:out' RecordFixtures core/src/record/testdata

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.KRaftVersionRecord;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.message.SnapshotFooterRecord;
import org.apache.kafka.common.message.SnapshotHeaderRecord;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.utils.BufferSupplier;
import org.apache.kafka.common.utils.ByteBufferOutputStream;
import org.apache.kafka.common.utils.Crc32C;
import org.apache.kafka.common.utils.PrimitiveRef;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.common.utils.Timer;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.LogValidator;
import org.apache.kafka.storage.internals.log.RecordValidationException;

public class RecordFixtures {
    static final long T = 1700000000000L;
    static final long NOW = T + 1000;
    static final TimestampType CREATE = TimestampType.CREATE_TIME;
    static final TimestampType APPEND = TimestampType.LOG_APPEND_TIME;

    public static void main(String[] args) throws IOException {
        Path folder = Path.of(args[0]);
        Files.write(folder.resolve("kafka.txt"), kafka());
        Files.write(folder.resolve("validate.txt"), verdicts());
        byte[] text = text();
        for (String codec : List.of("gzip", "snappy", "lz4", "zstd"))
            writeLong(folder, "long-" + codec, Compression.of(codec).build(), text);
        writeLong(folder, "long-zstd-19", Compression.zstd().level(19).build(), text);
    }

    // Batches.

    static List<String> kafka() {
        List<String> lines = new ArrayList<>();
        lines.add("# Written by Apache Kafka 4.3.1 (MemoryRecords); name, then the bytes. What they hold is in tests.rs.");
        for (CompressionType type : CompressionType.values()) {
            Compression codec = Compression.of(type).build();
            put(lines, "v2-" + type.name, MemoryRecords.withRecords((byte) 2, 1234L, codec, CREATE, 42L, (short) 3, 7, 5, true, rows(true)));
            if (type == CompressionType.ZSTD) continue;
            put(lines, "v0-" + type.name, MemoryRecords.withRecords((byte) 0, 20L, codec, rows(false)));
            put(lines, "v1-" + type.name, MemoryRecords.withRecords((byte) 1, 20L, codec, rows(false)));
        }
        MemoryRecordsBuilder append = MemoryRecords.builder(ByteBuffer.allocate(4096), (byte) 2, Compression.NONE, APPEND, 9L, 1800000000000L);
        for (SimpleRecord row : rows(true)) append.append(row);
        put(lines, "v2-log-append-time", append.build());
        MemoryRecordsBuilder horizon = new MemoryRecordsBuilder(new ByteBufferOutputStream(ByteBuffer.allocate(4096)), (byte) 2,
            Compression.NONE, CREATE, 100L, RecordBatch.NO_TIMESTAMP, -1L, (short) -1, -1, false, false, 4, 4096, 1750000000000L);
        horizon.appendWithOffset(100L, T, bytes("a"), bytes("1"));
        horizon.appendWithOffset(107L, T + 9, bytes("b"), null);
        put(lines, "v2-delete-horizon", horizon.build());
        put(lines, "marker-commit", MemoryRecords.withEndTransactionMarker(55L, T, 6, 42L, (short) 3, new EndTransactionMarker(ControlRecordType.COMMIT, 11)));
        put(lines, "marker-abort", MemoryRecords.withEndTransactionMarker(55L, T, 6, 42L, (short) 3, new EndTransactionMarker(ControlRecordType.ABORT, 11)));
        LeaderChangeMessage leader = new LeaderChangeMessage().setLeaderId(1).setVoters(List.of(new LeaderChangeMessage.Voter().setVoterId(1)));
        put(lines, "leader-change", MemoryRecords.withLeaderChangeMessage(7L, T, 3, ByteBuffer.allocate(256), leader));
        put(lines, "snapshot-header", MemoryRecords.withSnapshotHeaderRecord(0L, T, 3, ByteBuffer.allocate(256), new SnapshotHeaderRecord().setLastContainedLogTimestamp(5)));
        put(lines, "snapshot-footer", MemoryRecords.withSnapshotFooterRecord(9L, T, 3, ByteBuffer.allocate(256), new SnapshotFooterRecord()));
        put(lines, "kraft-version", MemoryRecords.withKRaftVersionRecord(1L, T, 3, ByteBuffer.allocate(256), new KRaftVersionRecord().setKRaftVersion((short) 1)));
        MemoryRecords whole = MemoryRecords.withRecords((byte) 2, 1234L, Compression.NONE, CREATE, 42L, (short) 3, 7, 5, true, rows(true));
        filter(lines, "filter-some", whole, Set.of(1235L, 1236L));
        filter(lines, "filter-none-left", whole, Set.of());
        filter(lines, "filter-all", whole, Set.of(1234L, 1235L, 1236L, 1237L));
        return lines;
    }

    static SimpleRecord[] rows(boolean withHeaders) {
        Header[] headers = withHeaders ? new Header[] {new RecordHeader("h", bytes("x")), new RecordHeader("empty", null)} : new Header[0];
        return new SimpleRecord[] {
            new SimpleRecord(T, bytes("k1"), bytes("value one"), headers),
            new SimpleRecord(T + 5, (byte[]) null, bytes("keyless")),
            new SimpleRecord(T - 10, bytes("tombstone"), null),
            new SimpleRecord(T + 400, bytes(""), bytes("r".repeat(300))),
        };
    }

    static void filter(List<String> lines, String name, MemoryRecords records, Set<Long> kept) {
        MemoryRecords.RecordFilter filter = new MemoryRecords.RecordFilter(T + 100000, 50000L) {
            @Override protected BatchRetentionResult checkBatchRetention(RecordBatch batch) {
                return new BatchRetentionResult(BatchRetention.RETAIN_EMPTY, false);
            }
            @Override protected boolean shouldRetainRecord(RecordBatch batch, org.apache.kafka.common.record.internal.Record record) {
                return kept.contains(record.offset());
            }
        };
        ByteBuffer output = records.filterTo(filter, ByteBuffer.allocate(4096), BufferSupplier.NO_CACHING).outputBuffer();
        output.flip();
        lines.add(name + " " + hex(output));
    }

    static byte[] text() {
        StringBuilder text = new StringBuilder();
        long state = 12345;
        for (int i = 0; i < 9000; i++) {
            state = state * 6364136223846793005L + 1442695040888963407L;
            text.append(state >>> 59).append(i % 3 == 0 ? " offset " : " leader epoch ");
        }
        return bytes(text.toString());
    }

    static void writeLong(Path folder, String name, Compression codec, byte[] text) throws IOException {
        ByteBuffer batch = MemoryRecords.withRecords((byte) 2, 0L, codec, CREATE, new SimpleRecord(1L, bytes("k"), text)).buffer();
        byte[] array = new byte[batch.remaining()];
        batch.get(array);
        Files.write(folder.resolve(name + ".batch"), array);
    }

    // Verdicts.

    record Rules(TimestampType timestampType, boolean isCompacted, long beforeMaxMs, long afterMaxMs, String compression) {}

    static List<String> verdicts() {
        List<String> lines = new ArrayList<>();
        lines.add("# What Apache Kafka 4.3.1 (LogValidator) makes of produced batches at offset 77, leader epoch 5 and now = 1700000001000:");
        lines.add("# name, message.timestamp.type, compacted, message.timestamp.before.max.ms, message.timestamp.after.max.ms,");
        lines.add("# compression.type, the bytes; then either \"ok\" and the bytes for the log, or \"error\", its name and the indexes of the");
        lines.add("# rejected records.");
        Rules usual = new Rules(CREATE, false, Long.MAX_VALUE, 3600000L, "producer");
        Rules appended = new Rules(APPEND, false, 10, 10, "producer");
        Rules compacted = new Rules(CREATE, true, Long.MAX_VALUE, 3600000L, "producer");
        SimpleRecord[] good = {row(T, "a", "1"), row(T + 20, "b", "2"), row(T + 10, "c", "3")};
        SimpleRecord[] keyless = {row(T, "a", "1"), row(T + 20, null, "2"), row(T + 10, null, "3")};
        SimpleRecord[] times = {row(T - 5000, "a", "1"), row(T, "b", "2"), row(T + 9000, "c", "3"), row(-1, "d", "4")};
        for (String codec : List.of("none", "gzip")) {
            ByteBuffer plain = batch(codec, CREATE, -1, -1, false, good);
            ByteBuffer idempotent = batch(codec, CREATE, 9, 4, true, good);
            ByteBuffer clientAppend = batch(codec, APPEND, -1, -1, false, good);
            verdict(lines, "good-" + codec, plain, usual);
            verdict(lines, "idempotent-" + codec, idempotent, usual);
            verdict(lines, "append-time-" + codec, idempotent, appended);
            verdict(lines, "client-append-time-" + codec, clientAppend, usual);
            verdict(lines, "client-append-time-both-" + codec, clientAppend, appended);
            verdict(lines, "compacted-" + codec, plain, compacted);
            verdict(lines, "keyless-" + codec, batch(codec, CREATE, -1, -1, false, keyless), compacted);
            verdict(lines, "times-" + codec, batch(codec, CREATE, -1, -1, false, times), new Rules(CREATE, false, 6000, 8000, "producer"));
            verdict(lines, "times-edge-" + codec, batch(codec, CREATE, -1, -1, false, times), new Rules(CREATE, false, 5999, 7999, "producer"));
            verdict(lines, "times-and-keys-" + codec, batch(codec, CREATE, -1, -1, false, row(T - 50000, null, "1"), row(T - 50000, "k", "1")), new Rules(CREATE, true, 5999, 7999, "producer"));
            verdict(lines, "no-timestamps-" + codec, batch(codec, CREATE, -1, -1, false, row(-1, "a", "1"), row(-1, "b", "2")), new Rules(CREATE, false, 1, 1, "producer"));
            verdict(lines, "wrong-max-timestamp-" + codec, changed(plain, b -> b.putLong(35, T + 999999)), usual);
            ByteBuffer badCrc = changed(plain, b -> {});
            badCrc.put(17, (byte) (badCrc.get(17) ^ 1));
            verdict(lines, "bad-crc-" + codec, badCrc, usual);
            verdict(lines, "count-low-" + codec, changed(plain, b -> b.putInt(57, 2).putInt(23, 1)), usual);
            verdict(lines, "count-high-" + codec, changed(plain, b -> b.putInt(57, 4).putInt(23, 3)), usual);
            verdict(lines, "count-zero-" + codec, changed(plain, b -> b.putInt(57, 0).putInt(23, -1)), usual);
            verdict(lines, "delta-mismatch-" + codec, changed(plain, b -> b.putInt(23, 7)), usual);
            verdict(lines, "control-" + codec, changed(plain, b -> b.putShort(21, (short) (b.getShort(21) | 0x20))), usual);
            verdict(lines, "no-sequence-" + codec, changed(plain, b -> b.putLong(43, 9)), usual);
            verdict(lines, "delete-horizon-" + codec, changed(plain, b -> b.putShort(21, (short) (b.getShort(21) | 0x40))), usual);
            verdict(lines, "two-batches-" + codec, ByteBuffer.allocate(2 * plain.remaining()).put(plain.duplicate()).put(plain.duplicate()).flip(), usual);
            for (byte magic = 0; magic < 2; magic++) {
                String name = "legacy" + magic;
                Compression compression = Compression.of(codec).build();
                ByteBuffer set = MemoryRecords.withRecords(magic, 0L, compression, good).buffer();
                verdict(lines, name + "-" + codec, set, usual);
                verdict(lines, name + "-append-time-" + codec, set, appended);
                verdict(lines, name + "-keyless-" + codec, MemoryRecords.withRecords(magic, 0L, compression, keyless).buffer(), compacted);
            }
            for (String target : List.of("uncompressed", "gzip", "lz4"))
                verdict(lines, "to-" + target + "-" + codec, idempotent, new Rules(CREATE, false, Long.MAX_VALUE, 3600000, target));
            verdict(lines, "to-uncompressed-append-time-" + codec, idempotent, new Rules(APPEND, false, Long.MAX_VALUE, 3600000, "uncompressed"));
        }
        for (String codec : List.of("none", "gzip")) {
            MemoryRecordsBuilder gaps = MemoryRecords.builder(ByteBuffer.allocate(8192), (byte) 2, Compression.of(codec).build(), CREATE, 0L, T + 3, -1L, (short) -1, -1, false, false, -1);
            gaps.appendWithOffset(0, good[0]);
            gaps.appendWithOffset(5, good[1]);
            gaps.appendWithOffset(9, good[2]);
            verdict(lines, "gaps-" + codec, changed(gaps.build().buffer(), b -> b.putInt(23, 2)), usual);
        }
        verdict(lines, "bad-gzip", changed(batch("gzip", CREATE, -1, -1, false, good), b -> {
            for (int i = 75; i < 85; i++) b.put(i, (byte) 0xEE);
        }), usual);
        verdict(lines, "codec-7", changed(batch("none", CREATE, -1, -1, false, good), b -> b.putShort(21, (short) 7)), usual);
        return lines;
    }

    static void verdict(List<String> lines, String name, ByteBuffer input, Rules rules) {
        String line = String.join(" ", name, rules.timestampType == CREATE ? "create" : "append", "" + rules.isCompacted,
            "" + rules.beforeMaxMs, "" + rules.afterMaxMs, rules.compression, hex(input)) + " ";
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.allocate(input.remaining()).put(input.duplicate()).flip());
        try {
            CompressionType source = CompressionType.NONE;
            for (MutableRecordBatch batch : records.batches()) {
                batch.ensureValid();
                if (batch.compressionType() != CompressionType.NONE) source = batch.compressionType();
            }
            String target = switch (rules.compression) {
                case "producer" -> source.name;
                case "uncompressed" -> "none";
                default -> rules.compression;
            };
            LogValidator validator = new LogValidator(records, new TopicPartition("t", 0), new FixedTime(), source, Compression.of(target).build(),
                rules.isCompacted, (byte) 2, rules.timestampType, rules.beforeMaxMs, rules.afterMaxMs, 5, AppendOrigin.CLIENT);
            LogValidator.ValidationResult result = validator.validateMessagesAndAssignOffsets(PrimitiveRef.ofLong(77), new NoMetrics(), BufferSupplier.NO_CACHING);
            line += "ok " + hex(result.validatedRecords().buffer());
        } catch (RecordValidationException e) {
            line += "error " + Errors.forException(e.invalidException());
            for (var record : e.recordErrors()) line += " " + record.batchIndex;
        } catch (RuntimeException e) {
            line += "error " + Errors.forException(e);
        }
        lines.add(line);
    }

    static ByteBuffer batch(String codec, TimestampType type, long producerId, int sequence, boolean isTransactional, SimpleRecord... rows) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(8192), (byte) 2, Compression.of(codec).build(), type, 0L, T + 3,
            producerId, (short) (producerId < 0 ? -1 : 1), sequence, isTransactional, false, -1);
        for (SimpleRecord row : rows) builder.append(row);
        return builder.build().buffer();
    }

    /** A copy of a batch with something changed, under the right checksum. */
    static ByteBuffer changed(ByteBuffer batch, Consumer<ByteBuffer> change) {
        ByteBuffer copy = ByteBuffer.allocate(batch.remaining()).put(batch.duplicate()).flip();
        change.accept(copy);
        copy.putInt(17, (int) Crc32C.compute(copy, 21, copy.remaining() - 21));
        return copy;
    }

    static SimpleRecord row(long timestamp, String key, String value) {
        return new SimpleRecord(timestamp, bytes(key), bytes(value));
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static void put(List<String> lines, String name, MemoryRecords records) {
        lines.add(name + " " + hex(records.buffer()));
    }

    static String hex(ByteBuffer buffer) {
        byte[] array = new byte[buffer.remaining()];
        buffer.duplicate().get(array);
        return HexFormat.of().formatHex(array);
    }

    static class FixedTime implements Time {
        @Override public long milliseconds() { return NOW; }
        @Override public long nanoseconds() { return NOW * 1000000; }
        @Override public void sleep(long ms) {}
        @Override public void waitObject(Object object, java.util.function.Supplier<Boolean> condition, long deadlineMs) {}
        @Override public Timer timer(long timeoutMs) { return Time.SYSTEM.timer(timeoutMs); }
    }

    static class NoMetrics implements LogValidator.MetricsRecorder {
        @Override public void recordInvalidMagic() {}
        @Override public void recordInvalidOffset() {}
        @Override public void recordInvalidSequence() {}
        @Override public void recordInvalidChecksums() {}
        @Override public void recordNoKeyCompactedTopic() {}
    }
}
