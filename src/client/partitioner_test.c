/* partitioner_test: murmur2 and its partitions against Java's own answers (primitives.jsonl), and the sticky choice. */
#include "client/partitioner.h"

#include <jansson.h>
#include <stdio.h>

#include "base/test.h"

/* The bytes of the key; SIZE_MAX when the row is about something else. */
static size_t read_key(const json_t *row, uint8_t *ret_key)
{
	const char *hex = json_string_value(json_object_get(row, "key_hex"));
	const char *text = json_string_value(json_object_get(row, "key"));
	size_t size;

	if (strcmp(json_string_value(json_object_get(row, "what")), "murmur2") != 0)
		return SIZE_MAX;
	CHECK(hex || text);
	size = hex ? strlen(hex) / 2 : strlen(text);
	for (size_t i = 0; i < size; i++) {
		unsigned byte = hex ? 0 : (unsigned char)text[i];

		if (hex)
			CHECK_EQ(sscanf(hex + 2 * i, "%2x", &byte), 1);
		ret_key[i] = (uint8_t)byte;
	}
	return size;
}

TEST(keys_go_where_java_sends_them)
{
	FILE *file = fopen("tests/compat/golden/primitives.jsonl", "r");
	static const int32_t counts[] = {1, 3, 12, 50, 1000};
	char line[70000];
	size_t checked = 0;

	CHECK(file != NULL);
	while (fgets(line, sizeof(line), file)) {
		json_t *row = json_loads(line, 0, NULL);
		uint8_t key[4096];
		size_t size;

		CHECK(row != NULL);
		size = read_key(row, key);
		for (size_t i = 0; i < countof(counts) && size != SIZE_MAX; i++) {
			json_t *want;
			char name[40];

			snprintf(name, sizeof(name), "partition_of_%d", counts[i]);
			want = json_object_get(row, name);
			if (!want)
				continue;
			CHECK_EQ(partition_of_key(bytes_of(key, size), counts[i]), json_integer_value(want));
			checked++;
		}
		json_decref(row);
	}
	fclose(file);
	printf("%zu partitions of keys\n", checked);
	CHECK(checked > 10);
}

TEST(a_sticky_partition_lasts_about_a_batch)
{
	static const struct {
		int64_t before;
		int64_t bytes;
		bool full;
		bool over;
	} cases[] = {
		{0, 500, false, false},   {0, 999, true, false},     {500, 500, true, true},
		{500, 500, false, false}, {1500, 499, false, false}, {1500, 500, false, true},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct sticky s = {.partition = 3, .bytes = cases[i].before};

		CHECK_EQ(sticky_add(&s, cases[i].bytes, 1000, cases[i].full), cases[i].over);
	}
}

/* With queues of 0, 9 and 9 the first gets 10 of 12 parts. */
TEST(long_queues_are_picked_less_when_adaptive)
{
	static const struct sticky_choice choices[] = {{4, 0}, {5, 9}, {6, 9}};
	size_t picked[2] = {0, 0};
	struct prng random;

	prng_seed(&random, 1);
	for (int adaptive = 0; adaptive < 2; adaptive++) {
		for (int i = 0; i < 12000; i++) {
			struct sticky s;

			sticky_pick(&s, &random, choices, countof(choices), adaptive);
			CHECK(s.partition >= 4 && s.partition <= 6 && s.bytes == 0);
			picked[adaptive] += s.partition == 4;
		}
	}
	CHECK(picked[0] > 3700 && picked[0] < 4300);
	CHECK(picked[1] > 9700 && picked[1] < 10300);
}
