/* java_hash: see the header. */
#include "base/java_hash.h"

#include "base/must.h"

#define REPLACEMENT 0xfffdU

/*
 * What the bytes after the first of a sequence may be; the range of the second depends on the first (Unicode 3.9, D92).
 * A surrogate's three bytes are whole to Java's String, which puts one replacement for all of them.
 */
struct sequence {
	uint8_t length;
	uint8_t second_least;
	uint8_t second_most;
};

static struct sequence sequence_of(uint8_t first)
{
	if (first < 0x80)
		return (struct sequence){1, 0, 0};
	if (first >= 0xc2 && first <= 0xdf)
		return (struct sequence){2, 0x80, 0xbf};
	if (first >= 0xe0 && first <= 0xef)
		return (struct sequence){3, first == 0xe0 ? 0xa0 : 0x80, 0xbf};
	if (first >= 0xf0 && first <= 0xf4)
		return (struct sequence){4, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf};
	return (struct sequence){0};
}

/* Takes one code point; a sequence that breaks off is one replacement for the bytes that could have begun it. */
static uint32_t next_code_point(struct bytes *rest)
{
	struct sequence s = sequence_of(rest->data[0]);
	uint32_t code = s.length < 2 ? rest->data[0] : rest->data[0] & (0x7fU >> s.length);
	size_t taken = 1;

	while (taken < s.length && taken < rest->size) {
		uint8_t byte = rest->data[taken];

		if (byte < (taken == 1 ? s.second_least : 0x80) || byte > (taken == 1 ? s.second_most : 0xbf))
			break;
		code = code << 6 | (byte & 0x3f);
		taken++;
	}
	*rest = bytes_of(rest->data + taken, rest->size - taken);
	if (s.length == 0 || taken < s.length || (code >= 0xd800 && code < 0xe000))
		return REPLACEMENT;
	return code;
}

int32_t java_hash(struct bytes text)
{
	uint32_t h = 0;

	while (text.size > 0) {
		uint32_t code = next_code_point(&text);

		if (code >= 0x10000) {
			h = 31 * h + (0xd800 + ((code - 0x10000) >> 10));
			code = 0xdc00 + ((code - 0x10000) & 0x3ff);
		}
		h = 31 * h + code;
	}
	return (int32_t)h;
}

int32_t java_hash_partition(struct bytes text, int32_t partitions)
{
	int32_t h = java_hash(text);

	must(partitions > 0);
	return (h == INT32_MIN ? 0 : h < 0 ? -h : h) % partitions;
}

int java_compare(struct bytes a, struct bytes b)
{
	size_t common = a.size < b.size ? a.size : b.size;

	for (size_t i = 0; i < common; i++) {
		if (a.data[i] == b.data[i])
			continue;
		/* Only the first byte of a sequence tells planes apart: surrogates (of 0xf0 and more) are less than U+E000 (0xee). */
		if (a.data[i] >= 0xee && b.data[i] >= 0xee && (a.data[i] >= 0xf0) != (b.data[i] >= 0xf0))
			return a.data[i] >= 0xf0 ? -1 : 1;
		return a.data[i] < b.data[i] ? -1 : 1;
	}
	return a.size < b.size ? -1 : a.size > b.size;
}
