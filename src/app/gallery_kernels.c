#include "gallery_kernels.h"

#include "filteratlas/base/sha256.h"
#include "filteratlas/model/model_file.h"
#include "filteratlas/model/similarity.h"
#include "filteratlas/model/weights.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A layer as atlases name it. */
struct named_node {
    const char *name;
    int node;
};

/* A network with the names of its layers. */
struct named_network {
    struct graph graph;
    struct vgg vgg;
    struct named_node *layer; /* [layers] */
    int layers;
};

static int read_network(const char *path, struct named_network *network, struct error *error) {
    struct model_file model;
    int nodes[VGG_MAX_LAYERS];
    struct error not_a_vgg;
    int status = model_file_read(path, NULL, true, &model, error);
    if (status)
        return status;
    network->graph = model.graph;
    status = graph_fold(&network->graph, error);
    network->layer = status ? NULL : calloc(network->graph.nodes, sizeof *network->layer);
    if (!status && !network->layer)
        status = error_memory(error, network->graph.nodes * (double)sizeof *network->layer, "the network's layers");
    if (status)
        return status;
    if (weights_find_vgg(&network->graph, path, &network->vgg, nodes, &not_a_vgg) == STATUS_OK)
        for (int l = 0; l < network->vgg.layers; l++)
            network->layer[network->layers++] = (struct named_node){network->vgg.layer[l].name, nodes[l]};
    else
        for (int n = 0; n < network->graph.nodes; n++)
            if (network->graph.node[n].stage >= 0)
                network->layer[network->layers++] = (struct named_node){network->graph.node[n].name, n};
    return STATUS_OK;
}

static void free_network(struct named_network *network) {
    graph_free(&network->graph);
    free(network->layer);
    *network = (struct named_network){0};
}

static int append_layer(const struct named_network *first, const struct named_node *own,
                        const struct named_network *second, const struct named_node *its, int atlas,
                        struct page_comparisons *comparisons, struct error *error) {
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
static int compare(const struct named_network *first, int other, const struct named_network *second, int atlas,
                   struct page_comparisons *comparisons, struct error *error) {
    int status = STATUS_OK;
    for (int l = 0; l < first->layers; l++)
        for (int m = 0; m < second->layers && !status; m++) {
            const struct named_node *own = &first->layer[l], *its = &second->layer[m];
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
    struct named_network first = {0}, second = {0};
    int *file_of = calloc(atlases, sizeof *file_of), base = 0, compared = 0;
    int status = file_of ? match_files(files, digests, atlases, file_of, error)
                         : error_memory(error, atlases * 4.0, "the comparison of kernels");
    while (!status && base < atlases && file_of[base] < 0)
        base++;
    if (!status)
        status = read_network(files->file[file_of[base]], &first, error);
    for (int a = base + 1; a < atlases && !status; a++) {
        if (file_of[a] < 0 || !strcmp(digests[a], digests[base]))
            continue;
        status = read_network(files->file[file_of[a]], &second, error);
        if (!status)
            status = compare(&first, base, &second, a, comparisons, error);
        free_network(&second);
        compared++;
    }
    if (!status && !compared)
        status = error_set(error, STATUS_USAGE,
                           "%s: there are no other weights to compare its kernels with; give --weights for another "
                           "atlas, too",
                           files->file[file_of[base]]);
    free_network(&first);
    free(file_of);
    return status;
}
