/* source: see the header. */
#include "record/source.h"

#define WINDOW_START (64u << 10)

void record_source_init(struct record_source *s, enum codec codec, struct bytes records, struct compressor *compressor,
			size_t max_decompressed)
{
	must(codec == CODEC_NONE || compressor);

	*s = (struct record_source){.at = records.data, .end = records.data + records.size, .drained = true};
	if (codec == CODEC_NONE)
		return;
	decompress_begin(compressor, codec, records, max_decompressed);
	buf_reset(&compressor->window);
	(void)buf_reserve(&compressor->window, WINDOW_START);
	s->compressor = compressor;
	s->drained = false;
	s->at = s->end = compressor->window.data;
}

/* Moves what is not yet looked at to the front and fills the rest; a window that is full already is doubled. */
static enum err refill(struct record_source *s)
{
	struct buf *window = &s->compressor->window;
	size_t rest = (size_t)(s->end - s->at), room, got;
	enum err e;

	if (rest)
		memmove(window->data, s->at, rest);
	window->size = rest;
	if (rest == window->capacity)
		(void)buf_reserve(window, rest);
	room = window->capacity - rest;
	s->at = s->end = window->data;
	e = decompress_read(s->compressor, window->data + rest, room, &got);
	if (e)
		return e;
	window->size += got;
	s->end = window->data + window->size;
	s->drained = got < room;
	return OK;
}

/* Whether the bytes at hand hold the next record whole, going by its length; true as well where the length is none. */
static bool has_whole_record(const struct record_source *s)
{
	const uint8_t *at = s->at;
	int32_t size;

	if (!parse_varint(&at, s->end, &size))
		return s->end - s->at >= 5;
	return size < 0 || size <= s->end - at;
}

enum err record_source_refill_next(struct record_source *s, struct record_view *ret_view)
{
	const uint8_t *before;

	while (!s->drained && !has_whole_record(s)) {
		enum err e = refill(s);

		if (e)
			return e;
	}
	before = s->at;
	if (!parse_record(&s->at, s->end, ret_view))
		return ERR_MALFORMED;
	s->taken += (size_t)(s->at - before);
	return OK;
}

enum err record_source_end(struct record_source *s)
{
	while (!s->drained && s->at == s->end) {
		enum err e = refill(s);

		if (e)
			return e;
	}
	return s->at == s->end ? OK : ERR_MALFORMED;
}
