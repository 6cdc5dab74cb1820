#include "storage/journal_format.h"

#include <stdio.h>

#include "base/test.h"

static struct journal_record record(uint64_t round, const char *topic)
{
	return (struct journal_record){
		.kind = JOURNAL_DATA,
		.run = 0x1122334455667788,
		.generation = 3,
		.live = 2,
		.round = round,
		.unsynced = 300,
		.topic_id = {{9}},
		.topic = bytes_str(topic),
		.partition = 4,
		.file_base = 100,
		.position = 2000,
		.base_offset = 130,
		.acknowledged = 129,
	};
}

/* A round of one record and its end, to the end of its block. */
static void put_round(struct buf *out, uint64_t round, const char *topic, const char *data)
{
	struct bytes parts[2] = {bytes_of(data, 1), bytes_of(data + 1, strlen(data) - 1)};
	struct journal_record r = record(round, topic);

	journal_head_write(out, &r, parts, 2);
	buf_put_str(out, data);
	r.kind = JOURNAL_END;
	r.topic = bytes_empty();
	journal_head_write(out, &r, NULL, 0);
	while (out->size % JOURNAL_BLOCK)
		buf_put_i8(out, 0);
}

struct seen {
	struct journal_visitor visitor;
	char text[256];
};

static void see(struct journal_visitor *v, const struct journal_record *r)
{
	struct seen *s = container_of(v, struct seen, visitor);
	size_t used = strlen(s->text);

	if (r->kind == JOURNAL_END)
		snprintf(s->text + used, sizeof(s->text) - used, "| ");
	else
		snprintf(s->text + used, sizeof(s->text) - used, "%d:%.*s=%.*s ", (int)r->round, BYTES_ARG(r->topic),
			 BYTES_ARG(r->data));
}

TEST(a_record_goes_out_and_comes_in_the_same)
{
	struct journal_record in = record(7, "orders"), back;
	struct bytes part = bytes_str("batch");
	struct buf out;
	size_t size = 0;

	buf_init(&out, 10000);
	journal_head_write(&out, &in, &part, 1);
	buf_put_bytes(&out, part);
	must_ok(journal_record_read(buf_bytes(&out), &back, &size));
	CHECK_EQ(size, JOURNAL_HEAD_SIZE + 6 + 5);
	CHECK_EQ(size, out.size);
	CHECK(back.run == in.run && back.generation == 3 && back.live == 2 && back.round == 7 && back.unsynced == 300 &&
	      back.partition == 4);
	CHECK(back.file_base == 100 && back.position == 2000 && back.base_offset == 130 && back.acknowledged == 129);
	CHECK(uuid_equal(back.topic_id, in.topic_id));
	CHECK_BYTES(back.topic, in.topic);
	CHECK_BYTES(back.data, part);
	for (size_t i = 0; i < out.size; i++) {
		out.data[i] ^= 8;
		CHECK(journal_record_read(buf_bytes(&out), &back, &size) != OK);
		out.data[i] ^= 8;
		CHECK(journal_record_read(bytes_of(out.data, i), &back, &size) != OK);
	}
	buf_fini(&out);
}

TEST(a_walk_passes_over_what_is_broken)
{
	static const struct {
		const char *what;
		size_t at, size; /* what is overwritten */
		const char *seen;
	} cases[] = {
		{"nothing", 0, 0, "1:a=first | 2:b=second | 3:c=third | "},
		{"the first round", 50, 1, "2:b=second | 3:c=third | "},
		{"the second's end", JOURNAL_BLOCK + JOURNAL_HEAD_SIZE + 20, 1, "1:a=first | 2:b=second 3:c=third | "},
		{"the last block", 2 * JOURNAL_BLOCK, JOURNAL_BLOCK, "1:a=first | 2:b=second | "},
		{"padding", 3000, 100, "1:a=first | 2:b=second | 3:c=third | "},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct seen s = {.visitor = {.record = see}};
		struct buf out;

		buf_init(&out, 100000);
		put_round(&out, 1, "a", "first");
		put_round(&out, 2, "b", "second");
		put_round(&out, 3, "c", "third");
		memset(out.data + cases[i].at, 0xee, cases[i].size);
		journal_walk(buf_bytes(&out), &s.visitor);
		CHECK_STR(s.text, cases[i].seen);
		buf_fini(&out);
	}
}
