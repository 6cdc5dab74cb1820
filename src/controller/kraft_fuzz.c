/* kraft_fuzz: any bytes as batches of a metadata log, and as a record's value, inside and outside of a transaction. */
#include "controller/kraft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t begin[] = {1, 23, 0, 0};
static const uint8_t end[] = {1, 24, 0, 0};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kraft_picture *p = kraft_picture_new(1 << 20);
	size_t used = 0, place = 0;

	(void)!kraft_take_batches(p, bytes_of(data, size), 0, &used);
	(void)!kraft_take_record(p, bytes_of(data, size));
	(void)!kraft_take_record(p, bytes_of(begin, sizeof(begin)));
	(void)!kraft_take_record(p, bytes_of(data, size));
	(void)!kraft_take_record(p, bytes_of(end, sizeof(end)));
	while (kraft_next_topic(p, &place))
		;
	kraft_picture_free(p);
	return 0;
}
