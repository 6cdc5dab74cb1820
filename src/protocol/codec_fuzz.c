/*
 * codec_fuzz: the first byte or two pick a message, the next its version, the rest is decoded. What decodes must encode, and decode again
 * to the same bytes; in two parts (message_encode_split) it must be the same too; printing it must end.
 */
#include "base/must.h"
#include "protocol/codec.h"
#include "protocol/messages.h"

#define ARENA_MAX ((size_t)1 << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A buf that is as large as it has to be, so that a full one is a finding. */
static void encode_again(const struct message_type *t, int16_t version, const void *message, struct buf *out)
{
	buf_init(out, (size_t)1 << 26);
	must(message_encode(t, version, message, out) == OK);
}

static void check_split(const struct message_type *t, int16_t version, const void *message, const struct buf *whole)
{
	struct encode_cut cuts[64];
	size_t count = 0, from = 0, at = 0;
	struct buf out;
	enum err e;

	buf_init(&out, (size_t)1 << 26);
	e = message_encode_split(t, version, message, &out, cuts, countof(cuts), &count);
	must(e == OK || e == ERR_TOO_BIG);
	for (size_t i = 0; i < count; i++) {
		must(memcmp(out.data + from, whole->data + at, cuts[i].offset - from) == 0);
		at += cuts[i].offset - from;
		must(bytes_equal(bytes_of(whole->data + at, cuts[i].records.size), cuts[i].records));
		at += cuts[i].records.size;
		from = cuts[i].offset;
	}
	must(e || at + (out.size - from) == whole->size);
	buf_fini(&out);
}

static void check_message(const struct message_type *t, int16_t version, struct bytes source)
{
	_Alignas(16) uint8_t message[MESSAGE_MAX_SIZE_BYTES];
	struct reader r = reader_of(source);
	struct buf once, twice, text;
	struct arena a;

	arena_init(&a, ARENA_MAX);
	if (message_decode(t, version, &r, &a, message) != OK) {
		must(r.error);
		arena_fini(&a);
		return;
	}
	encode_again(t, version, message, &once);
	check_split(t, version, message, &once);
	r = reader_of(buf_bytes(&once));
	must(message_decode(t, version, &r, &a, message) == OK || r.error == ERR_NO_MEMORY);
	if (!r.error) {
		must(reader_left(&r) == 0);
		encode_again(t, version, message, &twice);
		must(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
		buf_fini(&twice);
		buf_init(&text, MESSAGE_PRINT_MAX);
		message_print(t, version, message, &text);
		must(!text.error);
		buf_fini(&text);
	}
	buf_fini(&once);
	arena_fini(&a);
}

static void check_headers(struct bytes source)
{
	struct reader r = reader_of(source);
	struct request_header h, again;
	int32_t correlation_id;
	struct buf out;

	if (request_header_decode(&r, &h) != OK)
		return;
	buf_init(&out, (size_t)1 << 17);
	if (request_header_encode(&h, &out) == OK) {
		r = reader_of(buf_bytes(&out));
		must(request_header_decode(&r, &again) == OK && reader_left(&r) == 0);
		must(again.api_key == h.api_key && again.api_version == h.api_version);
		must(again.correlation_id == h.correlation_id && bytes_equal(again.client_id, h.client_id));
	}
	buf_fini(&out);
	r = reader_of(source);
	if (response_header_decode(&r, &h, &correlation_id) != OK)
		must(r.error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct message_type *t;
	int16_t version;

	if (size < 3)
		return 0;
	t = message_types[(size_t)get_be16(data) % message_type_count];
	version = (int16_t)(t->first_version + data[2] % (t->last_version - t->first_version + 1));
	check_message(t, version, bytes_of(data + 3, size - 3));
	check_headers(bytes_of(data + 3, size - 3));
	return 0;
}
