import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Apache Kafka's command-line tools one after the other in one JVM. Each line of the input is a class and its
 * arguments, separated by tabs; for each there is a line of the output: the exit code, then what was written to
 * standard output and standard error in base64.
 */
public class Tools {
    private static volatile CompletableFuture<Integer> ending;

    public static void main(String[] none) throws Exception {
        PrintStream answers = System.out;
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        // A tool that exits stays where it is: what it would do after that must not be seen.
        Exit.Procedure stay = (code, message) -> {
            ending.complete(code);
            while (true) {
                LockSupport.park();
            }
        };
        Exit.setExitProcedure(stay);
        Exit.setHaltProcedure(stay);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t", -1);
            out.reset();
            err.reset();
            int code = run(words[0], Arrays.copyOfRange(words, 1, words.length));
            System.out.flush();
            System.err.flush();
            answers.println(code + " " + encoded(out) + " " + encoded(err));
            answers.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private static int run(String name, String[] arguments) throws Exception {
        CompletableFuture<Integer> end = new CompletableFuture<>();
        ending = end;
        Thread tool = new Thread(() -> {
            try {
                Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
                end.complete(0);
            } catch (Throwable problem) {
                problem.printStackTrace();
                end.complete(1);
            }
        });
        tool.setDaemon(true);
        tool.start();
        return end.get(60, TimeUnit.SECONDS);
    }

    private static String encoded(ByteArrayOutputStream bytes) {
        return "." + Base64.getEncoder().encodeToString(bytes.toByteArray());
    }
}
