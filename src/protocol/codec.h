/*
 * codec: messages between C structs and bytes, for every message of the schemas and every version of it, by one generic
 * reader and one generic writer over the generated tables (message_type.h). Pure: bytes in, bytes out.
 *
 *      frame bytes --message_decode--> struct fetch_request, its arrays in an arena, its strings still in the frame
 *      struct fetch_response --message_encode--> bytes at the end of a buf
 *                            --message_encode_split--> the same without the `records`, and where each of them belongs
 *
 * A message is any generated struct (`struct fetch_request`) together with its type (`fetch_request_type`). The caller
 * pairs them; a wrong pair is a bug that nobody can see at run time.
 *
 * Invariants: what is decoded re-encodes to the same message; a decoder never reads outside its source, allocates nothing
 * before the bytes that are there could hold it, and takes memory from the given arena only.
 * Not here: frames and their size (net/), which versions a broker advertises (broker/), what is inside `records` (record/).
 */
#ifndef PROTOCOL_CODEC_H
#define PROTOCOL_CODEC_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/reader.h"
#include "protocol/message_type.h"

#define CODEC_MAX_ELEMENTS 1000000 /* of one array */
#define CODEC_MAX_TAGS 10000       /* of one tag section */
#define CODEC_MAX_STRING_BYTES 32767
#define MESSAGE_PRINT_MAX 2000 /* bytes that message_print adds at most */

/* Sets every field to its default: numbers mostly 0 or -1, text and arrays empty or null, as the schema says. */
void message_init(const struct message_type *t, void *message);

/*
 * The same for a struct inside of a message, by its own table: `struct_init(&fetch_response_partition_data_struct, &p)`.
 * Zeroed memory is no message: null is not empty, and 0 is often not the default.
 */
void struct_init(const struct message_struct *of, void *at);
/* An array of such structs, all at their defaults, for a field of a message to write; NULL when the arena is full. */
void *struct_array_new(const struct message_struct *of, size_t count, struct arena *a) MUST_CHECK;

/*
 * Reads one message of `version`; what the version lacks gets its default. Strings, bytes and records point into the
 * source, arrays and nullable structs into `a`. Bytes that are left over are the caller's affair. Text is not checked to
 * be UTF-8.
 *
 * ERR_MALFORMED: not such a message; ERR_TOO_BIG: an array or tag section with more elements than the bytes that follow
 * can hold, or than the maxima above; ERR_NO_MEMORY: the arena is full; ERR_BAD_VERSION: no such version. On failure
 * `*ret_message` is untouched, the reader stands anywhere and the arena may have grown.
 */
enum err message_decode(const struct message_type *t, int16_t version, struct reader *r, struct arena *a,
			void *ret_message) MUST_CHECK;

/*
 * Appends the message to `out`. ERR_BAD_VERSION: no such version, or a field that it lacks (and that is not one to be dropped
 * silently) is away from its default, or a null where it knows none. ERR_TOO_BIG: a string over 32,767 bytes, or `out`
 * is full. ERR_MALFORMED: unknown tags that do not rise strictly, or that the version knows. On failure `out` has the
 * size that it had.
 */
enum err message_encode(const struct message_type *t, int16_t version, const void *message, struct buf *out) MUST_CHECK;

/* Bytes that belong at `offset` of the message's buf: all that is in the buf before it comes first. */
struct encode_cut {
	size_t offset; /* from the start of the buf, not of the message */
	struct bytes records;
};

/*
 * As message_encode, but the bytes of `records` fields are not copied: each non-empty one becomes a cut, in order, and its length is
 * on the wire as if it were there. ERR_TOO_BIG also when there are more than `max_cuts`. What a cut points to has to live
 * until it is sent.
 */
enum err message_encode_split(const struct message_type *t, int16_t version, const void *message, struct buf *out,
			      struct encode_cut *cuts, size_t max_cuts, size_t *ret_cuts) MUST_CHECK;

/* The error codes other than 0 of an answer, wherever in it they are: so many kinds, and how many more were of others. */
#define ENCODE_ERROR_KINDS 8
struct encode_errors {
	size_t kinds;
	size_t others;
	size_t counts[ENCODE_ERROR_KINDS];
	int16_t codes[ENCODE_ERROR_KINDS];
};

/* As message_encode_split, and says which errors it wrote; ret_errors may be NULL. */
enum err message_encode_answer(const struct message_type *t, int16_t version, const void *message, struct buf *out,
			       struct encode_cut *cuts, size_t max_cuts, size_t *ret_cuts,
			       struct encode_errors *ret_errors) MUST_CHECK;

/* What comes before every request. */
struct request_header {
	int16_t api_key;
	int16_t api_version;
	int32_t correlation_id;
	struct bytes client_id; /* may be null */
};

/*
 * The header's own version follows from key and version. A key that is not in the table is read as header version 1, so
 * that the caller can say who asked for what before it closes the connection. ERR_MALFORMED, ERR_TOO_BIG as above.
 */
enum err request_header_decode(struct reader *r, struct request_header *ret_header) MUST_CHECK;
/* ERR_BAD_VERSION: no such API or version. */
enum err request_header_encode(const struct request_header *h, struct buf *out) MUST_CHECK;

/* The header of the answer to `request`. ApiVersions is always answered with header version 0. */
enum err response_header_encode(const struct request_header *request, struct buf *out) MUST_CHECK;
enum err response_header_decode(struct reader *r, const struct request_header *request, int32_t *ret_correlation_id)
	MUST_CHECK;

/* The row of this key; NULL when there is no such API, or it has no version left. */
const struct api *api_find(int16_t key);
/* "Fetch"; "unknown" for a key that api_find does not know. */
const char *api_name(int16_t key);

/*
 * One line for traces, `FetchRequest v12 {maxWaitMs: 500, topics: [{topic: "a", ...}], ...}`: the fields that the version
 * has, text with control characters escaped, bytes and records as their size only (they may be large, or secret). Ends
 * with "..." where it would be longer than MESSAGE_PRINT_MAX.
 */
void message_print(const struct message_type *t, int16_t version, const void *message, struct buf *out);

#endif
