/* The page DIR/index.html, to look at the atlas with a browser from the disk, without a server or a network.
 *
 *   DIR/index.html                    the page itself
 *   DIR/page/page.css, page.js        and what it is made of
 *   DIR/page/openseadragon.min.js     the viewer of the canvas, with its licence, if the program was built with it
 *   DIR/page/atlas.js                 the job, and every filter with its loss
 *   DIR/page/LAYER/sheet.js           the geometry of the pictures below, the filters in their order, and a digest
 *   DIR/page/LAYER/sheet.jpg          thumbnails of all live filters, highest loss first, row by row
 *   DIR/page/LAYER/cover.jpg          the first few, larger, side by side
 *   DIR/page/LAYER/tiles/L/X_Y.jpg    the same grid at full size, halved again and again (src/page/pyramid.h)
 *   DIR/page/examples/LAYER.js        the images that excite the layer's filters most, where `examples` has found them
 *
 * A layer's folder is made under a temporary name and then takes the place of the older one whole. All bytes depend on
 * the pictures, the losses and the program alone. */
#ifndef FILTERATLAS_PAGE_H
#define FILTERATLAS_PAGE_H

#include "filteratlas/atlas/examples.h"
#include "filteratlas/atlas/store.h"
#include "filteratlas/base/error.h"
#include "filteratlas/base/interrupt.h"

#include <stdbool.h>

/* Makes the folder of one layer anew from its stored pictures, each of which is decoded once; of a layer without a live
 * filter it removes what there is. Layers are independent of each other: different processes may write different layers
 * at once, one and the same layer only one. Holds the layer's thumbnails and a row of tiles in memory, 50 MB for 512
 * pictures of 412 pixels. */
int page_write_layer(const struct store *store, const struct store_layer *layer, const struct interrupt *interrupt,
                     struct error *error);

/* Whether the layer's folder is what page_write_layer would make now: of the same filters, by the same version. */
bool page_layer_is_current(const struct store *store, const struct store_layer *layer);

/* Writes what all layers share, from all that the store holds, and its job; quick. Layers without a filter are left
 * out, layers whose folder isn't there yet are shown from the stored pictures. */
int page_write_index(const struct store *store, const struct store_job *job, const struct store_layer *layers,
                     int count, struct error *error);

/* Writes page/examples, for a page that is there already or comes later; page_write_index then shows them. */
int page_write_examples(const char *folder, const struct examples *examples, struct error *error);

#endif
