/* crc32c: see the header. ISA-L picks the instruction at first use; its function neither inverts at the start nor the end. */
#include "base/crc32c.h"

#include <isa-l/crc.h>

uint32_t crc32c(uint32_t before, struct bytes bytes)
{
	const int step = 1 << 30; /* ISA-L counts in int */
	uint32_t crc = ~before;

	while (bytes.size > 0) {
		int part = bytes.size < (size_t)step ? (int)bytes.size : step;

		/* The library's prototype lacks const. */
		crc = crc32_iscsi((unsigned char *)(uintptr_t)bytes.data, part, crc);
		bytes.data += part;
		bytes.size -= (size_t)part;
	}
	return ~crc;
}
