#include "inspect_graph.h"

#include "filteratlas/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void inspect_print_thousands(int width, size_t number) {
    char digits[32], grouped[48];
    int length = snprintf(digits, sizeof digits, "%zu", number), at = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            grouped[at++] = ',';
        grouped[at++] = digits[i];
    }
    grouped[at] = 0;
    printf("%*s", width, grouped);
}

/* A row is one layer: the nodes first ... last of the same name. */
struct rows {
    const struct graph *graph;
    const struct graph_shape *shapes;
    int label; /* width of the first column */
};

/* The last of the nodes that are one layer's. */
static int last_part(const struct graph *graph, int first) {
    int last = first;
    while (last + 1 < graph->nodes && graph->node[last + 1].inputs == 1 && graph_input(graph, last + 1, 0) == last &&
           !strcmp(graph->node[last + 1].name, graph->node[first].name))
        last++;
    return last;
}

static int label_width(const struct graph *graph) {
    int widest = 0;
    for (int n = 0; n < graph->nodes; n++) {
        int width = (int)(strlen(graph->node[n].name) + strlen(graph->node[n].class_name)) + 3;
        widest = width > widest ? width : widest;
    }
    return widest < 60 ? widest : 60;
}

static void print_shape(const struct graph_shape *shape) {
    char text[64] = "-";
    if (shape->channels && shape->height == 1 && shape->width == 1)
        snprintf(text, sizeof text, "%d", shape->channels);
    else if (shape->channels)
        snprintf(text, sizeof text, "%d x %d x %d", shape->width, shape->height, shape->channels);
    printf("  %-20s", text);
}

/* Where a layer's filters are seen, and whether they are at this size; a stage that is the layer itself needs no word.
 */
static void print_filters(const struct rows *rows, int first, int last) {
    for (int n = first; n <= last; n++) {
        const struct graph_node *node = &rows->graph->node[n];
        if (node->stage < 0)
            continue;
        const struct graph_node *stage = &rows->graph->node[node->stage];
        int filters = rows->shapes[node->stage].channels;
        if (!filters)
            printf("  none at this size");
        else if (strcmp(stage->name, node->name) != 0)
            printf("  %d at %s", filters, stage->name);
        else
            printf("  %d", filters);
    }
}

static void print_inputs(const struct rows *rows, int n) {
    enum { MOST = 4 };
    const struct graph_node *node = &rows->graph->node[n];
    for (int i = 0; i < node->inputs && i < MOST; i++)
        printf("%s%s", i ? ", " : "  reads ", rows->graph->node[graph_input(rows->graph, n, i)].name);
    if (node->inputs > MOST)
        printf(", ... (%d)", node->inputs);
}

static size_t print_row(const struct rows *rows, int first, int last) {
    const struct graph_node *node = &rows->graph->node[first];
    char label[GRAPH_NAME_SIZE + 40];
    size_t parameters = 0;
    for (int n = first; n <= last; n++)
        parameters += graph_node_parameters(&rows->graph->node[n]);
    snprintf(label, sizeof label, "%s (%s)", node->name, node->class_name);
    printf("%-*s", rows->label, label);
    print_shape(&rows->shapes[last]);
    inspect_print_thousands(12, parameters);
    print_filters(rows, first, last);
    if (first > 0 && graph_input(rows->graph, first, 0) != first - 1)
        print_inputs(rows, first);
    else if (node->inputs > 1)
        print_inputs(rows, first);
    printf("\n");
    return parameters;
}

static void print_rows(const struct rows *rows) {
    const struct graph *graph = rows->graph;
    size_t parameters = 0;
    printf("%-*s  %-20s%12s  Filters\n", rows->label, "Layer", "Map", "Parameters");
    for (int n = 0, last; n < graph->nodes; n = last + 1) {
        last = last_part(graph, n);
        parameters += print_row(rows, n, last);
    }
    printf("%-*s  %-20s", rows->label, "Total", "");
    inspect_print_thousands(12, parameters);
    printf("\n");
}

int inspect_print_graph(const char *path, const struct graph *graph, int height, int width, struct error *error) {
    struct graph_shape *shapes = malloc(graph->nodes * sizeof *shapes);
    if (!shapes)
        return error_memory(error, (double)graph->nodes * sizeof *shapes, "shapes of maps");
    int status = graph_possible_shapes(graph, height, width, shapes, error);
    if (!status) {
        struct rows rows = {graph, shapes, label_width(graph)};
        printf(
            "%s: %s\n\nFor a picture of %d x %d, width first; a layer reads the one above it unless it says what:\n\n",
            path, graph->name, width, height);
        print_rows(&rows);
        if (graph->left_out[0])
            printf("\nLeft out, since what it computes is not known here, with what stands behind it: %s\n",
                   graph->left_out);
    }
    free(shapes);
    return status;
}
