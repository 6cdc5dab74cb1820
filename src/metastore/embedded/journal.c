/* journal: see the header. */
#include "metastore/embedded/journal.h"

#include "base/crc32c.h"
#include "base/reader.h"

#define JOURNAL_MAGIC "MOLDAUMJ"
#define SNAPSHOT_MAGIC "MOLDAUMS"
#define BOUND_MAGIC "MOLDAUMA"
#define MAGIC_SIZE 8
#define FRAME_MAGIC 0x4d4a4652u /* "MJFR" */

static const uint8_t zeros[8];

/* A header is magic, format, crc of what follows, fields. Writes the start and returns where the fields begin. */
static size_t head_begin(struct buf *b, const char *magic)
{
	buf_put_str(b, magic);
	buf_put_u32(b, EMBEDDED_FORMAT);
	buf_put_u32(b, 0);
	return b->size;
}

static void head_end(struct buf *b, size_t fields)
{
	if (!b->error)
		put_be32(b->data + fields - 4, crc32c(0, bytes_of(b->data + fields, b->size - fields)));
}

static enum err head_open(struct bytes file, const char *magic, size_t size, struct reader *ret_fields)
{
	struct reader r;
	uint32_t format, crc;

	if (file.size < size || memcmp(file.data, magic, MAGIC_SIZE) != 0)
		return ERR_MALFORMED;
	r = reader_of(bytes_of(file.data + MAGIC_SIZE, size - MAGIC_SIZE));
	format = reader_u32(&r);
	crc = reader_u32(&r);
	if (crc != crc32c(0, bytes_of(r.at, (size_t)(r.end - r.at))))
		return ERR_MALFORMED;
	if (format != EMBEDDED_FORMAT)
		return ERR_BAD_VERSION;
	*ret_fields = r;
	return OK;
}

void journal_put_head(struct buf *b, const struct journal_head *h)
{
	size_t fields = head_begin(b, JOURNAL_MAGIC);

	buf_put_i64(b, (int64_t)h->id);
	buf_put_i64(b, h->number);
	buf_put_i64(b, h->last_transaction);
	buf_put_i64(b, 0);
	head_end(b, fields);
}

enum err journal_get_head(struct bytes file, struct journal_head *ret_head)
{
	struct reader r;
	enum err e = head_open(file, JOURNAL_MAGIC, JOURNAL_HEADER_SIZE, &r);

	if (e)
		return e;
	ret_head->id = (uint64_t)reader_i64(&r);
	ret_head->number = reader_i64(&r);
	ret_head->last_transaction = reader_i64(&r);
	return r.error;
}

static size_t padding(size_t size)
{
	return (8 - size % 8) % 8;
}

void journal_put_frame(struct buf *b, uint64_t id, int64_t position, struct bytes payload)
{
	size_t start = b->size;

	buf_put_u32(b, FRAME_MAGIC);
	buf_put_u32(b, 0);
	buf_put_i64(b, (int64_t)id);
	buf_put_i64(b, position);
	buf_put_u32(b, (uint32_t)payload.size);
	buf_put_u32(b, crc32c(0, payload));
	buf_put_i64(b, 0);
	if (!b->error)
		put_be32(b->data + start + 4, crc32c(0, bytes_of(b->data + start + 8, FRAME_HEADER_SIZE - 8)));
	buf_put_bytes(b, payload);
	buf_put(b, zeros, padding(payload.size));
}

/* Is there a frame's header, of this journal, that says that it is where it is? */
static bool frame_head_at(struct bytes file, uint64_t id, int64_t position, uint32_t *ret_size, uint32_t *ret_crc)
{
	const uint8_t *at = file.data + position;

	if (file.size - (size_t)position < FRAME_HEADER_SIZE || get_be32(at) != FRAME_MAGIC ||
	    get_be32(at + 4) != crc32c(0, bytes_of(at + 8, FRAME_HEADER_SIZE - 8)) || get_be64(at + 8) != id ||
	    (int64_t)get_be64(at + 16) != position)
		return false;
	*ret_size = get_be32(at + 24);
	*ret_crc = get_be32(at + 28);
	return true;
}

