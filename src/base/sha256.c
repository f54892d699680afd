#include "filteratlas/base/sha256.h"

#include "filteratlas/base/room.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { DIGEST_SIZE = 32, READ_SIZE = 1 << 16 };

_Static_assert(SHA256_HEX_SIZE == 2 * DIGEST_SIZE + 1, "two digits a byte and a zero");

static void write_hex(const unsigned char digest[DIGEST_SIZE], char hex[SHA256_HEX_SIZE]) {
    for (int i = 0; i < DIGEST_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* It says the same of memory that it doesn't get. */
static int library_failed(struct error *error) {
    enum { ENOUGH = 4 << 20 };
    if (!room_exists(ENOUGH))
        return error_memory(error, ENOUGH, "computing SHA-256");
    return error_set(error, STATUS_FAILURE, "SHA-256: libcrypto refuses to compute it; check OpenSSL's configuration");
}

int sha256_bytes(const void *bytes, size_t size, char hex[SHA256_HEX_SIZE], struct error *error) {
    unsigned char digest[DIGEST_SIZE];
    if (EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL) != 1)
        return library_failed(error);
    write_hex(digest, hex);
    return STATUS_OK;
}

/* Feeds the rest of a stream to the digest; false if libcrypto fails. Read errors are left in the stream. */
static bool digest_stream(EVP_MD_CTX *context, FILE *stream) {
    unsigned char buffer[READ_SIZE];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, stream)) > 0)
        if (EVP_DigestUpdate(context, buffer, got) != 1)
            return false;
    return true;
}

int sha256_file(const char *path, char hex[SHA256_HEX_SIZE], struct error *error) {
    FILE *stream = fopen(path, "rb");
    if (!stream)
        return error_set(error, STATUS_USAGE, "%s: %s; check the path and its permissions", path, strerror(errno));
    unsigned char digest[DIGEST_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 && digest_stream(context, stream);
    int reason = errno, status = STATUS_OK;
    if (ferror(stream))
        status = error_set(error, STATUS_USAGE, "%s: %s; check the file", path, strerror(reason));
    else if (good && EVP_DigestFinal_ex(context, digest, NULL) == 1)
        write_hex(digest, hex);
    else
        status = library_failed(error);
    EVP_MD_CTX_free(context);
    fclose(stream);
    return status;
}
