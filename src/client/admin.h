/*
 * admin: questions to the cluster as a whole, each asked of the broker that can answer, and asked again while that is of use.
 *
 * Pure in its results: copies in public structs. Functions suspend; they run in the fiber of an api_job.
 * Not here: threads (client/api).
 */
#ifndef CLIENT_ADMIN_H
#define CLIENT_ADMIN_H

#include "client/core.h"
#include "moldau/moldau.h"

/* What became of the one thing that a question was about. */
struct admin_outcome {
	int16_t code;
	struct bytes words;
};

/* What to ask; its own retries end at the deadline. */
struct admin_question {
	struct client *client;
	int16_t api_key;
	int16_t newest;
	bool to_controller;
	const char *topic; /* not NULL: the leader of that partition is asked */
	int32_t partition;
	const void *request;
	void *response;
	struct arena *arena;
	int64_t deadline_us;
	/* Of a whole answer: an error that makes it worth asking again, or OK. May be NULL. */
	enum err (*look)(const void *response);
	/* Instead, where it is about one thing: false when the answer has another number of them. What the controller did not do is asked again. */
	bool (*outcome)(const void *response, struct admin_outcome *ret);
};

/* After OK the caller gives the frame back. On an error, words. */
enum err admin_ask_await(struct fiber *self, const struct admin_question *q, struct blob **ret_frame,
			 struct mo_err *ret_error) MUST_CHECK;

/* Says in words why no answer came. */
int admin_explain(struct client *c, enum err e, int16_t api_key, struct mo_err *ret_error);

#endif
