#include "worker.h"
#include "filteratlas/base/clock.h"

#include "filteratlas/atlas/picture_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the store keeps of a result. A picture whose way through the network left the range of single precision shows
 * nothing of the filter: there is none of it, and its loss says why. */
static struct store_filter describe(const struct drawing *drawing, const struct ascent_result *result, double seconds) {
    struct store_filter filter = {.index = result->filter, .dead = result->dead, .loss = result->loss};
    filter.seconds = seconds;
    if (result->overflowed || !isfinite(result->loss)) {
        filter.dead = true;
        filter.loss = INFINITY;
    }
    picture_file_note_rescue(&filter, result->attempt, result->leaked);
    snprintf(filter.kernels, sizeof filter.kernels, "%s", drawing->kernels);
    return filter;
}

/* Appends the picture's PNG file to *bytes. */
static int encode(const struct drawing *drawing, int layer, const struct ascent_result *result,
                  const struct store_filter *filter, uint8_t **bytes, size_t *size, struct error *error) {
    const struct octaves *octaves = &drawing->job->octaves;
    /* the older recipe's pictures name none */
    const char *recipe = drawing->job->recipe == RECIPE_KERAS ? "" : recipe_name(drawing->job->recipe);
    return picture_file_encode(result->picture, octaves->width[octaves->steps], octaves->height[octaves->steps],
                               drawing->layers->layer[layer].name, filter, drawing->job_digest, recipe, bytes, size,
                               error);
}

/* The file is encoded where it will be sent from: a picture of 16,384 pixels takes 800 MB, once. */
static int send_result(const struct drawing *drawing, const struct unit *unit, const struct ascent_result *result,
                       double seconds, struct link *link, struct error *error) {
    const struct store_filter filter = describe(drawing, result, seconds);
    int iterations = drawing->trace ? result->iterations : 0;
    size_t room = report_room(iterations), size = room;
    uint8_t *bytes = malloc(room);
    if (!bytes)
        return error_memory(error, (double)room, "sending a picture");
    int status = filter.dead ? STATUS_OK : encode(drawing, unit->layer, result, &filter, &bytes, &size, error);
    if (status) {
        free(bytes);
        return status;
    }
    struct report *report = report_around(bytes, EVENT_FILTER, unit, iterations, size - room);
    report->filter = filter;
    memcpy(report->body, result->trace, iterations * sizeof(float));
    link_send(link, report);
    return STATUS_OK;
}

static int carry_out_draw(const struct drawing *drawing, const struct unit *unit, struct link *link,
                          struct error *error) {
    int filters[ASCENT_MAX_BATCH], count = unit_filters(unit, drawing->batch, filters);
    struct ascent_result results[ASCENT_MAX_BATCH];
    const struct interrupt interrupt = {link_goes_on, link};
    double start = clock_now();
    int node = drawing->layers->layer[unit->layer].node;
    int status = ascent_draw(drawing->ascent, node, filters, count, &interrupt, results, error);
    double seconds = (clock_now() - start) / count;
    for (int i = 0; i < count && !status; i++)
        status = send_result(drawing, unit, &results[i], seconds, link, error);
    return status;
}

static int carry_out_publish(const struct drawing *drawing, const struct unit *unit, struct link *link,
                             struct error *error) {
    const struct interrupt interrupt = {link_goes_on, link};
    const char *layer = drawing->layers->layer[unit->layer].name;
    struct text line = {0};
    int status = drawing->publish(drawing->context, layer, &interrupt, &line, error);
    struct report *report = status ? NULL : report_make(EVENT_PUBLISHED, unit, 0, line.size + 1);
    if (!status && !report)
        status = error_memory(error, (double)line.size, "a report");
    if (report) {
        memcpy(report->body, line.size ? line.bytes : "", line.size + 1);
        link_send(link, report);
    }
    text_free(&line);
    return status;
}

static int carry_out_tables(const struct drawing *drawing, const struct unit *unit, struct link *link,
                            struct error *error) {
    (void)unit;
    const struct interrupt interrupt = {link_goes_on, link};
    int status = drawing->publish_tables(drawing->context, &interrupt, error);
    if (!status)
        link_say(link, EVENT_PUBLISHED, NULL, NULL);
    return status;
}

static void ask(struct link *link, double seconds_per_cost, double waited) {
    struct report *report = report_make(EVENT_READY, NULL, 0, 0);
    if (!report)
        abort(); /* as link_say */
    report->seconds_per_cost = seconds_per_cost;
    report->waited = waited;
    link_send(link, report);
}

void worker_run(const struct drawing *drawing, struct link *link) {
    static int (*const carry_out[])(const struct drawing *, const struct unit *, struct link *, struct error *) = {
        [ORDER_DRAW] = carry_out_draw, [ORDER_PUBLISH] = carry_out_publish, [ORDER_TABLES] = carry_out_tables};
    const struct interrupt interrupt = {link_goes_on, link};
    double speed = drawing->measure ? drawing->measure(drawing->context, &interrupt) : 0, waited = 0;
    struct error error;
    for (;;) {
        double asked = clock_now();
        ask(link, speed, waited);
        struct order order = link_receive(link);
        waited = order.kind == ORDER_DRAW ? clock_now() - asked : 0;
        if (order.kind == ORDER_END)
            break;
        if (carry_out[order.kind](drawing, &order.unit, link, &error))
            link_say(link, EVENT_FAILED, &order.unit, &error);
        else if (order.kind == ORDER_DRAW)
            link_say(link, EVENT_DONE, &order.unit, NULL);
    }
    link_say(link, EVENT_ENDED, NULL, NULL);
}
