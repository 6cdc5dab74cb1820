/* snapshot_fuzz: producer snapshots with any bytes in them; the CRC is made right, so that what is behind it is reached. */
#include "base/alloc.h"
#include "base/crc32c.h"
#include "storage/producer_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct producer_state p;
	uint8_t *copy = mem_dup(data, size);

	producer_state_init(&p);
	(void)!producer_state_read(&p, bytes_of(copy, size), 1);
	if (size >= 10) {
		put_be16(copy, 1);
		put_be32(copy + 2, crc32c(0, bytes_of(copy + 6, size - 6)));
		if (producer_state_read(&p, bytes_of(copy, size), 1) == OK) {
			struct batch_header h = {.producer_id = p.count ? p.entries[0].producer_id : 1,
						 .base_sequence = 7};
			struct producer_duplicate original;
			struct buf out;

			(void)!producer_state_check(&p, &h, &original);
			buf_init(&out, size + 100);
			producer_state_write(&p, &out);
			must(out.size == size && memcmp(out.data, copy, size) == 0);
			buf_fini(&out);
		}
	}
	producer_state_fini(&p);
	mem_free(copy);
	return 0;
}
