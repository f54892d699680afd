#include "archive.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool archive_recognise(const char *path) {
    char start[4] = "";
    struct stat info;
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe without a writer would be waited for */
    bool found = file >= 0 && fstat(file, &info) == 0 && S_ISREG(info.st_mode) &&
                 read(file, start, sizeof start) == sizeof start && !memcmp(start, "PK\3\4", sizeof start);
    if (file >= 0)
        close(file);
    return found;
}

void archive_free(struct archive *archive) {
    free(archive->config);
    free(archive->metadata);
    free(archive->weights);
    *archive = (struct archive){0};
}

#ifdef FILTERATLAS_WITHOUT_ZIP

int archive_read(const char *path, struct archive *archive, struct error *error) {
    *archive = (struct archive){0};
    return error_set(error, STATUS_USAGE,
                     "%s: is a zip archive, and this program was built without libzip; unzip it and give its "
                     "model.weights.h5 with --config config.json",
                     path);
}

#else

#include <zip.h>

/* What a member may become: Keras stores without compression, and floats hardly shrink. */
enum { MOST_COMPRESSION = 64 };
static const zip_uint64_t most_bytes = (zip_uint64_t)4 << 30;

static int refuse(const char *path, const char *name, struct error *error) {
    return error_set(error, STATUS_USAGE, "%s: its %s is missing or damaged; copy the file again or save it again",
                     path, name);
}

/* One member, with a zero behind it. */
static int read_member(zip_t *zip, const char *path, const char *name, char **bytes, size_t *size,
                       struct error *error) {
    zip_stat_t stat;
    if (zip_stat(zip, name, 0, &stat) || !(stat.valid & ZIP_STAT_SIZE) || !(stat.valid & ZIP_STAT_COMP_SIZE) ||
        stat.size > most_bytes || stat.size / MOST_COMPRESSION > stat.comp_size)
        return refuse(path, name, error);
    *size = stat.size;
    *bytes = malloc(stat.size + 1);
    if (!*bytes)
        return error_memory(error, (double)stat.size, "the model's file");
    zip_file_t *member = zip_fopen(zip, name, 0);
    zip_int64_t got = member ? zip_fread(member, *bytes, stat.size) : -1;
    bool whole = member && got == (zip_int64_t)stat.size && zip_fclose(member) == 0;
    (*bytes)[stat.size] = '\0';
    return whole ? STATUS_OK : refuse(path, name, error);
}

static int read_members(zip_t *zip, const char *path, struct archive *archive, struct error *error) {
    if (read_member(zip, path, "config.json", &archive->config, &archive->config_size, error) ||
        read_member(zip, path, "model.weights.h5", &archive->weights, &archive->weights_size, error))
        return error->status;
    if (zip_name_locate(zip, "metadata.json", 0) < 0)
        return STATUS_OK;
    return read_member(zip, path, "metadata.json", &archive->metadata, &archive->metadata_size, error);
}

int archive_read(const char *path, struct archive *archive, struct error *error) {
    int code;
    *archive = (struct archive){0};
    zip_t *zip = zip_open(path, ZIP_RDONLY, &code);
    if (!zip)
        return error_set(error, STATUS_USAGE, "%s: is a zip archive, truncated or damaged; copy it again", path);
    int status = read_members(zip, path, archive, error);
    zip_discard(zip);
    if (status)
        archive_free(archive);
    return status;
}

#endif
