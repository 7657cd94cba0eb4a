import java.io.PrintWriter;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.protocol.types.*;

/**
 * Apache Kafka's side of the codec proof. It knows no message: it finds the generated classes by name and their
 * fields by reflection, so that it runs unchanged against several releases.
 *
 * Usage: CodecPeer OURS THEIRS SEED COUNT
 *
 * OURS has lines "message NAME" and "bytes NAME VERSION HEX". THEIRS gets
 *   range NAME FIRST LAST           what this release speaks
 *   bad NAME VERSION REASON HEX     bytes of OURS that do not come back as they went in
 *   json NAME VERSION HEX JSON      how it prints bytes of OURS
 *   default NAME VERSION HEX|error  a message that nobody filled in
 *   theirs NAME VERSION HEX         random messages of its own
 *   absent NAME STRUCT FIELD ignorable|error   what happens to a value that a version cannot carry
 *   key, error, record              API keys with their header versions, error codes, types of metadata records
 */
public final class CodecPeer {
    static final String[] PACKAGES = {
        "org.apache.kafka.common.message.", "org.apache.kafka.common.metadata.",
        "org.apache.kafka.coordinator.group.generated.", "org.apache.kafka.coordinator.transaction.generated.",
        "org.apache.kafka.coordinator.share.generated.", "org.apache.kafka.raft.generated.",
        "org.apache.kafka.server.log.remote.metadata.storage.generated.",
    };

    static Class<?> find(String name) {
        for (String suffix : new String[] {"Data", ""}) {
            for (String prefix : PACKAGES) {
                try {
                    Class<?> found = Class.forName(prefix + name + suffix);
                    if (Message.class.isAssignableFrom(found)) {
                        return found;
                    }
                } catch (ClassNotFoundException absent) {
                    // another package, or a release without the message
                }
            }
        }
        return null;
    }

