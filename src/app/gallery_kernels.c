#include "gallery_kernels.h"

#include "filteratlas/base/sha256.h"
#include "filteratlas/model/model.h"
#include "filteratlas/model/similarity.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int append_layer(const struct model *first, const struct layer *own, const struct model *second,
                        const struct layer *its, int atlas, struct page_comparisons *comparisons, struct error *error) {
    int filters = first->graph.node[own->node].channels;
    struct page_comparison *grown =
        realloc(comparisons->comparison, (comparisons->count + 1) * sizeof *comparisons->comparison);
    comparisons->comparison = grown ? grown : comparisons->comparison;
    struct page_comparison made = {.atlas = atlas, .layer = strdup(own->name), .filters = filters};
    made.cosine = malloc(filters * sizeof *made.cosine);
    if (!grown || !made.layer || !made.cosine) {
        free(made.layer);
        free(made.cosine);
        return error_memory(error, filters * (double)sizeof *made.cosine, "the comparison of kernels");
    }
    similarity_of_kernels(&first->graph, own->node, &second->graph, its->node, made.cosine);
    grown[comparisons->count++] = made;
    return STATUS_OK;
}

/* Every layer that both have under one name and with kernels of one shape; `other` is the number of first's atlas. */
static int compare(const struct model *first, int other, const struct model *second, int atlas,
                   struct page_comparisons *comparisons, struct error *error) {
    int status = STATUS_OK;
    for (int l = 0; l < first->layers.count; l++)
        for (int m = 0; m < second->layers.count && !status; m++) {
            const struct layer *own = &first->layers.layer[l], *its = &second->layers.layer[m];
            if (strcmp(own->name, its->name) != 0 ||
                !similarity_is_defined(&first->graph, own->node, &second->graph, its->node))
                continue;
            status = append_layer(first, own, second, its, atlas, comparisons, error);
            if (!status)
                comparisons->comparison[comparisons->count - 1].other = other;
        }
    return status;
}

/* file_of[atlases]: the number of the file with the atlas' weights, -1 if it is not among them. */
static int match_files(const struct files *files, const char *const *digests, int atlases, int *file_of,
                       struct error *error) {
    for (int a = 0; a < atlases; a++)
        file_of[a] = -1;
    for (int i = 0; i < files->count; i++) {
        char digest[SHA256_HEX_SIZE];
        bool found = false;
        if (sha256_file(files->file[i], digest, error))
            return error->status;
        for (int a = 0; a < atlases; a++)
            if (digests[a] && !strcmp(digests[a], digest)) {
                file_of[a] = i;
                found = true;
            }
        if (!found)
            return error_set(error, STATUS_USAGE,
                             "%s: none of the atlases was drawn from these weights (SHA-256 %.12s...); give those that "
                             "were",
                             files->file[i], digest);
    }
    return STATUS_OK;
}

int gallery_compare_kernels(const struct files *files, const char *const *digests, int atlases,
                            struct page_comparisons *comparisons, struct error *error) {
    struct model first = {0}, second = {0};
    int *file_of = calloc(atlases, sizeof *file_of), base = 0, compared = 0;
    int status = file_of ? match_files(files, digests, atlases, file_of, error)
                         : error_memory(error, atlases * 4.0, "the comparison of kernels");
    while (!status && base < atlases && file_of[base] < 0)
        base++;
    if (!status)
        status = model_read(files->file[file_of[base]], NULL, false, &first, error);
    for (int a = base + 1; a < atlases && !status; a++) {
        if (file_of[a] < 0 || !strcmp(digests[a], digests[base]))
            continue;
        status = model_read(files->file[file_of[a]], NULL, false, &second, error);
        if (!status)
            status = compare(&first, base, &second, a, comparisons, error);
        model_free(&second);
        compared++;
    }
    if (!status && !compared)
        status = error_set(error, STATUS_USAGE,
                           "%s: there are no other weights to compare its kernels with; give --weights for another "
                           "atlas, too",
                           files->file[file_of[base]]);
    model_free(&first);
    free(file_of);
    return status;
}
