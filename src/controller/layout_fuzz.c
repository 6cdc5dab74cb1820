/* layout_fuzz: any bytes as each of the texts that nodes hold. */
#include "controller/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore_feature(void *context, struct bytes name, int16_t level)
{
	size_t *total = context;

	*total += name.size + (size_t)level;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int32_t one[] = {1};
	struct delta_partition p = {.replicas = one, .replica_count = 1, .isr = one, .isr_count = 1};
	struct bytes text = bytes_of(data, size);
	const struct config_entry *configs;
	struct delta_record topic = {0};
	size_t total = 0;
	char id[64];
	uint32_t count;
	int64_t next;
	struct arena a;

	arena_init(&a, 1 << 20);
	/* With a terminator behind it, as nodes' names have. */
	if (size < 1000)
		total += layout_config_name(
				 (const char *)arena_copy(&a, bytes_of(data ? data : (const uint8_t *)"", size)).data,
				 &a)
				 .size;
	(void)!layout_get_topic(text, &a, &topic);
	(void)!layout_get_state(text, 3, &a, &p);
	(void)!layout_get_configs(text, &a, &configs, &count);
	(void)!layout_get_producer_ids(text, &next);
	(void)!layout_get_cluster_id(text, id, sizeof(id));
	(void)!layout_get_features(text, ignore_feature, &total);
	arena_fini(&a);
	return 0;
}