    static byte[] write(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException("size() counted too much");
        }
        return buffer.array();
    }

    static Message make(Class<?> type) throws Exception {
        return (Message) type.getDeclaredConstructor().newInstance();
    }

    static Schema schema(Class<?> type, int version) throws Exception {
        Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
        return version < schemas.length ? schemas[version] : null;
    }

    public static void main(String[] args) throws Exception {
        Map<String, Class<?>> messages = new TreeMap<>();
        int count = Integer.parseInt(args[3]);
        Random random = new Random(Long.parseLong(args[2]));
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(args[1])))) {
            for (String line : Files.readAllLines(Path.of(args[0]))) {
                String[] words = line.split(" ", -1);
                Class<?> type = messages.get(words[1]);
                if (words[0].equals("message")) {
                    type = find(words[1]);
                    if (type != null) {
                        messages.put(words[1], type);
                    }
                } else if (type != null) {
                    check(out, type, words);
                }
            }
            for (Map.Entry<String, Class<?>> entry : messages.entrySet()) {
                describe(out, entry.getKey(), entry.getValue(), random, count);
            }
            facts(out);
        }
    }

    static void check(PrintWriter out, Class<?> type, String[] words) throws Exception {
        short version = Short.parseShort(words[2]);
        Message message = make(type);
        if (version < message.lowestSupportedVersion() || version > message.highestSupportedVersion()) {
            return;
        }
        String reason;
        try {
            ByteBuffer buffer = ByteBuffer.wrap(HexFormat.of().parseHex(words[3]));
            message.read(new ByteBufferAccessor(buffer), version);
            String again = HexFormat.of().formatHex(write(message, version));
            if (buffer.hasRemaining()) {
                reason = "left_over_" + buffer.remaining();
            } else if (!again.equals(words[3])) {
                reason = "written_as_" + again;
            } else {
                json(out, type, message, version, words);
                return;
            }
        } catch (Exception refused) {
            reason = refused.toString().replaceAll("\\s+", "_");
        }
        out.println("bad " + words[1] + " " + version + " " + reason + " " + words[3]);
    }

    static void json(PrintWriter out, Class<?> type, Message message, short version, String[] words) throws Exception {
        Class<?> converter;
        try {
            converter = Class.forName(type.getName() + "JsonConverter");
        } catch (ClassNotFoundException | NoClassDefFoundError none) {
            return; // or no Jackson beside this release
        }
        Object node = converter.getMethod("write", type, short.class, boolean.class).invoke(null, message, version, false);
        out.println("json " + words[1] + " " + version + " " + words[3] + " " + node);
    }

    static void describe(PrintWriter out, String name, Class<?> type, Random random, int count) throws Exception {
        Message plain = make(type);
        short first = plain.lowestSupportedVersion();
        short last = plain.highestSupportedVersion();
        out.println("range " + name + " " + first + " " + last);
        Set<String> absent = new TreeSet<>();
        for (short version = first; version <= last; version++) {
            String bytes;
            try {
                bytes = HexFormat.of().formatHex(write(make(type), version));
            } catch (NullPointerException | UnsupportedVersionException refused) {
                bytes = "error";
            }
            out.println("default " + name + " " + version + " " + bytes);
            for (int at = 0; at < count; at++) {
                Message message = filled(type, version, random);
                out.println("theirs " + name + " " + version + " " + HexFormat.of().formatHex(write(message, version)));
            }
            absent(absent, name, type, version, random);
        }
        absent.forEach(out::println);
    }

    /** Puts a value into each field that the version lacks, one at a time, here and in the structures below. */
    static void absent(Set<String> out, String name, Class<?> type, short version, Random random) throws Exception {
        Schema schema = schema(type, version);
        Map<String, Type> present = schema == null ? Map.of() : fields(schema);
        for (Field field : instanceFields(type)) {
            Class<?> below = structure(field);
            if (present.containsKey(key(field.getName()))) {
                if (below != null) {
                    absent(out, name, below, version, random);
                }
                continue;
            }
            if (schema == null || below != null && !List.class.isAssignableFrom(field.getType())) {
                continue;
            }
            // What else the structure needs to be written.
            Message message = filled(type, version, random);
            Object value;
            if (field.getType() == List.class) {
                value = new ArrayList<>(List.of(below != null ? make(below) : sample((Class<?>) element(field))));
            } else if (Collection.class.isAssignableFrom(field.getType())) {
                value = field.getType().getDeclaredConstructor().newInstance();
                add((Collection<?>) value, make(below));
            } else if (field.getType() == boolean.class) {
                value = !field.getBoolean(make(type));
            } else {
                value = sample(field.getType());
            }
            field.set(message, value);
            String outcome = "ignorable";
            try {
                write(message, version);
            } catch (UnsupportedVersionException refused) {
                outcome = "error";
            }
            out.add("absent " + name + " " + type.getSimpleName() + " " + field.getName() + " " + outcome);
        }
    }

    /** A value that is no field's default. */
    static Object sample(Class<?> type) {
        if (type == byte.class || type == Byte.class) return (byte) 77;
        if (type == short.class || type == Short.class) return (short) 77;
        if (type == int.class || type == Integer.class) return 77;
        if (type == long.class || type == Long.class) return 77L;
        if (type == double.class || type == Double.class) return 77.0;
        if (type == String.class) return "seventy-seven";
        if (type == Uuid.class) return new Uuid(7, 7);
        if (type == byte[].class) return new byte[] {77};
        if (type == ByteBuffer.class) return ByteBuffer.wrap(new byte[] {77});
        return records(new byte[] {77});
    }

    /** The class moved between releases. */
    static Object records(byte[] bytes) {
        for (String where : new String[] {"record.", "record.internal."}) {
            try {
                Class<?> type = Class.forName("org.apache.kafka.common." + where + "MemoryRecords");
                return type.getMethod("readableRecords", ByteBuffer.class).invoke(null, ByteBuffer.wrap(bytes));
            } catch (ReflectiveOperationException elsewhere) {
                // the other package
            }
        }
        throw new IllegalStateException("no MemoryRecords");
    }

    static java.lang.reflect.Type element(Field field) {
        return ((ParameterizedType) field.getGenericType()).getActualTypeArguments()[0];
    }

    /** The generated class that a field holds, alone or in a collection. */
    static Class<?> structure(Field field) {
        Class<?> type = field.getType();
        if (type == List.class) {
            type = (Class<?>) element(field);
        } else if (Collection.class.isAssignableFrom(type)) {
            type = (Class<?>) ((ParameterizedType) type.getGenericSuperclass()).getActualTypeArguments()[0];
        }
        return Message.class.isAssignableFrom(type) ? type : null;
    }

    @SuppressWarnings("unchecked")
    static void add(Collection<?> collection, Object element) {
        ((Collection<Object>) collection).add(element);
    }

    static List<Field> instanceFields(Class<?> type) {
        List<Field> fields = new ArrayList<>();
        for (Field field : type.getDeclaredFields()) {
            boolean own = !field.getName().equals("next") && !field.getName().equals("prev");
            if (!Modifier.isStatic(field.getModifiers()) && !field.getName().startsWith("_") && own) {
                field.setAccessible(true);
                fields.add(field);
            }
        }
        return fields;
    }

    static String key(String name) {
        return name.replace("_", "").toLowerCase(Locale.ROOT);
    }

    /** Older releases do not hand their tagged fields out. */
    static Map<?, ?> tagged(TaggedFields fields) {
        for (Field field : TaggedFields.class.getDeclaredFields()) {
            if (Map.class.isAssignableFrom(field.getType())) {
                field.setAccessible(true);
                try {
                    return (Map<?, ?>) field.get(fields);
                } catch (IllegalAccessException closed) {
                    throw new IllegalStateException(closed);
                }
            }
        }
        throw new IllegalStateException("TaggedFields without a map");
    }

    static Map<String, Type> fields(Schema schema) {
        Map<String, Type> fields = new HashMap<>();
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields) {
                for (Object field : tagged((TaggedFields) bound.def.type).values()) {
                    var tagged = (org.apache.kafka.common.protocol.types.Field) field;
                    fields.put(key(tagged.name), tagged.type);
                }
            } else {
                fields.put(key(bound.def.name), bound.def.type);
            }
        }
        return fields;
    }

    /** A random message that can be written: the field tables call all records nullable, and some are not. */
    static Message filled(Class<?> type, short version, Random random) throws Exception {
        while (true) {
            Message message = make(type);
            fill(message, schema(type, version), random);
            try {
                write(message, version);
                return message;
            } catch (NullPointerException nullRecords) {
                // once more
            }
        }
    }

    static void fill(Object target, Schema schema, Random random) throws Exception {
        Map<String, Type> present = fields(schema);
        for (Field field : instanceFields(target.getClass())) {
            Type type = present.get(key(field.getName()));
            if (type == null) {
                continue;
            }
            Class<?> structure = structure(field);
            if (type.isNullable() && !field.getType().isPrimitive() && random.nextInt(4) == 0) {
                field.set(target, null);
            } else if (type.arrayElementType().isPresent()) {
                Type element = type.arrayElementType().get();
                Collection<?> list = field.getType() == List.class
                    ? new ArrayList<>()
                    : (Collection<?>) field.getType().getDeclaredConstructor().newInstance();
                for (int at = random.nextInt(4); at > 0; at--) {
                    add(list, value(element, structure != null ? structure : (Class<?>) element(field), random));
                }
                field.set(target, list);
            } else {
                field.set(target, value(type, field.getType(), random));
            }
        }
    }

    static Object value(Type type, Class<?> java, Random random) throws Exception {
        if (Message.class.isAssignableFrom(java)) {
            Object structure = java.getDeclaredConstructor().newInstance();
            fill(structure, (Schema) type, random);
            return structure;
        }
        boolean small = random.nextInt(3) == 0;
        if (type == Type.UINT16) return random.nextInt(65536);
        if (type == Type.UNSIGNED_INT32) return random.nextLong() & 0xffffffffL;
        if (java == boolean.class || java == Boolean.class) return random.nextBoolean();
        if (java == byte.class || java == Byte.class) return (byte) random.nextInt();
        if (java == short.class || java == Short.class) return (short) (small ? 0 : random.nextInt());
        if (java == int.class || java == Integer.class) return small ? -1 : random.nextInt();
        if (java == long.class || java == Long.class) return small ? -1L : random.nextLong();
        if (java == double.class || java == Double.class) return random.nextGaussian();
        if (java == Uuid.class) return small ? Uuid.ZERO_UUID : new Uuid(random.nextLong(), random.nextLong());
        if (java == String.class) {
            String[] alphabet = {"a", "Z", "0", "-", "é", "한", "😀", " "};
            StringBuilder text = new StringBuilder();
            for (int at = small ? random.nextInt(200) : random.nextInt(8); at > 0; at--) {
                text.append(alphabet[random.nextInt(alphabet.length)]);
            }
            return text.toString();
        }
        byte[] bytes = new byte[small ? random.nextInt(3000) : random.nextInt(20)];
        random.nextBytes(bytes);
        if (java == byte[].class) return bytes;
        if (java == ByteBuffer.class) return ByteBuffer.wrap(bytes);
        return records(bytes);
    }

    static void facts(PrintWriter out) throws Exception {
        try {
            Class<?> types = Class.forName("org.apache.kafka.common.metadata.MetadataRecordType");
            for (Object type : types.getEnumConstants()) {
                out.println("record " + types.getMethod("id").invoke(type) + " " + type);
            }
        } catch (ClassNotFoundException none) {
            // not in this release's clients
        }
        for (ApiMessageType api : ApiMessageType.values()) {
            for (short version = api.lowestSupportedVersion(); version <= api.highestSupportedVersion(true); version++) {
                out.println("key " + api.apiKey() + " " + api.name + " " + version + " "
                    + api.requestHeaderVersion(version) + " " + api.responseHeaderVersion(version));
            }
        }
        for (Errors error : Errors.values()) {
            boolean retriable = error.exception() instanceof org.apache.kafka.common.errors.RetriableException;
            out.println("error " + error.code() + " " + error.name() + " " + retriable + " " + error.message());
        }
    }
}
