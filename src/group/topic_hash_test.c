/* topic_hash: every line of tests/compat/golden/metadata_hash.jsonl, which Kafka's own classes computed (tests/compat/group). */
#include "group/topic_hash.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/test.h"
#include "metadata/delta.h"
#include "metadata/image.h"

#define FILE_NAME "tests/compat/golden/metadata_hash.jsonl"
#define RACKS 5
#define SAME_RACK 10 /* brokers r, r + 10, r + 20 are in rack r */
#define NO_RACK 99
#define MAX_TOPICS 16
#define MAX_PARTITIONS 64
#define MAX_REPLICAS 8

static void apply(struct image *i, const struct delta_record *r)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	delta_begin(&b);
	delta_put(&b, r);
	must_ok(b.error);
	must_ok(image_apply(i, buf_bytes(&b)));
	buf_fini(&b);
}

static struct image *image_of_brokers(void)
{
	struct image *i = image_new();
	char name[16];

	for (int32_t b = 0; b < 3 * SAME_RACK; b++) {
		if (b % SAME_RACK >= RACKS)
			continue;
		snprintf(name, sizeof(name), "rack-%d", b % SAME_RACK);
		apply(i, &(struct delta_record){.kind = DELTA_BROKER, .broker = b, .value = bytes_str(name)});
	}
	apply(i, &(struct delta_record){.kind = DELTA_BROKER, .broker = NO_RACK});
	return i;
}

static void add_topic(struct image *image, const json_t *topic)
{
	struct delta_partition partitions[MAX_PARTITIONS] = {0};
	int32_t replicas[MAX_PARTITIONS][MAX_REPLICAS];
	const json_t *racks = json_object_get(topic, "racks");
	struct delta_record r = {.kind = DELTA_TOPIC,
				 .name = bytes_str(json_string_value(json_object_get(topic, "name"))),
				 .partitions = partitions,
				 .partition_count = (uint32_t)json_array_size(racks)};

	must(r.partition_count <= MAX_PARTITIONS);
	must_ok(uuid_parse(bytes_str(json_string_value(json_object_get(topic, "id"))), &r.topic_id));
	for (size_t p = 0; p < r.partition_count; p++) {
		const json_t *own = json_array_get(racks, p);
		int32_t seen[RACKS] = {0};
		uint32_t count = 0;

		for (size_t i = 0; i < json_array_size(own); i++) {
			int rack = atoi(json_string_value(json_array_get(own, i)) + strlen("rack-"));

			replicas[p][count++] = rack + SAME_RACK * seen[rack]++;
		}
		replicas[p][count++] = NO_RACK;
		partitions[p] = (struct delta_partition){.leader = NO_RACK,
							 .replicas = replicas[p],
							 .replica_count = count,
							 .isr = replicas[p],
							 .isr_count = count};
	}
	apply(image, &r);
}

static void check_line(const json_t *line, struct buf *scratch)
{
	const json_t *topics = json_object_get(line, "topics");
	struct image *image = image_of_brokers();
	int64_t hashes[MAX_TOPICS];

	for (size_t t = 0; t < json_array_size(topics); t++)
		add_topic(image, json_array_get(topics, t));
	for (size_t t = 0; t < json_array_size(topics); t++) {
		const json_t *topic = json_array_get(topics, t);
		struct bytes name = bytes_str(json_string_value(json_object_get(topic, "name")));
		int64_t hash = topic_hash(image, image_topic_by_name(image, name), scratch);

		CHECK_EQ(hash, json_integer_value(json_object_get(topic, "hash")));
		hashes[image_topic_place(image, name)] = hash;
	}
	CHECK_EQ(topics_hash(hashes, json_array_size(topics), scratch),
		 json_integer_value(json_object_get(line, "hash")));
	image_free(image);
}

TEST(topics_have_the_hashes_that_kafka_gives_them)
{
	FILE *file = fopen(FILE_NAME, "r");
	char *line = NULL;
	size_t size = 0, count = 0;
	struct buf scratch;

	must(file != NULL);
	buf_init(&scratch, 1 << 20);
	while (getline(&line, &size, file) > 0) {
		json_t *json = json_loads(line, 0, NULL);

		must(json != NULL);
		check_line(json, &scratch);
		json_decref(json);
		count++;
	}
	CHECK(count >= 40);
	buf_fini(&scratch);
	free(line);
	fclose(file);
}

TEST(a_name_beyond_ascii_counts_as_java_counts_it)
{
	struct image *image = image_new();
	static const int32_t one[] = {1};
	struct delta_partition p = {.leader = 1, .replicas = one, .replica_count = 1, .isr = one, .isr_count = 1};
	struct buf scratch;

	buf_init(&scratch, 1000);
	/* U+00E9, U+1F600 as a pair of surrogates, and a byte that is no character. */
	apply(image, &(struct delta_record){
			     .kind = DELTA_BROKER, .broker = 1, .value = bytes_str("\xc3\xa9\xf0\x9f\x98\x80\xff")});
	apply(image, &(struct delta_record){.kind = DELTA_TOPIC,
					    .name = bytes_str("t"),
					    .topic_id = {.bytes = {1}},
					    .partitions = &p,
					    .partition_count = 1});
	topic_hash(image, image_topic_at(image, 0), &scratch);
	CHECK_BYTES(bytes_of(scratch.data + scratch.size - 16, 16),
		    bytes_of("\4\0\0\0\xe9\0\x3d\xd8\x00\xde\xff\0\4\0\0\0", 16));
	buf_fini(&scratch);
	image_free(image);
}
