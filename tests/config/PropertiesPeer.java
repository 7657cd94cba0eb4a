import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;

/**
 * Reads texts in properties syntax, one a line and in hexadecimal, from standard input, and prints what Java makes of
 * each: the sorted pairs in hexadecimal as key=value, or "refused".
 */
public class PropertiesPeer {
    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder out = new StringBuilder();
        for (String line; (line = in.readLine()) != null; ) {
            String text = new String(HexFormat.of().parseHex(line), StandardCharsets.UTF_8);
            Properties properties = new Properties();
            try {
                properties.load(new StringReader(text));
                List<String> pairs = new ArrayList<>();
                properties.forEach((key, value) -> pairs.add(hex(key) + "=" + hex(value)));
                Collections.sort(pairs);
                out.append(String.join(" ", pairs)).append('\n');
            } catch (IllegalArgumentException e) {
                out.append("refused\n");
            }
        }
        System.out.print(out);
    }

    private static String hex(Object text) {
        return HexFormat.of().formatHex(text.toString().getBytes(StandardCharsets.UTF_8));
    }
}
