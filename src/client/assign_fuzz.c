/*
 * assign_fuzz: members with whatever subscriptions (a byte of size before each), all four assignors. Each partition has one owner at most, who wants its
 * topic; all that somebody wants has one, but for what moves.
 */
#include <stdio.h>

#include "base/must.h"
#include "base/reader.h"
#include "client/assign.h"

#define MEMBERS_MAX 12
#define TOPICS 4
#define PARTITIONS_MAX 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const topic_names[TOPICS] = {"a", "b", "c", "dd"};
static const int32_t partition_counts[TOPICS] = {1, 3, 7, 4};

static int topic_number(struct bytes name)
{
	for (int t = 0; t < TOPICS; t++)
		if (bytes_equal_str(name, topic_names[t]))
			return t;
	return TOPICS;
}

static bool wants(const struct consumer_protocol_subscription *s, int topic)
{
	for (int32_t i = 0; i < s->topics_count; i++)
		if (bytes_equal_str(s->topics[i], topic_names[topic]))
			return true;
	return false;
}

static void check(enum assignor how, const struct assign_question *q, const struct consumer_protocol_assignment *result)
{
	bool owned[TOPICS][PARTITIONS_MAX] = {0};

	for (size_t m = 0; m < q->member_count; m++) {
		for (int32_t i = 0; i < result[m].assigned_partitions_count; i++) {
			int topic = topic_number(result[m].assigned_partitions[i].topic);

			must(topic < TOPICS && wants(&q->members[m].subscription, topic));
			for (int32_t k = 0; k < result[m].assigned_partitions[i].partitions_count; k++) {
				int32_t at = result[m].assigned_partitions[i].partitions[k];

				must(at >= 0 && at < partition_counts[topic] && !owned[topic][at]);
				owned[topic][at] = true;
			}
		}
	}
	for (size_t m = 0; m < q->member_count && !assignor_is_cooperative(how); m++)
		for (int t = 0; t < TOPICS; t++)
			for (int32_t i = 0; i < partition_counts[t]; i++)
				must(owned[t][i] || !wants(&q->members[m].subscription, t));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct bytes rack_names[] = {{(const uint8_t *)"x", 1}, {(const uint8_t *)"y", 1}};
	static const struct assign_racks racks[PARTITIONS_MAX] = {
		{rack_names, 1}, {rack_names + 1, 1}, {rack_names, 2}, {rack_names, 1},
		{NULL, 0},       {rack_names + 1, 1}, {rack_names, 1}};
	struct reader r = reader_of(bytes_of(data, size));
	struct assign_member members[MEMBERS_MAX];
	struct assign_topic topics[TOPICS];
	struct assign_question q = {.members = members, .topics = topics, .topic_count = TOPICS};
	char ids[MEMBERS_MAX][4];
	struct arena a;

	if (size == 0)
		return 0;
	arena_init(&a, (size_t)16 << 20);
	for (int t = 0; t < TOPICS; t++)
		topics[t] = (struct assign_topic){bytes_str(topic_names[t]), partition_counts[t], racks};
	while (q.member_count < MEMBERS_MAX && reader_left(&r) > 0) {
		struct assign_member *m = &members[q.member_count];
		size_t length = (uint8_t)reader_i8(&r);
		struct bytes metadata = reader_bytes(&r, length < reader_left(&r) ? length : reader_left(&r));

		if (subscription_decode(metadata, &a, &m->subscription) != OK)
			continue;
		snprintf(ids[q.member_count], sizeof(ids[0]), "m%zu", q.member_count * 7 % MEMBERS_MAX);
		m->id = bytes_str(ids[q.member_count]);
		m->instance_id = length % 5 == 0 ? m->id : bytes_null();
		q.member_count++;
	}
	for (int how = 0; how < ASSIGNOR_COUNT; how++) {
		struct consumer_protocol_assignment result[MEMBERS_MAX];

		if (assign((enum assignor)how, &q, &a, result) == OK)
			check((enum assignor)how, &q, result);
	}
	arena_fini(&a);
	return 0;
}
