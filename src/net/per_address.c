/* per_address: see the header. */
#include "net/per_address.h"

#define MOST 1000000000

static struct bytes trimmed(struct bytes b)
{
	while (b.size > 0 && b.data[0] == ' ')
		b = bytes_of(b.data + 1, b.size - 1);
	while (b.size > 0 && b.data[b.size - 1] == ' ')
		b = bytes_of(b.data, b.size - 1);
	return b;
}

static bool number_of(struct bytes digits, size_t *ret_number)
{
	size_t number = 0;

	if (digits.size == 0)
		return false;
	for (size_t i = 0; i < digits.size; i++) {
		if (digits.data[i] < '0' || digits.data[i] > '9' || number > MOST)
			return false;
		number = number * 10 + (size_t)(digits.data[i] - '0');
	}
	*ret_number = number;
	return true;
}

static bool says(struct bytes entry, struct bytes host, size_t *ret_limit)
{
	size_t colon = entry.size;

	while (colon > 0 && entry.data[colon - 1] != ':')
		colon--;
	if (colon == 0 || !bytes_equal(trimmed(bytes_of(entry.data, colon - 1)), host))
		return false;
	return number_of(trimmed(bytes_of(entry.data + colon, entry.size - colon)), ret_limit);
}

size_t per_address_limit(struct bytes overrides, struct bytes host, size_t otherwise)
{
	size_t at = 0, limit;

	while (at < overrides.size) {
		size_t end = at;

		while (end < overrides.size && overrides.data[end] != ',')
			end++;
		if (says(bytes_of(overrides.data + at, end - at), host, &limit))
			return limit;
		at = end + 1;
	}
	return otherwise;
}
