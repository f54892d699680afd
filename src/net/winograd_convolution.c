#include "operation.h"

#include <string.h>

/* 3x3 convolutions by Winograd's method. A rectifier behind one, and a pooling behind that, are the kernels' own; any
 * other activation comes after. */

static bool rectifies(const struct operation *o) { return !o->winograd.linear; }

static size_t scratch(const struct operation_call *call) {
    return winograd_scratch_bytes(&call->operation->winograd, call->pictures, call->in->height, call->in->width) /
           sizeof(float);
}

static void forward(const struct operation_call *call) {
    const struct operation *o = call->operation;
    winograd_forward(&o->winograd, call->x[0], call->pictures, call->in->height, call->in->width, call->y,
                     rectifies(o) ? call->notes : NULL, call->scratch);
    if (rectifies(o) || (!o->bias && o->activation.function == GRAPH_LINEAR))
        return;
    struct activation_rows rows = operation_rows(&call->out, call->pictures);
    activation_forward(&o->activation, &rows, call->y, o->bias, call->y, call->notes);
}

static void backward(const struct operation_call *call) {
    const struct operation *o = call->operation;
    struct activation_rows rows = operation_rows(&call->out, call->pictures);
    if (!rectifies(o))
        activation_backward(&o->activation, &rows, call->y_gradient, call->notes, call->y_gradient);
    winograd_backward(&o->winograd, call->y_gradient, rectifies(o) ? call->notes : NULL, call->pictures,
                      call->in->height, call->in->width, call->x_gradient, call->scratch);
}

const struct operation_kind winograd_convolution = {
    .activates = true, .one_channel = true, .scratch = scratch, .forward = forward, .backward = backward};
