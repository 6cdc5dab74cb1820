/* throttle: see the header. */
#include "rpc/throttle.h"

#include <string.h>

#include "base/err.h"

/*
 * The first version by key of which the client is to pause; keys that are not here pause from their first version on, those that have
 * no such field never. From Kafka's AbstractRequest.shouldClientThrottle of each request.
 */
static const struct {
	int16_t key;
	int16_t version;
} begins[] = {
	{0, 6},  {1, 8},  {2, 3},  {3, 6},  {8, 4},  {9, 4},  {10, 2}, {11, 3}, {12, 2}, {13, 2}, {14, 2}, {15, 2},
	{16, 2}, {18, 2}, {19, 3}, {20, 2}, {21, 1}, {22, 1}, {24, 1}, {25, 1}, {26, 1}, {28, 1}, {29, 1}, {30, 1},
	{31, 1}, {32, 2}, {33, 1}, {34, 1}, {35, 1}, {37, 1}, {38, 1}, {39, 1}, {40, 1}, {41, 1}, {42, 1},
};

static int16_t first_version(int16_t key)
{
	for (size_t i = 0; i < countof(begins); i++)
		if (begins[i].key == key)
			return begins[i].version;
	return 0;
}

int32_t throttle_ms(const struct api *api, int16_t version, const void *response)
{
	const struct message_struct *body = api->response->body;

	if (version < first_version(api->key))
		return 0;
	for (size_t i = 0; i < body->field_count; i++) {
		int32_t value;

		if (body->fields[i].type != FIELD_INT32 || strcmp(body->fields[i].name, "throttleTimeMs") != 0)
			continue;
		memcpy(&value, (const char *)response + body->fields[i].offset, sizeof(value));
		return value > 0 ? value : 0;
	}
	return 0;
}
