/* SHA-256 (FIPS 180-4) through OpenSSL's libcrypto, as lower-case hexadecimal digits. */
#ifndef FILTERATLAS_SHA256_H
#define FILTERATLAS_SHA256_H

#include "filteratlas/base/error.h"

#include <stddef.h>

enum { SHA256_HEX_SIZE = 65 };

/* Of `size` bytes in memory. */
int sha256_bytes(const void *bytes, size_t size, char hex[SHA256_HEX_SIZE], struct error *error);

/* Of a file's content. A file that can't be read is STATUS_USAGE. */
int sha256_file(const char *path, char hex[SHA256_HEX_SIZE], struct error *error);

#endif
