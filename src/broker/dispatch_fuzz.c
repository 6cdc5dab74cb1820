/* dispatch_fuzz: any bytes as a frame, against the whole table of handlers. */
#include "broker/dispatch.h"
#include "broker/handlers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t nothing;
	struct blob frame = {.data = size ? (uint8_t *)(uintptr_t)data : &nothing, .size = size};
	struct request rq = {.frame = &frame};
	char why[DISPATCH_WHY_SIZE] = "";

	arena_init(&rq.arena, (size_t)16 * 1024 * 1024);
	if (dispatch_decode(&rq, handlers_find, why))
		must(rq.handler && rq.api);
	else
		must(why[0] != '\0' && strlen(why) < DISPATCH_WHY_SIZE);
	arena_fini(&rq.arena);
	return 0;
}
