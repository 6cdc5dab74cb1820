/*
 * config: the settings of a broker, under Kafka's names. One table (broker.tsv, own.tsv; generated into config_table.c at
 * build time) says name, type, default, valid values, documentation and how each may change; everything else reads it.
 *
 *      default  <  properties file, --set (static)  <  what the cluster keeps (dynamic; metadata/image, see config_layers)
 *
 * Invariants
 * 1. A value in here is valid: config_set refuses what Kafka refuses, with Kafka's reason. Getters never fail.
 * 2. Unknown names are kept aside and warned about once each; they never stop a start.
 * 3. After the start it is read-only and shared by all shards.
 * Not here: what topics may set (topic_config.h), addresses (listeners.h), dynamic values (metadata/image).
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "config/config_ids.h" /* generated: enum config_id { CONFIG_LOG_SEGMENT_BYTES, ... CONFIG_COUNT } */

struct arena;
struct config;

/* Numbers as in DescribeConfigs. */
enum config_type {
	CONFIG_TYPE_BOOLEAN = 1,
	CONFIG_TYPE_STRING = 2,
	CONFIG_TYPE_INT = 3,
	CONFIG_TYPE_SHORT = 4,
	CONFIG_TYPE_LONG = 5,
	CONFIG_TYPE_DOUBLE = 6,
	CONFIG_TYPE_LIST = 7,
	CONFIG_TYPE_CLASS = 8,
	CONFIG_TYPE_PASSWORD = 9,
};

enum config_source {
	CONFIG_SOURCE_TOPIC = 1,
	CONFIG_SOURCE_DYNAMIC_BROKER = 2,
	CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER = 3,
	CONFIG_SOURCE_STATIC_BROKER = 4,
	CONFIG_SOURCE_DEFAULT = 5,
	CONFIG_SOURCE_LOGGER = 6,
	CONFIG_SOURCE_CLIENT_METRICS = 7,
	CONFIG_SOURCE_GROUP = 8,
};

/* What settings may belong to; numbers as in DescribeConfigs. */
enum config_resource {
	CONFIG_OF_TOPIC = 2,
	CONFIG_OF_BROKER = 4,
	CONFIG_OF_LOGGER = 8,
	CONFIG_OF_CLIENT_METRICS = 16,
	CONFIG_OF_GROUP = 32,
};

enum config_update { CONFIG_READ_ONLY, CONFIG_PER_BROKER, CONFIG_CLUSTER_WIDE };

enum config_check {
	CONFIG_CHECK_NONE,
	CONFIG_CHECK_RANGE,    /* low..high */
	CONFIG_CHECK_RANGE_OR, /* low..high or `other` */
	CONFIG_CHECK_ONE_OF,   /* each of the value's entries is one of `choices` */
	CONFIG_CHECK_ONE_OF_ANY_CASE,
	CONFIG_CHECK_NOT_EMPTY,
	CONFIG_CHECK_NOT_NULL,
	CONFIG_CHECK_THROTTLED_REPLICAS,
};

struct config_definition {
	const char *name;
	const char *default_text;   /* NULL: null */
	const char *valid;          /* as Kafka writes it; NULL: anything */
	const char *documentation;  /* "" where there is none yet */
	const char *const *choices; /* NULL-terminated */
	double low;
	double high;
	double other;
	enum config_type type;
	enum config_check check;
	enum config_update update;
	bool internal; /* not shown */
	bool required; /* by Kafka; a Moldau broker starts without */
	bool own;      /* Moldau's, not Kafka's */
};

/* A setting as text, from outside. A null value means "no value". */
struct config_entry {
	struct bytes name;
	struct bytes value;
};

struct config_list {
	char *const *items;
	size_t count;
};

const struct config_definition *config_definition(enum config_id id);
bool config_find(struct bytes name, enum config_id *ret_id);

/* Everything at its default. */
struct config *config_new(void);
void config_free(struct config *c);

/*
 * Sets a static value; spaces around it go. ERR_BAD_CONFIG with the reason in `message` (may be NULL); nothing is changed then.
 * An unknown name is remembered and is ERR_NOT_FOUND, also with a text: callers warn and go on.
 */
enum err config_set(struct config *c, struct bytes name, struct bytes value, struct buf *message) MUST_CHECK;

/*
 * A properties file (Java's syntax). `path` is for the messages only. Stops at the first bad value with a line in the log that
 * names file, line, setting and reason: ERR_BAD_CONFIG. Unknown names are warned about, once each.
 */
enum err config_load_properties(struct config *c, struct bytes text, const char *path, struct logger *log) MUST_CHECK;

/* What the whole must satisfy beyond single values (as Kafka checks at its start); ERR_BAD_CONFIG with the reason. */
enum err config_validate(const struct config *c, struct buf *message) MUST_CHECK;

/* The getter must fit the setting's type (a mistake of the program otherwise). Null numbers are a mistake too: ask config_is_null. */
int32_t config_int32(const struct config *c, enum config_id id);
int64_t config_int64(const struct config *c, enum config_id id); /* int, short, long */
double config_double(const struct config *c, enum config_id id);
bool config_bool(const struct config *c, enum config_id id);
const char *config_string(const struct config *c, enum config_id id); /* string, class, password; NULL: null */
struct config_list config_list(const struct config *c, enum config_id id);
bool config_is_null(const struct config *c, enum config_id id);
/* Given by file or --set, as opposed to the default. */
bool config_is_set(const struct config *c, enum config_id id);

/* broker.id or node.id (either, or both alike); 1 when neither is given. */
int32_t config_node_id(const struct config *c);
/* log.dirs, or log.dir when it is not given. */
struct config_list config_log_folders(const struct config *c);

/*
 * Where settings come from, strongest first; the dynamic ones are the image's and may be empty.
 */
struct config_layers {
	const struct config *config;
	const struct config_entry *topic; /* a topic's own */
	size_t topic_count;
	const struct config_entry *broker; /* dynamic, of this broker */
	size_t broker_count;
	const struct config_entry *brokers; /* dynamic, of all brokers ("default" entity) */
	size_t brokers_count;
};

struct config_synonym {
	const char *name;
	struct bytes value;
	enum config_source source;
};

/* What a broker's setting is now, dynamic settings counted. Not for what has null as its default. */
int64_t config_layered_int64(const struct config_layers *l, enum config_id id);
bool config_layered_bool(const struct config_layers *l, enum config_id id);
double config_layered_double(const struct config_layers *l, enum config_id id);
/* What replica.alter.log.dirs.io.max.bytes.per.second says, which only a broker's dynamic settings may have. */
int64_t config_layered_move_rate(const struct config_layers *l);

/* A setting as DescribeConfigs tells it. */
struct config_described {
	const struct config_definition *definition;
	struct bytes value; /* null when null, or when sensitive */
	enum config_source source;
	bool read_only;
	bool sensitive;
	const struct config_synonym *synonyms; /* strongest first */
	size_t synonym_count;
};

/* Of a broker. Texts are static or from the arena; false when the arena is full. */
bool config_describe(const struct config_layers *l, enum config_id id, struct arena *a, struct config_described *ret);

/* Is the text valid for this definition? ERR_BAD_CONFIG with Kafka's words in `message` (may be NULL). */
enum err config_check_value(const struct config_definition *d, struct bytes value, struct buf *message) MUST_CHECK;

#endif
