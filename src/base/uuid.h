/*
 * uuid: 16 bytes; as text unpadded base64url of 22 characters, as Kafka prints topic, cluster and directory ids.
 */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/prng.h"

#define UUID_TEXT_SIZE 23 /* with the terminator */

struct uuid {
	uint8_t bytes[16];
};

static inline bool uuid_equal(struct uuid a, struct uuid b)
{
	return memcmp(a.bytes, b.bytes, 16) == 0;
}

bool uuid_is_zero(struct uuid u);
/* Version 4. Never zero, never one of Kafka's reserved ones, and its text never starts with '-'. */
struct uuid uuid_random(struct prng *random);
void uuid_format(struct uuid u, char ret_text[static UUID_TEXT_SIZE]);
/* ERR_MALFORMED when it is not 22 characters of base64url. */
enum err uuid_parse(struct bytes text, struct uuid *ret_uuid) MUST_CHECK;

#endif
