import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ApplicationRecoverableException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** A worker with transactions over Kafka's own client: java Worker JSON. The contract is in ../README.md. */
public class Worker implements ConsumerRebalanceListener {
    private static final int IN_VAIN = 3;
    private static final Duration POLL = Duration.ofMillis(20);

    private final JsonNode config;
    private final String name;
    private final String in;
    private final boolean copying;
    private final int partitions;
    private final KafkaProducer<String, String> producer;
    private final KafkaConsumer<String, String> consumer;
    private final Random random = new Random();
    private final Map<TopicPartition, Long> first = new HashMap<>();
    private final Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
    private final ObjectMapper json = new ObjectMapper();
    private volatile boolean askedToLeave;
    private boolean spoiled;
    private int count;
    private String txn;

    private Worker(JsonNode config) {
        this.config = config;
        this.name = config.get("name").asText();
        this.in = config.get("in").asText();
        this.copying = config.get("mode").asText().equals("copy");
        this.partitions = config.get("partitions").asInt();
        this.producer = new KafkaProducer<>(producerSettings());
        this.consumer = new KafkaConsumer<>(consumerSettings());
    }

    private Properties producerSettings() {
        Properties found = new Properties();

        found.put("bootstrap.servers", config.get("bootstrap").asText());
        found.put("transactional.id", config.get("txn_id").asText());
        found.put("transaction.timeout.ms", config.get("timeout_ms").asText());
        found.put("linger.ms", "2");
        found.put("max.block.ms", "30000");
        found.put("reconnect.backoff.max.ms", "500");
        found.put("enable.metrics.push", "false");
        found.put("key.serializer", StringSerializer.class.getName());
        found.put("value.serializer", StringSerializer.class.getName());
        return found;
    }

    private Properties consumerSettings() {
        Properties found = new Properties();

        found.put("bootstrap.servers", config.get("bootstrap").asText());
        found.put("group.id", config.hasNonNull("group") ? config.get("group").asText() : name);
        found.put("enable.auto.commit", "false");
        found.put("auto.offset.reset", "earliest");
        found.put("isolation.level", "read_committed");
        found.put("fetch.max.wait.ms", "50");
        found.put("max.poll.records", "50");
        found.put("session.timeout.ms", config.get("session_ms").asText());
        found.put("heartbeat.interval.ms", "500");
        found.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
        found.put("reconnect.backoff.max.ms", "500");
        found.put("enable.metrics.push", "false");
        found.put("key.deserializer", StringDeserializer.class.getName());
        found.put("value.deserializer", StringDeserializer.class.getName());
        return found;
    }

    private void say(String event, Object... fields) {
        Map<String, Object> line = new HashMap<>(Map.of("t", System.nanoTime(), "e", event));

        for (int i = 0; i < fields.length; i += 2)
            line.put((String) fields[i], fields[i + 1]);
        synchronized (System.out) {
            try {
                System.out.println(json.writeValueAsString(line));
            } catch (com.fasterxml.jackson.core.JsonProcessingException impossible) {
                throw new IllegalStateException(impossible);
            }
            System.out.flush();
        }
    }

    private static List<String> keys(Collection<TopicPartition> of) {
        return of.stream().map(TopicPartition::toString).toList();
    }

    // --- one transaction

    private void begin() {
        txn = name + "-" + ++count;
        first.clear();
        next.clear();
        spoiled = false;
        say("begin", "txn", txn);
        producer.beginTransaction();
    }

    private void send(String topic, int partition, String value) {
        String key = topic + "-" + partition;
        String of = txn;

        say("send", "txn", of, "k", key, "v", value);
        producer.send(new ProducerRecord<>(topic, partition, null, value), (where, problem) -> {
            if (problem == null)
                say("sent", "txn", of, "k", key, "v", value, "o", where.offset());
        });
    }

