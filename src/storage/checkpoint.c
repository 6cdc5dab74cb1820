/* checkpoint: see checkpoint.h. Pure; uses base only. */
#include "storage/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "storage/log_name.h"

/* The next line of `rest` without its end; false when nothing is left. */
static bool next_line(struct bytes *rest, struct bytes *ret_line)
{
	const uint8_t *end;
	size_t size;

	if (rest->size == 0)
		return false;
	end = memchr(rest->data, '\n', rest->size);
	size = end ? (size_t)(end - rest->data) : rest->size;
	*ret_line = bytes_of(rest->data, size);
	*rest = bytes_of(rest->data + size + (end ? 1 : 0), rest->size - size - (end ? 1 : 0));
	if (ret_line->size && ret_line->data[ret_line->size - 1] == '\r')
		ret_line->size--;
	return true;
}

/* The next word of a line, up to a space; false when none is left. */
static bool next_word(struct bytes *line, struct bytes *ret_word)
{
	size_t size = 0;

	while (line->size && line->data[0] == ' ')
		*line = bytes_of(line->data + 1, line->size - 1);
	while (size < line->size && line->data[size] != ' ')
		size++;
	*ret_word = bytes_of(line->data, size);
	*line = bytes_of(line->data + size, line->size - size);
	return size > 0;
}