static bool any_frame_behind(struct bytes file, uint64_t id, int64_t position)
{
	uint32_t size, crc;

	for (int64_t at = position + 8; at + FRAME_HEADER_SIZE <= (int64_t)file.size; at += 8)
		if (frame_head_at(file, id, at, &size, &crc))
			return true;
	return false;
}

enum err journal_next_frame(struct bytes file, uint64_t id, int64_t acknowledged, int64_t *position,
			    struct bytes *ret_payload)
{
	int64_t at = *position;
	uint32_t size, crc;
	size_t left;

	if (at < JOURNAL_HEADER_SIZE || at > (int64_t)file.size)
		return ERR_CORRUPT;
	left = file.size - (size_t)at;
	if (frame_head_at(file, id, at, &size, &crc) && left - FRAME_HEADER_SIZE >= (size_t)size + padding(size)) {
		struct bytes payload = bytes_of(file.data + at + FRAME_HEADER_SIZE, size);

		if (crc32c(0, payload) == crc && memcmp(payload.data + size, zeros, padding(size)) == 0) {
			*position = at + FRAME_HEADER_SIZE + (int64_t)(size + padding(size));
			*ret_payload = payload;
			return OK;
		}
	}
	if (at < acknowledged || any_frame_behind(file, id, at))
		return ERR_CORRUPT;
	return ERR_END;
}

void bound_put(struct buf *b, const struct bound *bound)
{
	size_t fields = head_begin(b, BOUND_MAGIC);

	buf_put_i64(b, (int64_t)bound->id);
	buf_put_i64(b, bound->number);
	buf_put_i64(b, bound->position);
	buf_put_i64(b, 0);
	head_end(b, fields);
}

bool bound_get(struct bytes file, struct bound *ret_bound)
{
	bool found = false;

	for (size_t slot = 0; slot < 2; slot++) {
		size_t at = slot * BOUND_SLOT_SPACING;
		struct bound b;
		struct reader r;

		if (at >= file.size ||
		    head_open(bytes_of(file.data + at, file.size - at), BOUND_MAGIC, BOUND_SLOT_SIZE, &r))
			continue;
		b.id = (uint64_t)reader_i64(&r);
		b.number = reader_i64(&r);
		b.position = reader_i64(&r);
		if (found && (b.number < ret_bound->number ||
			      (b.number == ret_bound->number && b.position < ret_bound->position)))
			continue;
		*ret_bound = b;
		found = true;
	}
	return found;
}

void snapshot_put_head(struct buf *b, const struct snapshot_head *h)
{
	size_t fields = head_begin(b, SNAPSHOT_MAGIC);

	buf_put_i64(b, h->number);
	buf_put_i64(b, h->last_transaction);
	buf_put_i64(b, h->size);
	buf_put_u32(b, h->body_crc);
	buf_put_u32(b, 0);
	head_end(b, fields);
}

enum err snapshot_get(struct bytes file, struct snapshot_head *ret_head, struct bytes *ret_body)
{
	struct reader r;
	struct bytes body;
	enum err e = head_open(file, SNAPSHOT_MAGIC, SNAPSHOT_HEADER_SIZE, &r);

	if (e)
		return e;
	ret_head->number = reader_i64(&r);
	ret_head->last_transaction = reader_i64(&r);
	ret_head->size = reader_i64(&r);
	ret_head->body_crc = reader_u32(&r);
	body = bytes_of(file.data + SNAPSHOT_HEADER_SIZE, file.size - SNAPSHOT_HEADER_SIZE);
	if (ret_head->size != (int64_t)body.size || crc32c(0, body) != ret_head->body_crc)
		return ERR_CORRUPT;
	*ret_body = body;
	return OK;
}
