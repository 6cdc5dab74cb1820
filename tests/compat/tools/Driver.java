import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs many calls of Kafka's command-line tools in one JVM.
 *
 *     java -cp JARS Driver.java CALLS [PAUSE_MS]
 *
 * CALLS: a call a line, words divided by tabs, the first one the tool's short name. Prints "#### <number> <exit code>" and behind it what
 * the call printed, both streams together. PAUSE_MS is waited after each, for brokers that show a change a moment after they said it is done.
 */
public class Driver {
    private static final Map<String, String> TOOLS = Map.ofEntries(
        Map.entry("topics", "org.apache.kafka.tools.TopicCommand"),
        Map.entry("configs", "kafka.admin.ConfigCommand"),
        Map.entry("get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
        Map.entry("delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
        Map.entry("log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
        Map.entry("leader-election", "org.apache.kafka.tools.LeaderElectionCommand"),
        Map.entry("features", "org.apache.kafka.tools.FeatureCommand"),
        Map.entry("quorum", "org.apache.kafka.tools.MetadataQuorumCommand"),
        Map.entry("reassign", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
        Map.entry("produce", "org.apache.kafka.tools.ConsoleProducer"),
        Map.entry("transactions", "org.apache.kafka.tools.TransactionsCommand"),
        Map.entry("client-metrics", "org.apache.kafka.tools.ClientMetricsCommand"));

    /** The console's producer sends while it ends, and its end is not waited for where exit does not end anything. */
    private static final long SENDING_MS = 2000;
    private static final int RUNS = -1;
    /** With what a tool wanted to end; what it says of being kept from it does not count. */
    private static volatile int first;

    private static final class Ended extends Error {
        final int code;

        Ended(int code) {
            super("", null, false, false);
            this.code = code;
        }

        @Override
        public String toString() {
            return "";
        }
    }

    private static int run(String[] words) throws Exception {
        String tool = TOOLS.get(words[0]);
        first = RUNS;
        try {
            Class.forName(tool).getMethod("main", String[].class)
                .invoke(null, (Object) Arrays.copyOfRange(words, 1, words.length));
        } catch (java.lang.reflect.InvocationTargetException e) {
            if (!(e.getCause() instanceof Ended)) {
                System.out.println("ended by " + e.getCause());
                return 99;
            }
        }
        return first == RUNS ? 0 : first;
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        long pause = arguments.length > 1 ? Long.parseLong(arguments[1]) : 0;
        int number = 0;

        Exit.setExitProcedure((code, message) -> {
            if (message != null && first == RUNS)
                System.err.println(message);
            if (first == RUNS)
                first = code;
            throw new Ended(code);
        });
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            PrintStream both = new PrintStream(bytes, true, StandardCharsets.UTF_8);

            System.setOut(both);
            System.setErr(both);
            System.setIn(new java.io.ByteArrayInputStream("one\ntwo\nthree\n".getBytes(StandardCharsets.UTF_8)));
            int code = Console.capture(both, () -> run(line.split("\t", -1)));
            out.println("#### " + ++number + " " + code);
            out.print(bytes.toString(StandardCharsets.UTF_8));
            if (bytes.size() > 0 && bytes.toByteArray()[bytes.size() - 1] != '\n')
                out.println();
            out.flush();
            Thread.sleep(line.startsWith("produce\t") ? Math.max(pause, SENDING_MS) : pause);
        }
        Runtime.getRuntime().halt(0);
    }

    /** Scala's println has a stream of its own. */
    private static final class Console {
        interface Call {
            int run() throws Exception;
        }

        static int capture(PrintStream to, Call call) throws Exception {
            return (Integer) scala.Console$.MODULE$.withOut(to, () -> {
                try {
                    return call.run();
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            });
        }
    }
}
