/*
 * json: the little of JSON that nodes of the metastore hold, read by pulling and written straight into a buf. Foreign bytes are safe:
 * the reader has a sticky error, a bound on depth, and copies only texts that hold escapes (into the arena).
 *
 *      if (json_enter_object(&j))
 *              while (json_key(&j, &key)) { if (...) v = json_number(&j); else json_skip(&j); }
 */
#ifndef CONTROLLER_JSON_H
#define CONTROLLER_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define JSON_MAX_DEPTH 16

struct json {
	const char *at;
	const char *end;
	struct arena *arena;
	enum err error; /* ERR_MALFORMED, ERR_NO_MEMORY */
	unsigned depth;
	bool first; /* no element of the innermost object or array was read yet */
};

struct json json_of(struct bytes text, struct arena *a);
/* Steps into an object; false with the error set when there is none. */
bool json_enter_object(struct json *j);
/* The next key, its value is then to be read or skipped; false at the end of the object, which is left, or on an error. */
bool json_key(struct json *j, struct bytes *ret_key);
bool json_enter_array(struct json *j);
/* True: an element is to be read. False: the array was left, or an error. */
bool json_element(struct json *j);
/* Whole numbers only; a number in quotes will do as well, as Kafka writes both. */
int64_t json_number(struct json *j);
/* Null for null. */
struct bytes json_text(struct json *j);
void json_skip(struct json *j);
/* Nothing but blanks is left, and no error came: OK. */
enum err json_end(struct json *j) MUST_CHECK;

/* A text in quotes, escaped. */
void json_put_text(struct buf *b, struct bytes text);

#endif
