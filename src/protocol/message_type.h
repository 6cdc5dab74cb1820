/*
 * message_type: what the generator says about a message, as constant tables. protocol_gen.py fills them, codec.c reads
 * them; nothing here calls anything.
 *
 *      message_type   one message, all its versions             plans[version - first_version]
 *        message_plan   one struct in one run of versions         steps: the fields in the order of the wire
 *          message_step   one field, its encoding resolved          tagged: those in the tag section, by rising tag
 *      message_struct   one C struct: its fields, its size, a picture of its defaults
 *
 * Everything that depends on the version is worked out when the tables are made: a plan holds just the fields that its
 * versions have, with plain or compact encoding chosen, so that the codec never looks at a version range.
 *
 * Invariants: all of it is constant; plans of one message do not refer to themselves (nesting is bounded by the schema);
 * an array field's int32_t count follows its pointer in memory.
 * Not here: reading and writing bytes (codec.h), the messages themselves (protocol/messages.h, generated).
 */
#ifndef PROTOCOL_MESSAGE_TYPE_H
#define PROTOCOL_MESSAGE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/uuid.h"

/* A tagged field that the reader's schema does not know. Every message ends with those of its outermost tag section. */
struct tagged_field {
	uint32_t tag;
	struct bytes value;
};

struct tagged_fields {
	struct tagged_field *items; /* by rising tag */
	int32_t count;
};

enum message_kind {
	MESSAGE_HEADER,
	MESSAGE_REQUEST,
	MESSAGE_RESPONSE,
	MESSAGE_DATA,
	MESSAGE_METADATA,
	MESSAGE_COORDINATOR_KEY,
	MESSAGE_COORDINATOR_VALUE,
};

enum field_type {
	FIELD_BOOL,
	FIELD_INT8,
	FIELD_INT16,
	FIELD_UINT16,
	FIELD_INT32,
	FIELD_UINT32,
	FIELD_INT64,
	FIELD_FLOAT64,
	FIELD_UUID,
	FIELD_STRING,
	FIELD_BYTES,
	FIELD_RECORDS,
	FIELD_STRUCT,
};

/* A field of a C struct, whatever the version. */
struct message_field {
	const char *name; /* as in Kafka's JSON: "topicId" */
	uint8_t type;     /* enum field_type; of an array: of its elements */
	bool is_array;
	bool is_pointer;                 /* a nullable struct: a pointer, NULL is null */
	uint16_t offset;                 /* of an array: where its pointer is */
	const struct message_struct *of; /* FIELD_STRUCT only */
};

struct message_struct {
	const char *name; /* the C struct's */
	const struct message_field *fields;
	const void *defaults; /* one such struct with every field at its default */
	uint16_t field_count;
	uint16_t size_bytes;
};

/* How a field lies on the wire in one version. */
enum wire {
	WIRE_BOOL,
	WIRE_INT8,
	WIRE_INT16, /* and uint16 */
	WIRE_INT32, /* and uint32 */
	WIRE_INT64, /* and float64: eight bytes, reversed */
	WIRE_UUID,
	WIRE_STRING,
	WIRE_COMPACT_STRING,
	WIRE_BYTES, /* and records */
	WIRE_COMPACT_BYTES,
	WIRE_STRUCT,
	WIRE_NULLABLE_STRUCT,        /* int8: negative is null */
	WIRE_TAGGED_NULLABLE_STRUCT, /* uvarint: 0 is null */
	WIRE_ARRAY,
	WIRE_COMPACT_ARRAY,
};

struct message_step {
	uint8_t wire;         /* enum wire */
	uint8_t element_wire; /* arrays: of each element, which is never null */
	bool nullable;
	bool noted; /* records: message_encode_split cuts here; an int16: an error code, which message_encode_answer counts */
	uint16_t field; /* index in the struct's fields */
	uint16_t offset;
	uint16_t element_size_bytes;     /* arrays: in memory */
	uint16_t tag;                    /* in `tagged` only */
	uint32_t element_wire_least;     /* arrays: the fewest bytes that an element takes on the wire, at least 1 */
	const struct message_plan *plan; /* of the struct, or of the array's struct elements */
};

struct message_plan {
	const struct message_struct *of;
	const struct message_step *steps;
	const struct message_step *tagged;
	const uint16_t *lacking; /* fields that these versions lack and that must then hold their default */
	uint16_t step_count;
	uint16_t tagged_count; /* at most 32 */
	uint16_t lacking_count;
	bool flexible; /* ends with a tag section */
};

#define VERSION_NONE INT16_MAX
#define MESSAGE_MAX_SIZE_BYTES 1024 /* no message's outermost struct is larger */

struct message_type {
	const char *name; /* "FetchRequest" */
	uint8_t kind;     /* enum message_kind */
	int16_t key;      /* API key, or the record's type; -1 where neither applies */
	int16_t first_version;
	int16_t last_version;
	int16_t flexible_from; /* VERSION_NONE: never */
	uint16_t unknown_tags_offset;
	const struct message_struct *body;
	const struct message_plan *const *plans; /* by version - first_version */
};

/* One row of the table of APIs; those without any version left are not in it. */
struct api {
	int16_t key;
	int16_t min_version;
	int16_t max_version;
	int16_t flexible_from; /* VERSION_NONE: never */
	bool latest_unstable;  /* max_version is not advertised unless unstable.api.versions.enable */
	bool on_broker;        /* listeners that serve it */
	bool on_controller;
	const char *name; /* "Fetch" */
	const struct message_type *request;
	const struct message_type *response;
};

#endif
