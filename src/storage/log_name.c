/* log_name: see log_name.h. Pure; uses base only. */
#include "storage/log_name.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const suffixes[SEGMENT_FILES] = {
	[SEGMENT_LOG] = ".log",           [SEGMENT_INDEX] = ".index",       [SEGMENT_TIMEINDEX] = ".timeindex",
	[SEGMENT_TXNINDEX] = ".txnindex", [SEGMENT_SNAPSHOT] = ".snapshot",
};

static bool ends_with(struct bytes name, const char *suffix)
{
	size_t size = strlen(suffix);

	return name.size > size && memcmp(name.data + name.size - size, suffix, size) == 0;
}

/* Decimal digits only, at most `max`; -1 when it is not that. */
static int64_t number_of(struct bytes text, int64_t max)
{
	int64_t value = 0;

	if (text.size == 0)
		return -1;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return -1;
		if (value > (max - (text.data[i] - '0')) / 10)
			return -1;
		value = value * 10 + (text.data[i] - '0');
	}
	return value;
}

static enum folder_kind parse_plain(struct bytes name, struct bytes *ret_topic, int32_t *ret_partition)
{
	size_t dash = name.size;
	int64_t partition;

	while (dash > 0 && name.data[dash - 1] != '-')
		dash--;
	if (dash < 2 || dash - 1 > TOPIC_NAME_MAX)
		return FOLDER_OTHER;
	partition = number_of(bytes_of(name.data + dash, name.size - dash), INT32_MAX);
	if (partition < 0)
		return FOLDER_OTHER;
	*ret_topic = bytes_of(name.data, dash - 1);
	*ret_partition = (int32_t)partition;
	return FOLDER_LOG;
}

/* The name in front of the dot, which a topic's name may have more of. */
static enum folder_kind parse_future(struct bytes name, struct bytes *ret_topic, int32_t *ret_partition)
{
	while (name.size > 0 && name.data[name.size - 1] != '.')
		name.size--;
	if (name.size == 0)
		return FOLDER_OTHER;
	name.size--;
	return parse_plain(name, ret_topic, ret_partition) == FOLDER_LOG ? FOLDER_FUTURE : FOLDER_OTHER;
}

enum folder_kind folder_name_parse(struct bytes name, struct bytes *ret_topic, int32_t *ret_partition)
{
	if (ends_with(name, "-delete"))
		return FOLDER_DELETED;
	if (ends_with(name, "-stray"))
		return FOLDER_STRAY;
	if (ends_with(name, "-future"))
		return parse_future(name, ret_topic, ret_partition);
	return parse_plain(name, ret_topic, ret_partition);
}

void folder_name_format(char ret_name[static LOG_NAME_SIZE], struct bytes topic, int32_t partition)
{
	must(topic.size <= TOPIC_NAME_MAX);
	snprintf(ret_name, LOG_NAME_SIZE, "%.*s-%" PRId32, BYTES_ARG(topic), partition);
}

enum err segment_name_parse(struct bytes name, int64_t *ret_base_offset, enum segment_file *ret_file)
{
	int64_t base;

	if (name.size <= 20)
		return ERR_NOT_FOUND;
	base = number_of(bytes_of(name.data, 20), INT64_MAX);
	if (base < 0)
		return ERR_NOT_FOUND;
	for (int i = 0; i < SEGMENT_FILES; i++) {
		if (bytes_equal_str(bytes_of(name.data + 20, name.size - 20), suffixes[i])) {
			*ret_base_offset = base;
			*ret_file = (enum segment_file)i;
			return OK;
		}
	}
	return ERR_NOT_FOUND;
}

const char *leftover_suffix(enum leftover kind)
{
	static const char *const suffix[LEFTOVER_COUNT] = {
		[LEFTOVER_DELETED] = ".deleted",
		[LEFTOVER_CLEANED] = ".cleaned",
		[LEFTOVER_SWAP] = ".swap",
	};

	return suffix[kind];
}

enum err leftover_name_parse(struct bytes name, int64_t *ret_base_offset, enum segment_file *ret_file,
			     enum leftover *ret_kind)
{
	for (int i = 0; i < LEFTOVER_COUNT; i++) {
		const char *suffix = leftover_suffix((enum leftover)i);
		struct bytes inner = bytes_of(name.data, name.size - strlen(suffix));

		if (!ends_with(name, suffix))
			continue;
		if (segment_name_parse(inner, ret_base_offset, ret_file) != OK)
			return ERR_NOT_FOUND;
		*ret_kind = (enum leftover)i;
		return OK;
	}
	return ERR_NOT_FOUND;
}

void segment_name_format(char ret_name[static LOG_NAME_SIZE], int64_t base_offset, enum segment_file file)
{
	snprintf(ret_name, LOG_NAME_SIZE, "%020" PRId64 "%s", base_offset, suffixes[file]);
}
