/*
 * group_config: what a group may set (groups.tsv), within the bounds that its broker sets; and what clients' metrics may set
 * (KIP-714). Pure: texts in, texts out. Who keeps them: metadata/image.
 *
 *      group's own consumer.session.timeout.ms  <-  the broker's group.consumer.session.timeout.ms (dynamic, static, default)
 *      bounds: the broker's group.consumer.min.session.timeout.ms and group.consumer.max.session.timeout.ms
 */
#ifndef CONFIG_GROUP_CONFIG_H
#define CONFIG_GROUP_CONFIG_H

#include "config/config.h"

const struct config_definition *group_config_definition(enum group_config_id id);

/* The group's own, or what the broker has for groups that set none. Only of those for which there is such a setting of the broker. */
int64_t group_config_int64(const struct config_layers *l, const struct config_entry *entries, size_t count,
			   enum group_config_id id);

/* OK, or ERR_INVALID_CONFIG with Kafka's words. */
enum err group_config_validate(const struct config_layers *l, const struct config_entry *entries, size_t count,
			       struct buf *message) MUST_CHECK;
/* Texts are static or from the arena; false when the arena is full. */
bool group_config_describe(const struct config_layers *l, const struct config_entry *entries, size_t count,
			   enum group_config_id id, struct arena *a, struct config_described *ret);

#define CLIENT_METRICS_CONFIG_COUNT 3

const struct config_definition *client_metrics_definition(size_t at);
/* OK; ERR_INVALID_CONFIG or ERR_INVALID_REQUEST, as Kafka mixes them. */
enum err client_metrics_validate(const struct config_entry *entries, size_t count, struct buf *message) MUST_CHECK;
bool client_metrics_describe(const struct config_entry *entries, size_t count, size_t at, struct arena *a,
			     struct config_described *ret);

#endif
