/* log_dump_small: what `moldau log dump` prints of the files beside a segment: indexes, snapshots, checkpoints, by the names. Calls storage's pure readers and stdio. */
#include "cli/log_dump.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "storage/aborted_index.h"
#include "storage/checkpoint.h"
#include "storage/log_name.h"
#include "storage/offset_index.h"
#include "storage/producer_state.h"
#include "storage/time_index.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- indexes ----------------------------------------------------------------------------------------------------- */

static bool dump_offset_index(struct bytes file, int64_t base)
{
	struct offset_index x;
	enum err e;

	offset_index_init(&x);
	/* The segment's size is not looked at here; log verify does. */
	e = offset_index_read(file, INT64_MAX, &x);
	for (size_t i = 0; i < x.count && !e; i++)
		printf("offset: %lld position: %d\n", (long long)(base + x.entries[i].relative_offset),
		       x.entries[i].position);
	if (!e)
		printf("%zu entries\n", x.count);
	offset_index_fini(&x);
	return !e;
}

static bool dump_time_index(struct bytes file, int64_t base)
{
	struct time_index x;
	enum err e;

	time_index_init(&x);
	e = time_index_read(file, &x);
	for (size_t i = 0; i < x.count && !e; i++)
		printf("timestamp: %lld offset: %lld\n", (long long)x.entries[i].timestamp,
		       (long long)(base + x.entries[i].relative_offset));
	if (!e)
		printf("%zu entries\n", x.count);
	time_index_fini(&x);
	return !e;
}

static bool dump_aborted(struct bytes file, int64_t base)
{
	struct aborted_index x = {0};
	enum err e = aborted_index_read(file, base, &x);

	for (size_t i = 0; i < x.count && !e; i++)
		printf("version: 0 producerId: %lld firstOffset: %lld lastOffset: %lld lastStableOffset: %lld\n",
		       (long long)x.entries[i].producer_id, (long long)x.entries[i].first_offset,
		       (long long)x.entries[i].last_offset, (long long)x.entries[i].last_stable_offset);
	if (!e)
		printf("%zu aborted transactions\n", x.count);
	aborted_index_fini(&x);
	return !e;
}

/* --- producers --------------------------------------------------------------------------------------------------- */

static bool dump_snapshot(struct bytes file)
{
	struct producer_state p;
	enum err e;

	producer_state_init(&p);
	e = producer_state_read(&p, file, 0);
	for (uint32_t i = 0; i < p.count && !e; i++) {
		const struct producer_entry *r = &p.entries[i];

		printf("producerId: %lld producerEpoch: %d coordinatorEpoch: %d currentTxnFirstOffset: ",
		       (long long)r->producer_id, r->epoch, r->coordinator_epoch);
		if (r->txn_first_offset >= 0)
			printf("%lld", (long long)r->txn_first_offset);
		else
			fputs("None", stdout);
		printf(" lastTimestamp: %lld lastSequence: %d lastOffset: %lld offsetDelta: %d\n",
		       (long long)r->last_timestamp, r->last_sequence, (long long)r->last_offset, r->last_offset_delta);
	}
	if (!e)
		printf("%u producers\n", p.count);
	producer_state_fini(&p);
	return !e;
}

/* --- text -------------------------------------------------------------------------------------------------------- */

struct bounds_printer {
	struct checkpoint_visitor kafkas;
	struct bounds_visitor ours;
	size_t count;
};

static void print_offset(struct checkpoint_visitor *v, struct bytes topic, int32_t partition, int64_t offset)
{
	container_of(v, struct bounds_printer, kafkas)->count++;
	printf("topic: %.*s partition: %d offset: %lld\n", BYTES_ARG(topic), partition, (long long)offset);
}

static void print_bounds(struct bounds_visitor *v, struct bytes topic, int32_t partition, const struct log_bounds *b)
{
	char id[UUID_TEXT_SIZE];

	container_of(v, struct bounds_printer, ours)->count++;
	uuid_format(b->topic_id, id);
	printf("topic: %.*s partition: %d topicId: %s recoveryPoint: %lld start: %lld acknowledged: %lld\n",
	       BYTES_ARG(topic), partition, id, (long long)b->recovery_point, (long long)b->start,
	       (long long)b->acknowledged);
}

static bool dump_offsets(struct bytes file)
{
	struct bounds_printer p = {.kafkas.entry = print_offset};
	bool whole = offset_checkpoint_read(file, &p.kafkas) == OK;

	if (whole)
		printf("%zu logs\n", p.count);
	return whole;
}

static bool dump_bounds(struct bytes file)
{
	struct bounds_printer p = {.ours.entry = print_bounds};
	bool whole = bounds_checkpoint_read(file, &p.ours) == OK;

	if (whole)
		printf("%zu logs\n", p.count);
	return whole;
}

