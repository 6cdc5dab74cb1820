/* describe: what the sources of this folder share beyond the public headers. */
#ifndef CONFIG_DESCRIBE_H
#define CONFIG_DESCRIBE_H

#include "config/config.h"
#include "config/value.h"

bool definition_find(const struct config_definition *table, size_t count, struct bytes name, size_t *ret_at);
/* The static value or the default. */
const struct config_value *config_value_of(const struct config *c, enum config_id id);
/* True the first time. */
bool config_note_unknown(struct config *c, struct bytes name);

/* The last entry of that name with a value; NULL when none. */
const struct config_entry *config_entry_find(const struct config_entry *entries, size_t count, const char *name);
/* What a broker's setting says now, all layers counted; lives in the config, or in `scratch`, which is the caller's to end. */
const struct config_value *config_layered_value(const struct config_layers *l, enum config_id id,
						struct config_value *scratch);

struct config_synonyms {
	struct config_synonym *items; /* room for all that is put */
	size_t count;
};

/* Every layer that says something for one of `ids`, from the first that bears `name` on, as in Kafka. */
void config_synonyms_put(const struct config_layers *l, const enum config_id *ids, size_t count, const char *name,
			 struct arena *a, struct config_synonyms *out);
/* Source, synonyms, and what follows from the definition. */
void config_described_finish(struct config_described *d, const struct config_synonyms *s);

#endif
