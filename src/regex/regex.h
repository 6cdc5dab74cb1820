/*
 * regex: patterns of topic names, in the syntax of RE2, which is Kafka's for KIP-848's subscriptions (there in Java: RE2/J). A match takes time
 * in proportion to the text, whatever the pattern is. Pure.
 *
 * Where the two differ, Kafka's is kept: `(?<name>...)` is a group with a name, `\C` is no escape, and what is wrong is said in its words.
 * What Kafka takes and this does not: a pattern that needs more than REGEX_MAX_BYTES, has over 64 classes of Unicode or repeats something and is
 * compiled to over 2000 instructions or says over 2000 times in all; repetitions in repetitions of over 1000 in all. What this takes and Kafka does not: two groups of one name.
 * Lifetime: belongs to one shard. Not here: which topics there are, who subscribed to what (group/).
 */
#ifndef REGEX_REGEX_H
#define REGEX_REGEX_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#define REGEX_MAX_BYTES ((size_t)2 << 20)

struct regex;

/* ERR_INVALID_REGULAR_EXPRESSION: what is wrong is then written behind `message`, which may be NULL. */
enum err regex_new(struct bytes pattern, struct buf *message, struct regex **ret_regex) MUST_CHECK;
void regex_free(struct regex *r);
/* Whether all of the text matches. */
bool regex_matches(const struct regex *r, struct bytes text);
/* What a byte of text costs at most, in steps of some nanoseconds: for those that slice their work. */
size_t regex_cost(const struct regex *r);

#endif
