import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Apache Kafka's command line tools one after another in one JVM.
 *
 * Reads lines of tab-separated words, a class with a main method and its arguments, and answers each with a line of three
 * numbers, the exit code and the bytes printed to standard output and standard error, and those bytes.
 *
 * Run: java -cp '.tools/kafka-4.3.1/*' tests/cluster/Tools.java
 */
public class Tools {
    /** Ends a tool that exits. */
    private static final class Exited extends Error {
        Exited() {
            super(null, null, false, false);
        }
    }

    /** A stream that tools may hold on to: it goes where the present tool's output goes. */
    private static final class Kept extends OutputStream {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        @Override
        public synchronized void write(int b) {
            bytes.write(b);
        }

        @Override
        public synchronized void write(byte[] b, int off, int len) {
            bytes.write(b, off, len);
        }

        synchronized byte[] take() {
            byte[] taken = bytes.toByteArray();
            bytes.reset();
            return taken;
        }
    }

    private static final Kept OUT = new Kept();
    private static final Kept ERR = new Kept();
    private static Integer code;
    private static byte[] printed;
    private static byte[] complained;

    public static void main(String[] none) throws Exception {
        PrintStream answers = System.out;
        System.setOut(new PrintStream(OUT, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(ERR, true, StandardCharsets.UTF_8));
        Exit.Procedure exit = (status, message) -> {
            end(status);
            throw new Exited();
        };
        Exit.setExitProcedure(exit);
        Exit.setHaltProcedure(exit);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t", -1);
            code = null;
            OUT.take();
            ERR.take();
            run(words[0], Arrays.copyOfRange(words, 1, words.length));
            end(0);
            answers.print(code + " " + printed.length + " " + complained.length + "\n");
            answers.write(printed);
            answers.write(complained);
            answers.flush();
        }
    }

    private static void run(String tool, String[] arguments) {
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (ReflectiveOperationException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            if (cause instanceof Exited)
                return;
            // As a JVM does that its main method leaves with an exception.
            System.err.print("Exception in thread \"main\" ");
            cause.printStackTrace();
            end(1);
        }
    }

    /** What comes after the first exit, of those who catch it, would never have been. */
    private static void end(int status) {
        if (code != null)
            return;
        code = status;
        printed = OUT.take();
        complained = ERR.take();
    }
}
