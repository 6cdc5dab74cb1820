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
        Map.entry("client-metrics", "org.apache.kafka.tools.ClientMetricsCommand"),
        Map.entry("groups", "org.apache.kafka.tools.GroupsCommand"),
        Map.entry("consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
        Map.entry("member", "Driver$Members"));

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
            Class.forName(tool, true, Driver.class.getClassLoader()).getMethod("main", String[].class)
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

    /**
     * Consumers that live from call to call, so that the tools find members: "join NAME GROUP PROTOCOL TOPIC,... [INSTANCE]", "wait NAME COUNT" until
     * it reads so many partitions, "commit NAME", "leave NAME", "remove GROUP INSTANCE".
     */
    public static final class Members {
        private static final long WAIT_MS = 30000;
        private static final Map<String, Member> ALL = new java.util.TreeMap<>();

        private static final class Member extends Thread {
            final org.apache.kafka.clients.consumer.KafkaConsumer<byte[], byte[]> consumer;
            final java.util.List<String> topics;
            volatile java.util.Set<org.apache.kafka.common.TopicPartition> assigned = java.util.Set.of();
            volatile boolean commit, over;

            Member(String bootstrap, String name, String group, String protocol, String topics, String instance) {
                java.util.Properties p = new java.util.Properties();
                p.put("bootstrap.servers", bootstrap);
                p.put("client.id", name);
                p.put("group.id", group);
                p.put("group.protocol", protocol);
                p.put("enable.auto.commit", "false");
                p.put("auto.offset.reset", "earliest");
                if (protocol.equals("classic"))
                    p.put("heartbeat.interval.ms", "200");
                if (instance != null)
                    p.put("group.instance.id", instance);
                p.put("key.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
                p.put("value.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer");
                consumer = new org.apache.kafka.clients.consumer.KafkaConsumer<>(p);
                this.topics = Arrays.asList(topics.split(","));
                setDaemon(true);
                start();
            }

            @Override
            public void run() {
                consumer.subscribe(topics);
                while (!over) {
                    consumer.poll(java.time.Duration.ofMillis(50));
                    if (commit)
                        consumer.commitSync();
                    commit = false;
                    assigned = new java.util.HashSet<>(consumer.assignment());
                }
                consumer.close();
            }
        }

        private static void waitFor(java.util.function.BooleanSupplier condition) throws InterruptedException {
            long end = System.currentTimeMillis() + WAIT_MS;

            while (!condition.getAsBoolean() && System.currentTimeMillis() < end)
                Thread.sleep(10);
            System.out.println(condition.getAsBoolean() ? "done" : "not in time");
        }

        public static void main(String[] words) throws Exception {
            String bootstrap = words[1], verb = words[2], name = words[3];
            Member member = ALL.get(name);

            if (verb.equals("join")) {
                ALL.put(name, new Member(bootstrap, name, words[4], words[5], words[6], words.length > 7 ? words[7] : null));
            } else if (verb.equals("wait")) {
                waitFor(() -> member.assigned.size() == Integer.parseInt(words[4]));
            } else if (verb.equals("commit")) {
                member.commit = true;
                waitFor(() -> !member.commit);
            } else if (verb.equals("leave")) {
                member.over = true;
                member.join(WAIT_MS);
            } else {
                try (org.apache.kafka.clients.admin.Admin admin = org.apache.kafka.clients.admin.Admin.create(Map.of("bootstrap.servers", bootstrap))) {
                    admin.removeMembersFromConsumerGroup(name, new org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions(
                        java.util.List.of(new org.apache.kafka.clients.admin.MemberToRemove(words[4])))).all().get();
                } catch (java.util.concurrent.ExecutionException e) {
                    System.out.println(e.getCause());
                }
            }
        }
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
