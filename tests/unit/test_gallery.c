/* What a gallery is made of: links and names of folders, and cosines of kernels. */
#include "app/gallery_paths.h"
#include "filteratlas/model/similarity.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_link(const char *from, const char *to, const char *wanted) {
    struct text link = {0};
    gallery_link(from, to, &link);
    assert_string_equal(link.bytes, wanted);
    text_free(&link);
}

static void links_lead_from_one_folder_to_another(void **state) {
    (void)state;
    assert_link("/a/page", "/a/keras", "../keras/");
    assert_link("/a", "/a/keras", "keras/");
    assert_link("/a/b/c", "/a", "../../");
    assert_link("/a/b", "/a/b", "");
    assert_link("/ab", "/a", "../a/");
    assert_link("/a/bc/d", "/a/b/e", "../../b/e/");
    assert_link("/", "/a", "a/");
    assert_link("/a", "/", "../");
    assert_link("/s", "/vgg 16/#1 50%?", "../vgg%2016/%231%2050%25%3F/");
    assert_link("/s",
                "/stra\xc3\x9f"
                "e:\"",
                "../stra%C3%9Fe%3A%22/");
}

static void assert_name(const char *const *paths, int which, const char *wanted) {
    struct text name = {0};
    gallery_name(paths, 4, which, &name);
    assert_string_equal(name.bytes, wanted);
    text_free(&name);
}

static void names_are_as_short_as_they_can_be(void **state) {
    (void)state;
    static const char *const paths[] = {"/data/one/vgg16", "/data/two/vgg16", "/keras", "/data/two/x/vgg16"};
    assert_name(paths, 0, "one/vgg16");
    assert_name(paths, 1, "two/vgg16");
    assert_name(paths, 2, "keras");
    assert_name(paths, 3, "x/vgg16");
    static const char *const nested[] = {"/a", "/b/a", "/c/b/a", "/d"};
    assert_name(nested, 0, "a");
    assert_name(nested, 1, "b/a");
    assert_name(nested, 2, "c/b/a");
}

/* Convolutions 1 x 2 on 1 channel with 3 filters: kernels (1, 2), (3, 0), (0, 0). */
static float values[] = {1, 3, 0, 2, 0, 0};
/* (2, 4), (-1, 1), (1, 1). */
static float other_values[] = {2, -1, 1, 4, 1, 1};

static struct graph_node convolution(void) {
    return (struct graph_node){
        .operation = GRAPH_CONVOLUTION, .in_channels = 1, .channels = 3, .kernel = {1, 2}, .groups = 1};
}

static void cosines_are_those_of_the_kernels(void **state) {
    (void)state;
    struct graph_node node = convolution();
    const struct graph x = {.nodes = 1, .node = &node, .values = values};
    const struct graph y = {.nodes = 1, .node = &node, .values = other_values};
    double cosine[3];
    assert_true(similarity_is_defined(&x, 0, &y, 0));
    similarity_of_kernels(&x, 0, &y, 0, cosine);
    assert_true(fabs(cosine[0] - 1) < 1e-15);
    assert_true(fabs(cosine[1] + sqrt(0.5)) < 1e-15);
    assert_true(isnan(cosine[2]));
}

static void kernels_of_other_shapes_have_none(void **state) {
    (void)state;
    struct graph_node one = convolution(), other = convolution();
    const struct graph x = {.nodes = 1, .node = &one}, y = {.nodes = 1, .node = &other};
    other.kernel[0] = 2;
    assert_false(similarity_is_defined(&x, 0, &y, 0));
    other = convolution();
    other.channels = 4;
    assert_false(similarity_is_defined(&x, 0, &y, 0));
    other = convolution();
    other.operation = GRAPH_DENSE;
    assert_false(similarity_is_defined(&x, 0, &y, 0));
    one = other = (struct graph_node){.operation = GRAPH_ACTIVATION, .channels = 3, .weights = GRAPH_NOTHING};
    assert_false(similarity_is_defined(&x, 0, &y, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_lead_from_one_folder_to_another),
        cmocka_unit_test(names_are_as_short_as_they_can_be),
        cmocka_unit_test(cosines_are_those_of_the_kernels),
        cmocka_unit_test(kernels_of_other_shapes_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
