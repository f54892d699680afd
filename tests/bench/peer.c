#include "peer.h"

#include "operands.h"

#include <dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#if DNNL_VERSION_MAJOR != 2
#error "the benchmark is written for oneDNN 2, which Debian 12 has as libdnnl-dev"
#endif

enum { OPERANDS = 3 };

struct way {
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arguments[OPERANDS];
    float *data[OPERANDS];
};

struct peer {
    struct way forward, backward;
};

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static void must(dnnl_status_t status) {
    if (status != dnnl_success) {
        fprintf(stderr, "bench: oneDNN failed with status %d\n", (int)status);
        exit(1);
    }
}

static void start_engine(void) {
    if (engine)
        return;
    omp_set_num_threads(1);
    must(dnnl_engine_create(&engine, dnnl_cpu, 0));
    must(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
}

const char *peer_name(void) {
    static char name[32];
    const dnnl_version_t *version = dnnl_version();
    snprintf(name, sizeof name, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
    return name;
}

static void describe(const struct task *task, struct peer *peer) {
    const dnnl_dim_t in = task->layer->in_channels, out = task->layer->out_channels, extent = task->extent;
    const dnnl_dims_t source = {task->pictures, in, extent, extent}, result = {task->pictures, out, extent, extent};
    const dnnl_dims_t kernel = {out, in, 3, 3}, ones = {1, 1};
    dnnl_memory_desc_t s, k, r;
    must(dnnl_memory_desc_init_by_tag(&s, 4, source, dnnl_f32, dnnl_format_tag_any));
    must(dnnl_memory_desc_init_by_tag(&k, 4, kernel, dnnl_f32, dnnl_format_tag_any));
    must(dnnl_memory_desc_init_by_tag(&r, 4, result, dnnl_f32, dnnl_format_tag_any));
    dnnl_convolution_desc_t there, back;
    must(dnnl_convolution_forward_desc_init(&there, dnnl_forward_training, dnnl_convolution_direct, &s, &k, NULL, &r,
                                            ones, ones, ones));
    must(dnnl_convolution_backward_data_desc_init(&back, dnnl_convolution_direct, &s, &k, &r, ones, ones, ones));
    must(dnnl_primitive_desc_create(&peer->forward.description, &there, NULL, engine, NULL));
    must(dnnl_primitive_desc_create(&peer->backward.description, &back, NULL, engine, peer->forward.description));
}

static void add_operand(struct way *way, int place, dnnl_query_t what, int argument) {
    const dnnl_memory_desc_t *layout = dnnl_primitive_desc_query_md(way->description, what, 0);
    way->data[place] = operands_noise(dnnl_memory_desc_get_size(layout) / sizeof(float), 0.05F);
    way->arguments[place].arg = argument;
    must(dnnl_memory_create(&way->arguments[place].memory, layout, engine, way->data[place]));
}

struct peer *peer_make(const struct task *task) {
    struct peer *peer = operands_zero(sizeof *peer);
    start_engine();
    describe(task, peer);
    must(dnnl_primitive_create(&peer->forward.primitive, peer->forward.description));
    must(dnnl_primitive_create(&peer->backward.primitive, peer->backward.description));
    add_operand(&peer->forward, 0, dnnl_query_src_md, DNNL_ARG_SRC);
    add_operand(&peer->forward, 1, dnnl_query_weights_md, DNNL_ARG_WEIGHTS);
    add_operand(&peer->forward, 2, dnnl_query_dst_md, DNNL_ARG_DST);
    add_operand(&peer->backward, 0, dnnl_query_diff_dst_md, DNNL_ARG_DIFF_DST);
    add_operand(&peer->backward, 1, dnnl_query_weights_md, DNNL_ARG_WEIGHTS);
    add_operand(&peer->backward, 2, dnnl_query_diff_src_md, DNNL_ARG_DIFF_SRC);
    return peer;
}

static void free_way(struct way *way) {
    for (int i = 0; i < OPERANDS; i++) {
        dnnl_memory_destroy(way->arguments[i].memory);
        free(way->data[i]);
    }
    dnnl_primitive_destroy(way->primitive);
    dnnl_primitive_desc_destroy(way->description);
}

void peer_free(struct peer *peer) {
    free_way(&peer->forward);
    free_way(&peer->backward);
    free(peer);
}

static void run(const struct way *way) {
    must(dnnl_primitive_execute(way->primitive, stream, OPERANDS, way->arguments));
    must(dnnl_stream_wait(stream));
}

void peer_forward(struct peer *peer) { run(&peer->forward); }

void peer_backward(struct peer *peer) { run(&peer->backward); }

const char *peer_method(const struct peer *peer) {
    const char *name = "";
    must(dnnl_primitive_desc_query(peer->backward.description, dnnl_query_impl_info_str, 0, &name));
    return name;
}
