/* What an executor is made of. */
#ifndef EXECUTOR_PARTS_H
#define EXECUTOR_PARTS_H

#include "filteratlas/model/weights.h"
#include "filteratlas/net/executor.h"
#include "operation.h"

/* An operation in its place: steps stand in an order in which each comes after its inputs. Step 0 is the picture, whose
 * operation is nothing. */
struct step {
    struct operation operation;
    const int *input; /* [inputs] steps */
    int inputs;
    int last;        /* the node whose output it computes */
    int activated;   /* the activation node that was taken in; -1 */
    bool has_tables; /* it has, or will have, all channels computed */
};

/* The convolutions of a VGG, which struct network computes. */
struct vgg_part {
    struct weights weights; /* its layers 0: the graph is none */
    bool borrows;           /* their values are the graph's */
    int nodes[VGG_MAX_LAYERS];
    int deepest; /* of those that may be asked for; -1: none */
    bool placed;
    struct network network;
};

struct executor {
    const struct graph *graph;
    struct octaves octaves;
    const struct winograd_kernels *kernels;
    struct vgg_part vgg;
    bool forward; /* made for executor_forward: all layers at once, one way */
    bool *layers; /* [nodes] those that may be asked for, without a VGG's convolutions */
    int steps;
    struct step *step;          /* [steps] */
    int *inputs;                /* of all steps, one after the other */
    int *step_of;               /* [nodes] the step that a node is a part of; -1 */
    struct graph_shape *shapes; /* [octaves.steps][nodes]; 0 where it is not needed */
    size_t table_floats;
};

/* Takes the convolutions of a VGG out of executor->layers. */
int vgg_part_take(struct executor *executor, struct error *error);
size_t vgg_part_table_bytes(const struct executor *executor);
int vgg_part_place(struct executor *executor, float *tables, struct error *error);
void vgg_part_free(struct vgg_part *vgg);

/* Which of the VGG's convolutions a node is; -1. */
int vgg_part_layer(const struct vgg_part *vgg, int node);

/* The shapes of all that the layers need, at all octaves. */
int executor_infer_shapes(struct executor *executor, struct error *error);

/* The map of a node's output at an octave. */
struct map executor_map(const struct executor *executor, int octave, int node);

/* The octave of that size. */
int executor_octave(const struct executor *executor, int height, int width);

/* What of a layer is climbed: the step that its stage is a part of, and the activation behind that step's operation, or
 * GRAPH_LINEAR where the stage stands before it. */
struct target {
    int step;
    struct activation activation;
};
struct target executor_target(const struct executor *executor, int layer);

/* Makes steps of the graph's nodes. */
int executor_make_steps(struct executor *executor, struct error *error);

/* Marks the steps that need tables, and gives them their sizes. */
int executor_size_tables(struct executor *executor, struct error *error);

/* The tile that a Winograd convolution uses for maps of that size, also before its tables are placed. */
enum winograd_tile executor_tile(const struct executor *executor, const struct operation *operation, int height,
                                 int width);

/* A place in memory: for each picture, where it holds something beyond the part of the work that pictures do one by
 * one, else for one at a time. `from` and `to` are moments: i for the way forward through step i, 2 t - i for the way
 * back, t being the target's step. */
struct buffer {
    size_t offset, bytes; /* bytes: of one picture */
    bool joint;
    int from, to;
};

/* Who keeps what where, on the way to a target and back at one octave. */
struct placement {
    int target, octave;
    struct activation activation; /* behind the target */
    int cut;                      /* steps before it are computed picture by picture; > target: all are */
    int together;                 /* pictures that go through the others together, at most */
    bool *needed;                 /* [steps] */
    int *reader;                  /* [steps] the last step that reads it, -1 */
    struct buffer *value, *notes, *gradient, *extra; /* [steps]; extra: a second gradient of an input, to be added */
    struct buffer scratch, z;
    size_t bytes;           /* of all */
    struct map *in;         /* [most inputs of a step], of the call at work */
    const float **x;        /* likewise */
    struct buffer **sorted; /* the buffers, for placing them */
    struct buffer **in_use;
};

/* The placement's arrays. */
int placement_make(const struct executor *executor, struct placement *placement, struct error *error);
void placement_free(struct placement *placement);

/* That for a layer at an octave, for up to `pictures` pictures. */
void placement_of_layer(const struct executor *executor, int layer, int octave, int pictures,
                        struct placement *placement);

/* That for one picture's way forward through all steps, each value kept as long as another step reads it. */
void placement_of_forward(const struct executor *executor, struct placement *placement);

/* The call of step i at the placement's octave, without data: the shapes of its inputs are in placement->in. */
struct operation_call placement_call(const struct executor *executor, struct placement *placement, int i, int pictures);

/* Whether input k of step i has a gradient already, from a later step or from an earlier input of this one. */
bool placement_has_gradient(const struct executor *executor, const struct placement *placement, int i, int k);

/* The target's map of all channels before its activation and pooling. */
struct map placement_target_map(const struct executor *executor, const struct placement *placement);

/* Whether the target's one channel is computed alone. */
bool placement_wants_one_channel(const struct executor *executor, const struct placement *placement);

struct executor_memory {
    char *arena;
    size_t bytes;
    int pictures;
    int layer; /* that the placement is for; -1: none */
    struct placement placement;
    struct network_memory vgg;
};

#endif
