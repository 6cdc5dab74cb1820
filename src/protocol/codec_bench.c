/* codec_bench: what a Produce v9 and a Fetch v12 cost to read and to write. Prints nanoseconds a message. */
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "protocol/codec.h"
#include "protocol/messages.h"

#define ROUNDS 200000
#define MAX_PARTITIONS 100

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void measure(const char *what, const struct message_type *t, int16_t version, const void *message,
		    size_t elements)
{
	_Alignas(16) uint8_t got[MESSAGE_MAX_SIZE_BYTES];
	size_t rounds = ROUNDS / elements;
	double start, decoded, encoded;
	struct arena a;
	struct buf out;

	buf_init(&out, 1 << 20);
	must(message_encode(t, version, message, &out) == OK);
	start = now_ns();
	for (size_t i = 0; i < rounds; i++) {
		struct reader r = reader_of(buf_bytes(&out));

		arena_init(&a, 1 << 20);
		must(message_decode(t, version, &r, &a, got) == OK);
		arena_fini(&a);
	}
	decoded = now_ns();
	for (size_t i = 0; i < rounds; i++) {
		buf_reset(&out);
		must(message_encode(t, version, message, &out) == OK);
	}
	encoded = now_ns();
	printf("%-32s v%-2d %3zu partitions %5zu bytes  decode %7.1f ns  encode %7.1f ns\n", what, version, elements,
	       out.size, (decoded - start) / (double)rounds, (encoded - decoded) / (double)rounds);
	buf_fini(&out);
}

static void measure_produce(int32_t count)
{
	static uint8_t batch[120];
	struct produce_request_partition_produce_data parts[MAX_PARTITIONS] = {0};
	struct produce_request_topic_produce_data topic = {0};
	struct produce_request p;

	for (int32_t i = 0; i < count; i++) {
		parts[i].index = i;
		parts[i].records = bytes_of(batch, sizeof(batch));
	}
	message_init(&produce_request_type, &p);
	topic.name = bytes_str("a-topic-of-usual-length");
	topic.partition_data = parts;
	topic.partition_data_count = count;
	p.acks = -1;
	p.timeout_ms = 30000;
	p.topic_data = &topic;
	p.topic_data_count = 1;
	measure("ProduceRequest, 120-byte batches", &produce_request_type, 9, &p, (size_t)count);
}

static void measure_fetch(int32_t count)
{
	struct fetch_request_fetch_partition parts[MAX_PARTITIONS] = {0};
	struct fetch_request_fetch_topic topic = {0};
	struct fetch_request f;

	for (int32_t i = 0; i < count; i++) {
		parts[i].partition = i;
		parts[i].high_watermark = INT64_MAX;
	}
	message_init(&fetch_request_type, &f);
	topic.topic = bytes_str("a-topic-of-usual-length");
	topic.partitions = parts;
	topic.partitions_count = count;
	f.topics = &topic;
	f.topics_count = 1;
	measure("FetchRequest", &fetch_request_type, 12, &f, (size_t)count);
}

static void measure_answer(int32_t count)
{
	struct fetch_response_partition_data parts[MAX_PARTITIONS] = {0};
	struct fetch_response_fetchable_topic_response topic = {0};
	struct fetch_response f;

	for (int32_t i = 0; i < count; i++) {
		parts[i].partition_index = i;
		parts[i].diverging_epoch.epoch = parts[i].current_leader.leader_id = parts[i].snapshot_id.epoch = -1;
		parts[i].diverging_epoch.end_offset = parts[i].snapshot_id.end_offset = -1;
		parts[i].current_leader.leader_epoch = -1;
	}
	message_init(&fetch_response_type, &f);
	topic.topic = bytes_str("a-topic-of-usual-length");
	topic.partitions = parts;
	topic.partitions_count = count;
	f.responses = &topic;
	f.responses_count = 1;
	measure("FetchResponse without records", &fetch_response_type, 12, &f, (size_t)count);
}

int main(void)
{
	for (int32_t count = 1; count <= MAX_PARTITIONS; count *= 10) {
		measure_produce(count);
		measure_fetch(count);
		measure_answer(count);
	}
	return 0;
}
