/* uuid: see the header. */
#include "base/uuid.h"

#include "base/must.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool uuid_is_zero(struct uuid u)
{
	static const struct uuid zero;

	return uuid_equal(u, zero);
}

/* Kafka reserves the numbers 0 to 99 (unassigned, lost, migrating and metadata ids). */
static bool reserved(struct uuid u)
{
	for (size_t i = 0; i < 15; i++)
		if (u.bytes[i])
			return false;
	return u.bytes[15] < 100;
}

struct uuid uuid_random(struct prng *random)
{
	struct uuid u;
	char text[UUID_TEXT_SIZE];

	do {
		prng_fill(random, u.bytes, sizeof(u.bytes));
		u.bytes[6] = (uint8_t)((u.bytes[6] & 0x0f) | 0x40);
		u.bytes[8] = (uint8_t)((u.bytes[8] & 0x3f) | 0x80);
		uuid_format(u, text);
	} while (reserved(u) || text[0] == '-');
	return u;
}

void uuid_format(struct uuid u, char ret_text[static UUID_TEXT_SIZE])
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t out = 0;

	for (size_t i = 0; i < 16; i++) {
		bits = bits << 8 | u.bytes[i];
		have += 8;
		while (have >= 6) {
			have -= 6;
			ret_text[out++] = alphabet[bits >> have & 63];
		}
	}
	ret_text[out++] = alphabet[bits << (6 - have) & 63];
	ret_text[out] = '\0';
}

enum err uuid_parse(struct bytes text, struct uuid *ret_uuid)
{
	struct uuid u = {{0}};
	uint32_t bits = 0;
	unsigned have = 0;
	size_t out = 0;

	if (text.size != UUID_TEXT_SIZE - 1)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.size; i++) {
		const char *found = text.data[i] ? strchr(alphabet, text.data[i]) : NULL;

		if (!found)
			return ERR_MALFORMED;
		bits = bits << 6 | (uint32_t)(found - alphabet);
		have += 6;
		if (have >= 8) {
			have -= 8;
			u.bytes[out++] = (uint8_t)(bits >> have);
		}
	}
	must(out == 16);
	*ret_uuid = u;
	return OK;
}
