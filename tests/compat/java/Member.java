import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a group over Kafka's own client: java Member JSON. The contract is in ../README.md. */
public class Member {
    private static final Map<String, String> ASSIGNORS = Map.of(
        "range", "org.apache.kafka.clients.consumer.RangeAssignor",
        "roundrobin", "org.apache.kafka.clients.consumer.RoundRobinAssignor",
        "sticky", "org.apache.kafka.clients.consumer.StickyAssignor",
        "cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");

    private final JsonNode config;
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Map<TopicPartition, OffsetAndMetadata> commit = new HashMap<>();
    private volatile boolean askedToLeave;

    private Member(JsonNode config) {
        this.config = config;
        this.consumer = new KafkaConsumer<>(settings(config));
    }

    static synchronized void say(String event, String fields) {
        System.out.println("{\"t\":" + System.nanoTime() + ",\"e\":\"" + event + "\"" + fields + "}");
        System.out.flush();
    }

    private static String text(Object value) {
        return "\"" + String.valueOf(value).replaceAll("[\"\\\\\n]", "'") + "\"";
    }

    private static Properties settings(JsonNode config) {
        Properties found = new Properties();

        found.put("bootstrap.servers", config.get("bootstrap").asText());
        found.put("group.id", config.get("group").asText());
        found.put("client.id", config.get("name").asText());
        found.put("enable.auto.commit", "false");
        found.put("auto.offset.reset", "earliest");
        found.put("fetch.max.wait.ms", "100");
        found.put("metadata.max.age.ms", "1000");
        found.put("enable.metrics.push", "false");
        found.put("key.deserializer", ByteArrayDeserializer.class.getName());
        found.put("value.deserializer", ByteArrayDeserializer.class.getName());
        found.put("group.protocol", config.get("protocol").asText());
        if (config.get("protocol").asText().equals("consumer")) {
            if (config.hasNonNull("assignor"))
                found.put("group.remote.assignor", config.get("assignor").asText());
        } else {
            found.put("partition.assignment.strategy", List.of(config.get("assignor").asText().split(",")).stream()
                .map(ASSIGNORS::get).collect(Collectors.joining(",")));
            found.put("session.timeout.ms", config.get("session_ms").asText());
            found.put("heartbeat.interval.ms", config.get("heartbeat_ms").asText());
        }
        if (config.hasNonNull("instance"))
            found.put("group.instance.id", config.get("instance").asText());
        return found;
    }

    private void tell(String event, Collection<TopicPartition> partitions) {
        if (!event.equals("assigned"))
            commit.keySet().removeAll(partitions);
        say(event, ",\"p\":" + partitions.stream().map(TopicPartition::partition).sorted().toList());
    }

    /** A line, or the end of who started this, asks to leave. */
    private void listen() {
        try {
            System.in.read();
        } catch (java.io.IOException ended) {
            // The same as its end.
        }
        askedToLeave = true;
    }

    /** One poll: what came is processed, then committed; what could not be committed is tried again with what comes next. */
    private void take(long until) {
        ConsumerRecords<byte[], byte[]> polled = consumer.poll(Duration.ofMillis(50));

        for (TopicPartition partition : polled.partitions()) {
            List<Long> offsets = polled.records(partition).stream().map(r -> r.offset()).filter(o -> o <= until).toList();
            if (offsets.isEmpty())
                continue;
            say("records", ",\"p\":" + partition.partition() + ",\"o\":" + offsets);
            commit.put(partition, new OffsetAndMetadata(offsets.get(offsets.size() - 1) + 1));
        }
        if (commit.isEmpty())
            return;
        String what = ",\"o\":{" + commit.entrySet().stream().map(e -> "\"" + e.getKey().partition() + "\":" + e.getValue().offset())
            .collect(Collectors.joining(",")) + "}";
        try {
            consumer.commitSync(commit);
            commit.clear();
            say("committed", what);
        } catch (KafkaException problem) {
            say("commit_failed", what + ",\"m\":" + text(problem));
        }
    }

    private void run() {
        Thread listener = new Thread(this::listen);
        long until = config.hasNonNull("until") ? config.get("until").asLong() : Long.MAX_VALUE;

        consumer.subscribe(List.of(config.get("topic").asText()), new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                tell("assigned", partitions);
            }

            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                tell("revoked", partitions);
            }

            @Override
            public void onPartitionsLost(Collection<TopicPartition> partitions) {
                tell("lost", partitions);
            }
        });
        listener.setDaemon(true);
        listener.start();
        say("started", "");
        while (!askedToLeave) {
            try {
                take(until);
            } catch (KafkaException problem) {
                say("error", ",\"m\":" + text(problem));
            }
        }
        consumer.close();
        say("left", "");
    }

    /** What a start needs of classes, and no broker: for the archive of them. */
    private static void loadClasses() throws Exception {
        String config = "{\"bootstrap\":\"127.0.0.1:1\",\"group\":\"g\",\"name\":\"n\",\"protocol\":\"%s\",\"assignor\":\"range\","
            + "\"session_ms\":6000,\"heartbeat_ms\":1000}";

        for (String protocol : List.of("classic", "consumer")) {
            try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings(new ObjectMapper().readTree(config.formatted(protocol))))) {
                consumer.subscribe(List.of("t"));
                consumer.poll(Duration.ofMillis(50));
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("--classes")) {
            loadClasses();
            return;
        }
        new Member(new ObjectMapper().readTree(arguments[0])).run();
    }
}
