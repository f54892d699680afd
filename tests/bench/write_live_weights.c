/* write_live_weights FILE LAYER: writes a full-width VGG16 with random weights to FILE, as make_weights does, with the
 * biases of LAYER raised so that none of its filters dies (live_weights.h). For scripts/bench_torch. */
#include "live_weights.h"

#include "../unit/weights_writer.h"

#include <hdf5.h>
#include <stdio.h>

/* Overwrites the biases of a layer in the published layout. */
static int write_bias(const char *path, const char *layer, const float *bias) {
    char name[3 * VGG_NAME_SIZE];
    snprintf(name, sizeof name, "%s/%s_b_1:0", layer, layer);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    int failed = H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, bias) < 0;
    H5Dclose(set);
    return H5Fclose(file) < 0 || failed;
}

int main(int argc, char **argv) {
    struct weights weights = live_weights_make();
    int layer = argc == 3 ? vgg_find(&weights.net, argv[2]) : -1;
    if (layer < 0) {
        fprintf(stderr, "Usage: write_live_weights FILE LAYER (block1_conv1 to block5_conv3)\n");
        return 2;
    }
    live_weights_wake(&weights, layer);
    struct weights_recipe recipe = weights_recipe(weights.net.layers, 1);
    weights_write(argv[1], &recipe);
    int status = write_bias(argv[1], argv[2], weights_bias(&weights, layer));
    weights_free(&weights);
    return status;
}
