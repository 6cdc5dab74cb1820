/* crc32c: CRC-32C (Castagnoli), with the CPU's instruction through ISA-L. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stdint.h>

#include "base/bytes.h"

/* Of `bytes` that follow what gave `before`; start with 0. */
uint32_t crc32c(uint32_t before, struct bytes bytes);

#endif
