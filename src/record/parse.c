/* parse: the rarer half; see the header. */
#include "record/parse.h"

bool parse_uvarlong_slow(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && shift / 7 < (size_t)(end - *at); shift += 7) {
		uint64_t byte = (*at)[shift / 7];

		if (shift == 63 && byte > 1)
			return false;
		value |= (byte & 0x7f) << shift;
		if (byte < 0x80) {
			*at += shift / 7 + 1;
			*ret_value = value;
			return true;
		}
	}
	return false;
}

bool parse_uvarint_slow(const uint8_t **at, const uint8_t *end, uint32_t *ret_value)
{
	const uint8_t *p = *at;
	uint64_t value;

	if (end - p > 5)
		end = p + 5;
	if (!parse_uvarlong_slow(&p, end, &value) || value > UINT32_MAX)
		return false;
	*at = p;
	*ret_value = (uint32_t)value;
	return true;
}

bool parse_header(const uint8_t **at, const uint8_t *end, struct bytes *ret_key, struct bytes *ret_value)
{
	const uint8_t *p = *at;

	if (!parse_nullable(&p, end, ret_key) || bytes_is_null(*ret_key) || !parse_nullable(&p, end, ret_value))
		return false;
	*at = p;
	return true;
}

bool parse_headers(struct bytes headers, int32_t count)
{
	const uint8_t *at = headers.data, *end = at + headers.size;
	struct bytes key, value;

	/* Each takes two bytes at least: a count beyond that need not be tried. */
	if (count < 0 || (size_t)count > headers.size / 2)
		return false;
	for (int32_t i = 0; i < count; i++)
		if (!parse_header(&at, end, &key, &value))
			return false;
	return at == end;
}