static bool parse_number(struct bytes word, int64_t *ret_number)
{
	bool negative = word.size && word.data[0] == '-';
	int64_t value = 0;

	if (word.size == (negative ? 1 : 0))
		return false;
	for (size_t i = negative ? 1 : 0; i < word.size; i++) {
		int digit = word.data[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	*ret_number = negative ? -value : value;
	return true;
}

static bool next_number(struct bytes *line, int64_t min, int64_t max, int64_t *ret_number)
{
	struct bytes word;

	return next_word(line, &word) && parse_number(word, ret_number) && *ret_number >= min && *ret_number <= max;
}

static bool line_number(struct bytes *rest, int64_t min, int64_t max, int64_t *ret_number)
{
	struct bytes line, more;

	return next_line(rest, &line) && next_number(&line, min, max, ret_number) && !next_word(&line, &more);
}

enum err offset_checkpoint_read(struct bytes file, struct checkpoint_visitor *v)
{
	int64_t version, count;
	struct bytes line, topic, more;

	if (!line_number(&file, 0, 0, &version) || !line_number(&file, 0, INT32_MAX, &count))
		return ERR_CORRUPT;
	for (int64_t i = 0; i < count; i++) {
		int64_t partition, offset;

		if (!next_line(&file, &line) || !next_word(&line, &topic) || topic.size > TOPIC_NAME_MAX ||
		    !next_number(&line, 0, INT32_MAX, &partition) || !next_number(&line, -1, INT64_MAX, &offset) ||
		    next_word(&line, &more))
			return ERR_CORRUPT;
		v->entry(v, topic, (int32_t)partition, offset);
	}
	while (next_line(&file, &line))
		if (line.size)
			return ERR_CORRUPT;
	return OK;
}

void offset_checkpoint_write_head(struct buf *out, size_t count)
{
	buf_printf(out, "0\n%zu\n", count);
}

void offset_checkpoint_write_entry(struct buf *out, struct bytes topic, int32_t partition, int64_t offset)
{
	buf_printf(out, "%.*s %" PRId32 " %" PRId64 "\n", BYTES_ARG(topic), partition, offset);
}

enum err epoch_checkpoint_read(struct bytes file, struct epoch_cache *c)
{
	int64_t version, count;
	struct bytes line, more;
	struct epoch_cache read;

	epoch_cache_init(&read);
	if (file.size == 0 || file.data[file.size - 1] != '\n') /* cut off: the last number may be */
		return ERR_CORRUPT;
	if (!line_number(&file, 0, 0, &version) || !line_number(&file, 0, INT32_MAX, &count))
		return ERR_CORRUPT;
	for (int64_t i = 0; i < count; i++) {
		int64_t epoch, offset;

		if (!next_line(&file, &line) || !next_number(&line, 0, INT32_MAX, &epoch) ||
		    !next_number(&line, 0, INT64_MAX, &offset) || next_word(&line, &more) ||
		    epoch_cache_assign(&read, (int32_t)epoch, offset) != OK) {
			epoch_cache_fini(&read);
			return ERR_CORRUPT;
		}
	}
	epoch_cache_fini(c);
	*c = read;
	return OK;
}

void epoch_checkpoint_write(const struct epoch_cache *c, struct buf *out)
{
	buf_printf(out, "0\n%zu\n", c->count);
	for (size_t i = 0; i < c->count; i++)
		buf_printf(out, "%" PRId32 " %" PRId64 "\n", c->entries[i].epoch, c->entries[i].start_offset);
}

/* The value of `key` in a line such as "key: value" or "key=value", trimmed; false when it is another line. */
static bool line_value(struct bytes line, const char *key, char mark, struct bytes *ret_value)
{
	size_t size = strlen(key);

	while (line.size && line.data[0] == ' ')
		line = bytes_of(line.data + 1, line.size - 1);
	if (line.size < size || memcmp(line.data, key, size) != 0)
		return false;
	line = bytes_of(line.data + size, line.size - size);
	while (line.size && line.data[0] == ' ')
		line = bytes_of(line.data + 1, line.size - 1);
	if (!line.size || line.data[0] != mark)
		return false;
	line = bytes_of(line.data + 1, line.size - 1);
	while (line.size && line.data[0] == ' ')
		line = bytes_of(line.data + 1, line.size - 1);
	while (line.size && line.data[line.size - 1] == ' ')
		line.size--;
	*ret_value = line;
	return true;
}

enum err partition_metadata_read(struct bytes file, struct uuid *ret_topic_id)
{
	struct bytes line, value;
	bool version = false, id = false;
	struct uuid read = {0};

	while (next_line(&file, &line)) {
		if (line_value(line, "version", ':', &value))
			version = bytes_equal_str(value, "0");
		else if (line_value(line, "topic_id", ':', &value))
			id = uuid_parse(value, &read) == OK;
		else if (line.size)
			return ERR_CORRUPT;
	}
	if (!version || !id)
		return ERR_CORRUPT;
	*ret_topic_id = read;
	return OK;
}

void partition_metadata_write(struct uuid topic_id, struct buf *out)
{
	char text[UUID_TEXT_SIZE];

	uuid_format(topic_id, text);
	buf_printf(out, "version: 0\ntopic_id: %s\n", text);
}

/* java.util.Properties as far as these values need it: what is escaped in a base64url id or a number is nothing but ':' and '='. */
enum err meta_properties_read(struct bytes file, struct meta_properties *ret_meta)
{
	struct meta_properties m = {.node_id = -1};
	struct bytes line, value;
	int64_t number, version = -1;

	while (next_line(&file, &line)) {
		if (line.size && (line.data[0] == '#' || line.data[0] == '!'))
			continue;
		if (line_value(line, "version", '=', &value)) {
			if (!parse_number(value, &version))
				return ERR_CORRUPT;
		} else if (line_value(line, "cluster.id", '=', &value)) {
			if (value.size == 0 || value.size >= sizeof(m.cluster_id) || memchr(value.data, 0, value.size))
				return ERR_CORRUPT;
			memcpy(m.cluster_id, value.data, value.size);
		} else if (line_value(line, "node.id", '=', &value) || line_value(line, "broker.id", '=', &value)) {
			if (!parse_number(value, &number) || number < 0 || number > INT32_MAX)
				return ERR_CORRUPT;
			m.node_id = (int32_t)number;
		} else if (line_value(line, "directory.id", '=', &value)) {
			if (uuid_parse(value, &m.directory_id) != OK)
				return ERR_CORRUPT;
		}
	}
	if (version < 0 || version > 1 || !m.cluster_id[0] || m.node_id < 0)
		return ERR_CORRUPT;
	*ret_meta = m;
	return OK;
}

void meta_properties_write(const struct meta_properties *m, struct buf *out)
{
	char text[UUID_TEXT_SIZE];

	uuid_format(m->directory_id, text);
	buf_printf(out, "#\nversion=1\ncluster.id=%s\nnode.id=%" PRId32 "\ndirectory.id=%s\n", m->cluster_id,
		   m->node_id, text);
}

enum err clean_marker_read(struct bytes file, int64_t *ret_broker_epoch)
{
	static const char head[] = "{\"version\":0,\"brokerEpoch\":";
	const size_t head_size = sizeof(head) - 1;
	int64_t number;
	struct buf same;
	bool is_same;

	if (file.size < head_size + 2 || memcmp(file.data, head, head_size) != 0 ||
	    !parse_number(bytes_of(file.data + head_size, file.size - head_size - 1), &number))
		return ERR_CORRUPT;
	buf_init(&same, 200);
	clean_marker_write(number, &same);
	is_same = bytes_equal(buf_bytes(&same), file);
	buf_fini(&same);
	if (!is_same)
		return ERR_CORRUPT;
	*ret_broker_epoch = number;
	return OK;
}

void clean_marker_write(int64_t broker_epoch, struct buf *out)
{
	buf_printf(out, "{\"version\":0,\"brokerEpoch\":%" PRId64 "}", broker_epoch);
}

#define RUN_DIGITS 16
#define RUN_HEAD_1 "version=1\nrun="
#define RUN_HEAD_2 "version=2\nrun="

static void write_run(const char *head, uint64_t run, struct buf *out)
{
	buf_printf(out, "%s%016" PRIx64 "\n", head, run);
}

void run_state_write(uint64_t run, struct buf *out)
{
	write_run(RUN_HEAD_2, run, out);
	if (!out->error)
		buf_printf(out, "crc32c=%08" PRIx32 "\n", crc32c(0, buf_bytes(out)));
}

static bool parse_run(struct bytes digits, uint64_t *ret_run)
{
	uint64_t run = 0;

	for (size_t i = 0; i < digits.size; i++) {
		uint8_t c = digits.data[i];

		if (c >= '0' && c <= '9')
			run = run << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			run = run << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	*ret_run = run;
	return run != 0;
}

enum err run_state_read(struct bytes file, uint64_t *ret_run)
{
	const size_t head_size = sizeof(RUN_HEAD_1) - 1;
	struct buf same;
	uint64_t run;
	bool is_same;

	if (file.size < head_size + RUN_DIGITS || !parse_run(bytes_of(file.data + head_size, RUN_DIGITS), &run))
		return ERR_CORRUPT;
	buf_init(&same, 200);
	if (memcmp(file.data, RUN_HEAD_1, head_size) == 0)
		write_run(RUN_HEAD_1, run, &same);
	else
		run_state_write(run, &same);
	is_same = bytes_equal(buf_bytes(&same), file);
	buf_fini(&same);
	if (!is_same)
		return ERR_CORRUPT;
	*ret_run = run;
	return OK;
}

/* --- ours, closed by a line with a checksum ----------------------------------------------------------------------- */

#define BOUNDS_HEAD "moldau-checkpoint 1\n"
#define MOVES_HEAD "moldau-moves 1\n"

struct closed_text {
	struct bytes file;
	struct bytes rest;
};

static bool open_text(struct closed_text *t, struct bytes file, const char *head)
{
	size_t size = strlen(head);

	if (file.size < size || memcmp(file.data, head, size) != 0)
		return false;
	t->file = file;
	t->rest = bytes_of(file.data + size, file.size - size);
	return true;
}

/* The topic of the next line, and the rest of it. OK, ERR_END: the closing line, and it is right; ERR_CORRUPT. */
static enum err next_entry(struct closed_text *t, struct bytes *ret_topic, struct bytes *ret_line)
{
	const uint8_t *at = t->rest.data;
	uint32_t made;
	int64_t crc;

	if (!next_line(&t->rest, ret_line) || !next_word(ret_line, ret_topic))
		return ERR_CORRUPT;
	if (!bytes_equal_str(*ret_topic, "="))
		return ret_topic->size > TOPIC_NAME_MAX ? ERR_CORRUPT : OK;
	made = crc32c(0, bytes_of(t->file.data, (size_t)(at - t->file.data)));
	return next_number(ret_line, 0, UINT32_MAX, &crc) && crc == made && t->rest.size == 0 ? ERR_END : ERR_CORRUPT;
}

static void close_text(struct buf *out)
{
	if (!out->error)
		buf_printf(out, "= %" PRIu32 "\n", crc32c(0, buf_bytes(out)));
}

enum err bounds_checkpoint_read(struct bytes file, struct bounds_visitor *v)
{
	struct bytes line, word, topic, more;
	struct closed_text t;
	enum err e;

	if (!open_text(&t, file, BOUNDS_HEAD))
		return ERR_CORRUPT;
	while ((e = next_entry(&t, &topic, &line)) == OK) {
		struct log_bounds b;
		int64_t partition;

		if (!next_number(&line, 0, INT32_MAX, &partition) || !next_word(&line, &word) ||
		    uuid_parse(word, &b.topic_id) != OK || !next_number(&line, 0, INT64_MAX, &b.recovery_point) ||
		    !next_number(&line, 0, INT64_MAX, &b.start) || !next_number(&line, 0, INT64_MAX, &b.acknowledged) ||
		    next_word(&line, &more))
			return ERR_CORRUPT;
		v->entry(v, topic, (int32_t)partition, &b);
	}
	return e == ERR_END ? OK : e;
}

void bounds_checkpoint_write_head(struct buf *out)
{
	buf_put_str(out, BOUNDS_HEAD);
}

void bounds_checkpoint_write_entry(struct buf *out, struct bytes topic, int32_t partition, const struct log_bounds *b)
{
	char text[UUID_TEXT_SIZE];

	uuid_format(b->topic_id, text);
	buf_printf(out, "%.*s %" PRId32 " %s %" PRId64 " %" PRId64 " %" PRId64 "\n", BYTES_ARG(topic), partition, text,
		   b->recovery_point, b->start, b->acknowledged);
}

void bounds_checkpoint_write_end(struct buf *out)
{
	close_text(out);
}

enum err moves_read(struct bytes file, struct moves_visitor *v)
{
	struct bytes line, word, more;
	struct closed_text t;
	struct moved_log m;
	enum err e;

	if (!open_text(&t, file, MOVES_HEAD))
		return ERR_CORRUPT;
	while ((e = next_entry(&t, &m.topic, &line)) == OK) {
		int64_t partition;

		if (!next_number(&line, 0, INT32_MAX, &partition) || !next_word(&line, &word) ||
		    uuid_parse(word, &m.topic_id) != OK || !next_word(&line, &word) ||
		    uuid_parse(word, &m.directory_id) != OK || next_word(&line, &more))
			return ERR_CORRUPT;
		m.partition = (int32_t)partition;
		v->entry(v, &m);
	}
	return e == ERR_END ? OK : e;
}

void moves_write_head(struct buf *out)
{
	buf_put_str(out, MOVES_HEAD);
}

void moves_write_entry(struct buf *out, const struct moved_log *m)
{
	char id[UUID_TEXT_SIZE], directory[UUID_TEXT_SIZE];

	uuid_format(m->topic_id, id);
	uuid_format(m->directory_id, directory);
	buf_printf(out, "%.*s %" PRId32 " %s %s\n", BYTES_ARG(m->topic), m->partition, id, directory);
}

void moves_write_end(struct buf *out)
{
	close_text(out);
}
