#include "filteratlas/page/gallery.h"
#include "command.h"
#include "filteratlas/app/app.h"
#include "gallery_kernels.h"
#include "gallery_paths.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The atlases of a gallery; arrays are [count]. */
struct gallery {
    int count;
    char site[DURABLE_PATH_SIZE];
    const char **path; /* of the folders, absolute */
    struct store_job *job;
    const char **digest; /* of the weights, in job; NULL: not known */
    struct text *text;   /* [2 * count] names, then links */
    struct page_gallery_atlas *atlas;
    struct page_comparisons comparisons;
};

static int allocate(int count, struct gallery *gallery, struct error *error) {
    gallery->count = count;
    gallery->path = calloc(count, sizeof *gallery->path);
    gallery->job = calloc(count, sizeof *gallery->job);
    gallery->digest = calloc(count, sizeof *gallery->digest);
    gallery->text = calloc(2 * count, sizeof *gallery->text);
    gallery->atlas = calloc(count, sizeof *gallery->atlas);
    if (gallery->path && gallery->job && gallery->digest && gallery->text && gallery->atlas)
        return STATUS_OK;
    return error_memory(error, count * (double)sizeof *gallery->job, "the atlases");
}

static void free_gallery(struct gallery *gallery) {
    for (int i = 0; i < gallery->count; i++) {
        if (gallery->path)
            free((char *)gallery->path[i]);
        if (gallery->job)
            store_job_free(&gallery->job[i]);
        if (gallery->text) {
            text_free(&gallery->text[i]);
            text_free(&gallery->text[gallery->count + i]);
        }
    }
    free(gallery->path);
    free(gallery->job);
    free(gallery->digest);
    free(gallery->text);
    free(gallery->atlas);
    page_comparisons_free(&gallery->comparisons);
}

/* One atlas: it must be one, and have a page. */
static int open_atlas(const char *folder, int which, struct gallery *gallery, struct error *error) {
    struct store store;
    char page[DURABLE_PATH_SIZE];
    int status = store_open_existing(folder, &store, error);
    snprintf(page, sizeof page, "%s/page/atlas.js", store.folder);
    if (status)
        return status;
    if (access(page, F_OK))
        return error_set(error, STATUS_USAGE, "%s: has no page yet; run filteratlas stitch --out %s", folder, folder);
    gallery->path[which] = realpath(folder, NULL);
    if (!gallery->path[which])
        return error_set(error, STATUS_USAGE, "%s: cannot be used: %s; give the --out of a render", folder,
                         strerror(errno));
    for (int i = 0; i < which; i++)
        if (!strcmp(gallery->path[i], gallery->path[which]))
            return error_set(error, STATUS_USAGE, "%s: is given twice; give different atlases", folder);
    status = store_read_job(folder, &gallery->job[which], error);
    gallery->digest[which] = status ? NULL : store_job_value(&gallery->job[which], "weights-sha256");
    return status;
}

static int open_atlases(const struct options *options, struct gallery *gallery, struct error *error) {
    int status = allocate(options->atlas_count, gallery, error);
    for (int i = 0; i < gallery->count && !status; i++)
        status = open_atlas(options->atlases[i], i, gallery, error);
    return status;
}

/* A folder that this page may have: not an atlas, nor somebody's own page. */
static int open_site(const char *folder, struct gallery *gallery, struct error *error) {
    char job[DURABLE_PATH_SIZE];
    snprintf(job, sizeof job, "%s/job.txt", folder);
    if (access(job, F_OK) == 0)
        return error_set(error, STATUS_USAGE, "--out %s: is an atlas, which has a page of its own; give another folder",
                         folder);
    if (!page_gallery_may_write(folder))
        return error_set(error, STATUS_USAGE, "--out %s: holds another index.html; give another folder", folder);
    if ((mkdir(folder, 0777) && errno != EEXIST) || !realpath(folder, gallery->site))
        return error_set(error, STATUS_USAGE, "--out %s: cannot be made: %s; give another folder", folder,
                         strerror(errno));
    return STATUS_OK;
}

/* --titles, a name for each atlas. */
static int split_names(const char *names, struct gallery *gallery, struct error *error) {
    const char *at = names;
    for (int i = 0; i < gallery->count; i++) {
        int length = (int)strcspn(at, ",");
        bool last = i == gallery->count - 1;
        if (!length || (at[length] == ',') == last)
            return error_set(error, STATUS_USAGE,
                             "--titles %s: not a name for each of %d atlases; give %d, with commas", names,
                             gallery->count, gallery->count);
        text_append(&gallery->text[i], "%.*s", length, at);
        at += length + 1;
    }
    return STATUS_OK;
}

static int name_atlases(const char *names, struct gallery *gallery, struct error *error) {
    if (names)
        return split_names(names, gallery, error);
    for (int i = 0; i < gallery->count; i++)
        gallery_name(gallery->path, gallery->count, i, &gallery->text[i]);
    return STATUS_OK;
}

static void link_atlases(struct gallery *gallery) {
    for (int i = 0; i < gallery->count; i++) {
        struct text *link = &gallery->text[gallery->count + i];
        gallery_link(gallery->site, gallery->path[i], link);
        gallery->atlas[i] = (struct page_gallery_atlas){gallery->text[i].bytes, link->bytes};
    }
}

static void print_line(const struct options *options, const struct gallery *gallery) {
    printf("%s/index.html: %d atlases side by side\n", options->out, gallery->count);
    for (int i = 0; i < gallery->count; i++) {
        int layers = 0;
        for (int c = 0; c < gallery->comparisons.count; c++)
            layers += gallery->comparisons.comparison[c].atlas == i;
        if (layers)
            printf("%s: kernels of %d layer%s compared\n", gallery->atlas[i].name, layers, layers == 1 ? "" : "s");
    }
}

static int make_gallery(const struct options *options, struct gallery *gallery, struct error *error) {
    int status = open_atlases(options, gallery, error);
    if (!status && options->gallery_weights.count)
        status = gallery_compare_kernels(&options->gallery_weights, gallery->digest, gallery->count,
                                         &gallery->comparisons, error);
    if (!status)
        status = name_atlases(options->titles, gallery, error);
    if (!status)
        status = open_site(options->out, gallery, error);
    if (status)
        return status;
    link_atlases(gallery);
    status = page_write_gallery(gallery->site, gallery->atlas, gallery->count, &gallery->comparisons, error);
    if (!status && !options->quiet)
        print_line(options, gallery);
    return status;
}

int app_gallery(int argc, char **argv) {
    struct options options;
    struct gallery gallery = {0};
    struct error error;
    int status = command_options(COMMAND_GALLERY, argc, argv, &options);
    if (status || options.help)
        return status;
    status = make_gallery(&options, &gallery, &error);
    free_gallery(&gallery);
    return status ? report_error(&error) : STATUS_OK;
}
