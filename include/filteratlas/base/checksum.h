/* CRC-32 as PNG and zlib compute it: the one place that includes zlib.h. */
#ifndef FILTERATLAS_CHECKSUM_H
#define FILTERATLAS_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint32_t checksum_crc32(const void *bytes, size_t size);

#endif
