#include "example_tables.h"

#include <stdlib.h>
#include <string.h>

void example_tables_free(struct example_tables *tables) {
    free(tables->answered);
    free(tables->image);
    free(tables->row);
    free(tables->column);
    free(tables->activation);
}

int example_tables_make(int count, int top, struct example_tables *tables, struct error *error) {
    size_t places = (size_t)count * top;
    *tables = (struct example_tables){.count = count, .top = top};
    tables->answered = calloc(count, sizeof *tables->answered);
    tables->image = calloc(places, sizeof *tables->image);
    tables->row = calloc(places, sizeof *tables->row);
    tables->column = calloc(places, sizeof *tables->column);
    tables->activation = calloc(places, sizeof *tables->activation);
    if (tables->answered && tables->image && tables->row && tables->column && tables->activation)
        return STATUS_OK;
    return error_memory(error, (double)places * (sizeof *tables->image + 12), "the examples of atlas.h5");
}

const struct examples_layer *example_tables_find(const struct examples *examples, const char *name) {
    for (int l = 0; l < examples->layers; l++)
        if (!strcmp(examples->layer[l].name, name))
            return &examples->layer[l];
    return NULL;
}

/* The number among all of the filter in a row, -1 if nothing is known of it. */
int example_tables_filter(const struct examples_layer *known, const struct store_layer *layer, int row) {
    int filter = layer->filter[row].index;
    return filter < known->filters ? known->first + filter : -1;
}

void example_tables_fill(const struct examples *examples, const struct examples_layer *known,
                         const struct store_layer *layer, struct example_tables *tables) {
    for (int i = 0; i < tables->count; i++) {
        int filter = example_tables_filter(known, layer, i), listed = filter < 0 ? 0 : examples->count[filter];
        tables->answered[i] = filter < 0 ? 0 : examples->answered[filter];
        for (int place = 0; place < tables->top; place++) {
            const struct example *e = &examples->list[(size_t)(filter < 0 ? 0 : filter) * tables->top + place];
            size_t at = (size_t)i * tables->top + place;
            bool is_there = place < listed;
            tables->image[at] = is_there ? examples->image[e->image].name : "";
            tables->row[at] = is_there ? e->row : -1;
            tables->column[at] = is_there ? e->column : -1;
            tables->activation[at] = is_there ? e->activation : 0;
        }
    }
}