    /** The end as its documentation has it: a time out is asked again, what is recoverable is aborted, the rest wants a successor. */
    private void end(boolean commit) {
        if (commit && !spoiled) {
            try {
                if (copying && !next.isEmpty())
                    producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
                producer.flush();
                say("commit", "txn", txn);
                untilInTime(producer::commitTransaction);
                say("committed", "txn", txn);
                return;
            } catch (ApplicationRecoverableException problem) {
                inVain(problem);
            } catch (KafkaException problem) {
                say("spoiled", "txn", txn, "m", String.valueOf(problem));
            }
        }
        say("abort", "txn", txn);
        try {
            untilInTime(producer::abortTransaction);
        } catch (KafkaException problem) {
            inVain(problem);
        }
        say("aborted", "txn", txn);
        if (copying)
            goBack();
    }

    private void untilInTime(Runnable call) {
        while (true) {
            try {
                call.run();
                return;
            } catch (TimeoutException again) {
                say("complaint", "m", String.valueOf(again));
            }
        }
    }

    private void inVain(Exception problem) {
        say("in_vain", "txn", txn, "m", String.valueOf(problem));
        Runtime.getRuntime().halt(IN_VAIN);
    }

    // --- reading

    private List<ConsumerRecord<String, String>> poll() {
        List<ConsumerRecord<String, String>> records = new java.util.ArrayList<>();

        consumer.poll(POLL).forEach(records::add);
        if (records.isEmpty())
            return records;
        say("poll", "txn", txn, "r", records.stream().map(r -> List.of(r.topic() + "-" + r.partition(), r.offset(), r.value())).toList());
        for (ConsumerRecord<String, String> record : records) {
            TopicPartition partition = new TopicPartition(record.topic(), record.partition());

            first.putIfAbsent(partition, record.offset());
            next.put(partition, new OffsetAndMetadata(record.offset() + 1));
        }
        return records;
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
        say("assigned", "k", keys(assigned));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
        say("revoked", "k", keys(revoked));
        spoiled |= !first.isEmpty();
        first.clear();
    }

    private void goBack() {
        first.forEach((partition, offset) -> {
            say("assigned", "k", List.of(partition.toString()));
            consumer.seek(partition, offset);
        });
    }

    // --- what it does all the time

    private void copy() {
        long due = System.nanoTime() + config.get("commit_ms").asLong() * 1_000_000;
        String out = config.get("out").asText();
        int sent = 0;

        begin();
        while (System.nanoTime() < due && !spoiled && sent < config.get("per_txn").asInt()) {
            for (ConsumerRecord<String, String> record : poll()) {
                send(out, Integer.parseInt(record.value()) % partitions, record.value() + "@" + txn);
                sent++;
            }
        }
        end(true);
    }

    private void play() {
        int steps = 1 + random.nextInt(6);

        begin();
        for (int number = 0; number < steps; number++) {
            if (random.nextDouble() < 0.6)
                send(in, random.nextInt(partitions), txn + "/" + number);
            else
                poll();
        }
        end(random.nextDouble() < 0.85);
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

    private void run() {
        Thread listener = new Thread(this::listen);

        untilInTime(producer::initTransactions);
        if (copying) {
            consumer.subscribe(List.of(in), this);
        } else {
            consumer.assign(IntStream.range(0, partitions).mapToObj(p -> new TopicPartition(in, p)).toList());
            consumer.seekToBeginning(consumer.assignment());
        }
        listener.setDaemon(true);
        listener.start();
        say("started");
        while (!askedToLeave) {
            try {
                if (copying)
                    copy();
                else
                    play();
            } catch (KafkaException problem) {
                inVain(problem);
            }
        }
        consumer.close();
        producer.close();
        say("left");
    }

    /** What a start needs of classes, and no broker: for the archive of them. */
    private static void loadClasses() throws Exception {
        String config = "{\"bootstrap\":\"127.0.0.1:1\",\"name\":\"n\",\"in\":\"i\",\"mode\":\"copy\",\"partitions\":1,\"txn_id\":\"t\",\"timeout_ms\":1000,"
            + "\"session_ms\":6000}";
        Worker worker = new Worker(new ObjectMapper().readTree(config));

        worker.consumer.subscribe(List.of("i"), worker);
        worker.consumer.poll(Duration.ofMillis(50));
        worker.consumer.close();
        worker.producer.close(Duration.ZERO);
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("--classes"))
            loadClasses();
        else
            new Worker(new ObjectMapper().readTree(arguments[0])).run();
        Runtime.getRuntime().exit(0);
    }
}
