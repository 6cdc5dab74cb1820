/* topic_hash: see the header. */
#include "group/topic_hash.h"

#include <stdlib.h>

#include "base/xxh3.h"
#include "metadata/image.h"

/* Kafka's own limit of a replication factor is an int16; no topic comes near. */
#define MAX_RACKS 64

static void put_little(struct buf *out, uint64_t v, size_t size)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(v >> 8 * i);
	buf_put(out, bytes, size);
}

/* The next character of UTF-8; a byte that is none stands for itself. */
static uint32_t next_character(struct bytes text, size_t *at)
{
	uint8_t lead = text.data[*at];
	size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
	uint32_t c = more == 3 ? lead & 0x07U : more == 2 ? lead & 0x0fU : more == 1 ? lead & 0x1fU : lead;

	(*at)++;
	if (more > text.size - *at)
		return lead;
	while (more-- > 0)
		c = c << 6 | (text.data[(*at)++] & 0x3fU);
	return c;
}

/* As Java has it: units of UTF-16, then how many. Returns that. */
static uint32_t put_text(struct buf *out, struct bytes text)
{
	uint32_t units = 0;

	for (size_t at = 0; at < text.size;) {
		uint32_t c = next_character(text, &at);

		if (c > 0xffff) {
			put_little(out, 0xd800 + ((c - 0x10000) >> 10), 2);
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
			units++;
		}
		put_little(out, c, 2);
		units++;
	}
	put_little(out, units, 4);
	return units;
}

/* Its length stands before it too. */
static void put_rack(struct buf *out, struct bytes rack)
{
	size_t place = out->size;
	uint32_t units;

	put_little(out, 0, 4);
	units = put_text(out, rack);
	for (size_t i = 0; i < 4 && !out->error; i++)
		out->data[place + i] = (uint8_t)(units >> 8 * i);
}

static int compare_racks(const void *a, const void *b)
{
	return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

static void put_racks(const struct image *image, const struct image_partition *p, struct buf *out)
{
	struct bytes racks[MAX_RACKS];
	size_t replica_count, count = 0;
	const int32_t *replicas = image_replicas(p, &replica_count);

	for (size_t i = 0; i < replica_count && count < MAX_RACKS; i++) {
		const struct image_broker *b = image_broker_by_id(image, replicas[i]);

		if (b && b->rack)
			racks[count++] = bytes_str(b->rack);
	}
	qsort(racks, count, sizeof(*racks), compare_racks);
	for (size_t i = 0; i < count; i++)
		put_rack(out, racks[i]);
}

int64_t topic_hash(const struct image *i, const struct image_topic *t, struct buf *scratch)
{
	buf_reset(scratch);
	put_little(scratch, 0, 1); /* which form of the hash */
	for (size_t half = 0; half < 2; half++)
		put_little(scratch, get_be64(t->id.bytes + 8 * half), 8);
	put_text(scratch, t->name);
	put_little(scratch, (uint32_t)t->partition_count, 4);
	for (int32_t p = 0; p < t->partition_count; p++) {
		put_little(scratch, (uint32_t)p, 4);
		put_racks(i, &t->partitions[p], scratch);
	}
	return (int64_t)xxh3_64(buf_bytes(scratch));
}

int64_t topics_hash(const int64_t *hashes, size_t count, struct buf *scratch)
{
	if (count == 0)
		return 0;
	buf_reset(scratch);
	for (size_t i = 0; i < count; i++)
		put_little(scratch, (uint64_t)hashes[i], 8);
	return (int64_t)xxh3_64(buf_bytes(scratch));
}
