/*
 * request_fuzz: any bytes, in any pieces, on one connection. The first byte says how large the pieces are. What is read must be the same as
 * when all comes at once.
 */
#include <string.h>

#include "base/must.h"
#include "http/request.h"

struct outcome {
	size_t requests;
	size_t consumed;
	enum request_step step;
	unsigned status;
	struct http_request last;
};

static void run(const uint8_t *data, size_t size, size_t piece, struct outcome *o)
{
	struct http_reader *r = http_reader_new();
	size_t at = 0;

	memset(o, 0, sizeof(*o));
	while (at < size && o->step != REQUEST_BAD) {
		struct bytes part = bytes_of(data + at, piece < size - at ? piece : size - at);
		size_t given = part.size;

		o->step = http_reader_step(r, &part, &o->last, &o->status);
		must(part.size <= given && (part.size < given || o->step != REQUEST_MORE));
		at += given - part.size;
		if (o->step != REQUEST_WHOLE)
			continue;
		o->requests++;
		must(strlen(o->last.path) <= HTTP_TARGET_MAX && strlen(o->last.path) > 0);
		if (!o->last.keep_alive)
			break;
	}
	o->consumed = at;
	http_reader_free(r);
}

static void check_unescape(const uint8_t *data, size_t size)
{
	char plain[HTTP_TARGET_MAX];
	size_t plain_size;

	if (http_unescape(bytes_of(data, size), plain, &plain_size))
		must(plain_size <= size && (size - plain_size) % 2 == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct outcome whole, pieces;

	if (size < 1)
		return 0;
	check_unescape(data, size < HTTP_TARGET_MAX ? size : HTTP_TARGET_MAX);
	run(data + 1, size - 1, size, &whole);
	run(data + 1, size - 1, (size_t)data[0] % 64 + 1, &pieces);
	/* Not the status: of a target that is too long and has a bad byte behind that, in pieces the length is seen first. */
	must(whole.requests == pieces.requests && whole.step == pieces.step);
	if (whole.requests > 0)
		must(strcmp(whole.last.path, pieces.last.path) == 0 && whole.last.method == pieces.last.method &&
		     strcmp(whole.last.host, pieces.last.host) == 0);
	if (whole.step != REQUEST_BAD)
		must(whole.consumed == pieces.consumed);
	return 0;
}
