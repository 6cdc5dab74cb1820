/* delta_fuzz: any bytes as a delta, twice, on an image that has something; an image that took it can be read and freed. */
#include "metadata/delta.h"
#include "metadata/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seed(struct image *i)
{
	static const int32_t replicas[] = {1, 2};
	struct delta_partition p = {.replicas = replicas, .replica_count = 2, .isr = replicas, .isr_count = 1};
	struct delta_record t = {.kind = DELTA_TOPIC,
				 .name = bytes_str("a.b"),
				 .topic_id = {.bytes = {1}},
				 .partitions = &p,
				 .partition_count = 1};
	struct buf b;

	buf_init(&b, 1000);
	delta_begin(&b);
	delta_put(&b, &t);
	must(image_apply(i, buf_bytes(&b)) == OK);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *i = image_new();
	size_t total = 0;

	seed(i);
	for (int round = 0; round < 2; round++)
		(void)!image_apply(i, bytes_of(data, size));
	for (size_t at = 0; at < image_topic_count(i); at++) {
		const struct image_topic *t = image_topic_at(i, at);

		must(image_topic_by_name(i, t->name) == t && image_topic_by_id(i, t->id) == t);
		for (int32_t p = 0; p < t->partition_count; p++) {
			size_t count;

			image_isr(image_partition(t, p), &count);
			total += count;
		}
	}
	must(total < (size_t)1 << 40);
	image_free(i);
	return 0;
}
