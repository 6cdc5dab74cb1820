/*
 * figures: what a shard counts of the requests of its connections: how many, how long, with which errors.
 *
 * A request counts when its handler begins; its time is from its whole frame to the turn in which its answer may leave, by the
 * shard's clock, which stands still within a turn. Errors are what the answer says, wherever in it: a Fetch of ten
 * partitions may have ten.
 * Invariant: counting allocates only for an API's very first request.
 * Lifetime: embedded, zeroed .. request_figures_fini; of one shard.
 */
#ifndef BROKER_FIGURES_H
#define BROKER_FIGURES_H

#include "metrics/metrics.h"
#include "protocol/codec.h"

/* Kafka's keys end below it. */
#define FIGURES_KEYS 128
/* So many codes of an API are told apart; Kafka has about 130 in all, an API a dozen. */
#define FIGURES_CODES 16

struct api_figures {
	uint64_t requests;
	struct histogram time_us;
	size_t code_count;
	int16_t codes[FIGURES_CODES];
	uint64_t errors[FIGURES_CODES];
	uint64_t other_errors;
};

struct request_figures {
	struct api_figures *apis[FIGURES_KEYS]; /* NULL: never asked for */
};

void request_figures_fini(struct request_figures *f);
void figures_begun(struct request_figures *f, int16_t key);
void figures_answered(struct request_figures *f, int16_t key, int64_t time_us);
void figures_errors(struct request_figures *f, int16_t key, const struct encode_errors *errors);

#endif