static bool dump_epochs(struct bytes file)
{
	struct epoch_cache c;
	enum err e;

	epoch_cache_init(&c);
	e = epoch_checkpoint_read(file, &c);
	for (size_t i = 0; i < c.count && !e; i++)
		printf("leaderEpoch: %d startOffset: %lld\n", c.entries[i].epoch, (long long)c.entries[i].start_offset);
	if (!e)
		printf("%zu epochs\n", c.count);
	epoch_cache_fini(&c);
	return !e;
}

static bool dump_partition(struct bytes file)
{
	char text[UUID_TEXT_SIZE];
	struct uuid id;

	if (partition_metadata_read(file, &id) != OK)
		return false;
	uuid_format(id, text);
	printf("topicId: %s\n", text);
	return true;
}

static bool dump_meta(struct bytes file)
{
	char text[UUID_TEXT_SIZE];
	struct meta_properties m;

	if (meta_properties_read(file, &m) != OK)
		return false;
	uuid_format(m.directory_id, text);
	printf("clusterId: %s nodeId: %d directoryId: %s\n", m.cluster_id, m.node_id, text);
	return true;
}

static bool dump_marker(struct bytes file)
{
	int64_t epoch = 0;

	if (clean_marker_read(file, &epoch) != OK)
		return false;
	printf("brokerEpoch: %lld\n", (long long)epoch);
	return true;
}

/* --- the door ---------------------------------------------------------------------------------------------------- */

/* Also one that is on its way in or out. */
static bool parse_name(const char *name, int64_t *ret_base, enum segment_file *ret_which)
{
	enum leftover leftover;

	return segment_name_parse(bytes_str(name), ret_base, ret_which) == OK ||
	       leftover_name_parse(bytes_str(name), ret_base, ret_which, &leftover) == OK;
}

static bool ends_with(const char *name, const char *end)
{
	size_t size = strlen(name), wanted = strlen(end);

	return size >= wanted && strcmp(name + size - wanted, end) == 0;
}

enum small_kind log_dump_kind(const char *path)
{
	static const struct {
		const char *name;
		enum small_kind kind;
	} names[] = {
		{"leader-epoch-checkpoint", SMALL_EPOCHS},
		{"partition.metadata", SMALL_PARTITION},
		{"meta.properties", SMALL_META},
		{".kafka_cleanshutdown", SMALL_MARKER},
		{"moldau-state", SMALL_STATE},
		{"moldau-manifest", SMALL_MANIFEST},
	};
	const char *name = base_name(path);
	const char *end = strstr(name, "-offset-checkpoint");
	enum segment_file which;
	int64_t base;

	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(name, names[i].name) == 0)
			return names[i].kind;
	if (strncmp(name, "moldau-checkpoint-", 18) == 0)
		return SMALL_BOUNDS;
	if (strncmp(name, "moldau-journal-", 15) == 0)
		return SMALL_JOURNAL;
	if (end && strcmp(end, "-offset-checkpoint") == 0)
		return SMALL_OFFSETS;
	if (!parse_name(name, &base, &which))
		return ends_with(name, ".log") ? SMALL_NONE : SMALL_UNKNOWN;
	switch (which) {
	case SEGMENT_LOG:
		return SMALL_NONE;
	case SEGMENT_INDEX:
		return SMALL_OFFSET_INDEX;
	case SEGMENT_TIMEINDEX:
		return SMALL_TIME_INDEX;
	case SEGMENT_SNAPSHOT:
		return SMALL_SNAPSHOT;
	case SEGMENT_TXNINDEX:
		return SMALL_ABORTED;
	case SEGMENT_FILES:
		break;
	}
	return SMALL_UNKNOWN;
}

bool log_dump_small(const char *path, struct bytes file)
{
	enum segment_file which;
	int64_t base = 0;

	if (!parse_name(base_name(path), &base, &which))
		base = 0;
	switch (log_dump_kind(path)) {
	case SMALL_OFFSET_INDEX:
		return dump_offset_index(file, base);
	case SMALL_TIME_INDEX:
		return dump_time_index(file, base);
	case SMALL_ABORTED:
		return dump_aborted(file, base);
	case SMALL_SNAPSHOT:
		return dump_snapshot(file);
	case SMALL_OFFSETS:
		return dump_offsets(file);
	case SMALL_BOUNDS:
		return dump_bounds(file);
	case SMALL_EPOCHS:
		return dump_epochs(file);
	case SMALL_PARTITION:
		return dump_partition(file);
	case SMALL_META:
		return dump_meta(file);
	case SMALL_MARKER:
		return dump_marker(file);
	case SMALL_STATE:
		return log_dump_state(file);
	case SMALL_MANIFEST:
		return log_dump_manifest(file);
	case SMALL_JOURNAL:
		return log_dump_journal(file);
	case SMALL_NONE:
	case SMALL_UNKNOWN:
		break;
	}
	return false;
}
