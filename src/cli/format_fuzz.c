/* format_fuzz: any text as a format string: it is refused with words, or prints. */
#include "cli/format.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mo_message m = {.topic = "orders", .offset = INT64_MIN, .timestamp_ms = INT64_MAX, .key = {"k", 1}};
	char *text = malloc(size + 1);
	char why[200] = "";
	struct format *f;
	struct buf out;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	f = format_new(text, why, sizeof(why));
	if (!f && !why[0])
		abort();
	if (f) {
		buf_init(&out, 1 << 20);
		format_print(f, &m, UINT64_MAX, true, &out);
		buf_fini(&out);
		format_free(f);
	}
	free(text);
	return 0;
}
