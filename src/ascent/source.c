#include "source.h"

int source_make(struct source *s, const struct octaves *octaves, int deepest, int pictures, struct error *error) {
    if (s->executor)
        return executor_memory_make(s->executor, pictures, &s->of_executor, error);
    return network_memory_make(s->network, octaves, deepest, pictures, &s->of_network, error);
}

void source_free(struct source *s) {
    executor_memory_free(s->of_executor);
    network_memory_free(&s->of_network);
}

double source_bytes(const struct source *s) {
    return s->executor ? executor_memory_bytes(s->of_executor) : (double)s->of_network.bytes;
}

bool source_gradients(struct source *s, const struct objective *objective, int layer, int height, int width,
                      struct network_picture *pictures, int count, const struct interrupt *interrupt) {
    if (s->executor)
        return executor_gradients(s->executor, s->of_executor, objective, layer, height, width, pictures, count,
                                  interrupt);
    return network_gradients(s->network, &s->of_network, objective, layer, height, width, pictures, count, interrupt);
}

bool source_rectifies(const struct source *s, int layer) {
    return !s->executor || executor_rectifies(s->executor, layer);
}

int source_number(const struct source *s, int layer) {
    return s->executor ? executor_number(s->executor, layer) : layer;
}
