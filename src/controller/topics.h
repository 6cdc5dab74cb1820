/*
 * topics: may this topic be created, and how? Pure: image and settings in, a plan or Kafka's refusal out. Codes, texts and their order
 * were asked of Kafka 4.3.1 itself.
 */
#ifndef CONTROLLER_TOPICS_H
#define CONTROLLER_TOPICS_H

#include "controller/controller.h"
#include "metadata/delta.h"

#define TOPICS_MAX_PARTITIONS_PER_REQUEST 10000
#define TOPICS_MAX_NAME 249

/* OK, or ERR_INVALID_TOPIC_EXCEPTION with Kafka's words. */
enum err topic_name_check(struct bytes name, struct buf *message) MUST_CHECK;

/* What all topics of a request are checked for together: sets error and message of those that come twice, or of all of too large a request. */
void topics_check_request(const struct config *c, struct create_topics *r);

/*
 * Decides about one topic: the record that creates it (without its id; arrays in the arena), or error and message in `t`. `a` outlives the
 * answer.
 */
enum err topics_decide(const struct image *i, const struct config *c, struct create_topic *t, struct arena *a,
		       struct delta_record *ret_topic) MUST_CHECK;

/* Sets error and text. The text is copied into the arena; when that is full there is none. */
enum err topic_refuse(struct create_topic *t, struct arena *a, enum err e, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* May a partition have these replicas? OK, or ERR_INVALID_REPLICA_ASSIGNMENT with Kafka's words in `message`, which is empty before. */
enum err assignment_check(const struct image *i, const int32_t *brokers, size_t count, struct buf *message) MUST_CHECK;

/*
 * May the topic have so many partitions, and where are the new ones? OK with a record of kind DELTA_PARTITIONS, whose arrays are from the
 * arena; or its error and message.
 */
enum err partitions_decide(const struct image *i, struct add_partitions *t, struct arena *a,
			   struct delta_record *ret_partitions) MUST_CHECK;

#endif
