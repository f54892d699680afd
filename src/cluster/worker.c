#include "worker.h"
#include "filteratlas/clock.h"

#include "filteratlas/png_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What kept a live filter from death; "" for all others. */
static void describe_rescue(const struct ascent_result *result, char rescue[STORE_RESCUE_SIZE]) {
    *rescue = 0;
    if (!result->dead && result->leaked)
        snprintf(rescue, STORE_RESCUE_SIZE, "leak");
    else if (!result->dead && result->attempt)
        snprintf(rescue, STORE_RESCUE_SIZE, "retry %d", result->attempt);
}

static int encode(const struct drawing *drawing, int layer, const struct ascent_result *result, const char *rescue,
                  uint8_t **png, size_t *size, struct error *error) {
    const struct octaves *octaves = &drawing->job->octaves;
    char filter[16], loss[32];
    snprintf(filter, sizeof filter, "%d", result->filter);
    snprintf(loss, sizeof loss, "%.17g", result->loss);
    const struct png_text texts[] = {{"Software", "filteratlas"},  {"layer", drawing->net->layer[layer].name},
                                     {"filter", filter},           {"loss", loss},
                                     {"job", drawing->job_digest}, {"rescue", rescue}};
    return png_encode(result->picture, octaves->width[octaves->steps], octaves->height[octaves->steps], texts,
                      *rescue ? 6 : 5, png, size, error);
}

static int send_result(const struct drawing *drawing, const struct unit *unit, const struct ascent_result *result,
                       double seconds, struct link *link, struct error *error) {
    uint8_t *png = NULL;
    size_t size = 0;
    char rescue[STORE_RESCUE_SIZE];
    describe_rescue(result, rescue);
    int status = result->dead ? STATUS_OK : encode(drawing, unit->layer, result, rescue, &png, &size, error);
    int iterations = drawing->trace ? result->iterations : 0;
    struct report *report = status ? NULL : report_make(EVENT_FILTER, unit, iterations, size);
    if (!status && !report)
        status = error_memory(error, (double)size, "sending a picture");
    if (!status) {
        report->filter = (struct store_filter){
            .index = result->filter, .dead = result->dead, .loss = result->loss, .seconds = seconds};
        strcpy(report->filter.rescue, rescue);
        memcpy(report->body, result->trace, iterations * sizeof(float));
        if (size)
            memcpy(report->body + iterations * sizeof(float), png, size);
        link_send(link, report);
    }
    free(png);
    return status;
}

static int draw_unit(const struct drawing *drawing, const struct unit *unit, struct link *link, struct error *error) {
    int filters[SCHEDULE_MAX_BATCH], count = unit_filters(unit, drawing->batch, filters);
    struct ascent_result results[SCHEDULE_MAX_BATCH];
    double start = clock_now();
    int status = ascent_draw(drawing->ascent, unit->layer, filters, count, link_goes_on, link, results, error);
    double seconds = (clock_now() - start) / count;
    for (int i = 0; i < count && !status; i++)
        status = send_result(drawing, unit, &results[i], seconds, link, error);
    return status;
}

static int publish_layer(const struct drawing *drawing, const struct unit *unit, struct link *link,
                         struct error *error) {
    struct text line = {0};
    int status =
        drawing->publish(drawing->context, drawing->net->layer[unit->layer].name, link_goes_on, link, &line, error);
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

static int publish_tables(const struct drawing *drawing, const struct unit *unit, struct link *link,
                          struct error *error) {
    (void)unit;
    int status = drawing->publish_tables(drawing->context, link_goes_on, link, error);
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
        [ORDER_DRAW] = draw_unit, [ORDER_PUBLISH] = publish_layer, [ORDER_TABLES] = publish_tables};
    double speed = drawing->measure ? drawing->measure(drawing->context, link_goes_on, link) : 0, waited = 0;
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
