/* checkpoint_fuzz: the text files of a log folder, and names of folders and files, with any bytes in them. */
#include "storage/checkpoint.h"
#include "storage/log_name.h"

static void drop(struct checkpoint_visitor *v, struct bytes topic, int32_t partition, int64_t offset)
{
	(void)v;
	must(topic.size > 0 && partition >= 0 && offset >= -1);
}

static void drop_bounds(struct bounds_visitor *v, struct bytes topic, int32_t partition, const struct log_bounds *b)
{
	(void)v;
	must(topic.size > 0 && partition >= 0 && b->start >= 0 && b->recovery_point >= 0 && b->acknowledged >= 0);
}

static void drop_move(struct moves_visitor *v, const struct moved_log *m)
{
	(void)v;
	must(m->topic.size > 0 && m->partition >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = bytes_of(data, size), topic;
	struct checkpoint_visitor v = {.entry = drop};
	struct bounds_visitor bounds = {.entry = drop_bounds};
	struct moves_visitor moves = {.entry = drop_move};
	struct epoch_cache epochs = {0};
	struct meta_properties meta;
	enum segment_file file;
	struct uuid id;
	int64_t number;
	uint64_t run;
	int32_t partition;

	(void)!offset_checkpoint_read(in, &v);
	(void)!bounds_checkpoint_read(in, &bounds);
	(void)!moves_read(in, &moves);
	(void)!epoch_checkpoint_read(in, &epochs);
	for (size_t i = 1; i < epochs.count; i++)
		must(epochs.entries[i].epoch > epochs.entries[i - 1].epoch);
	epoch_cache_fini(&epochs);
	(void)!partition_metadata_read(in, &id);
	(void)!meta_properties_read(in, &meta);
	(void)!clean_marker_read(in, &number);
	if (run_state_read(in, &run) == OK)
		must(run != 0);
	(void)folder_name_parse(in, &topic, &partition);
	(void)!segment_name_parse(in, &number, &file);
	return 0;
}
