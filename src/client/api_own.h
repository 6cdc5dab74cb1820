/* api_own: what the administrative sources of api share. */
#ifndef CLIENT_API_OWN_H
#define CLIENT_API_OWN_H

#include "base/bytes.h"
#include "client/admin.h"
#include "client/api.h"
#include "client/coordinators.h"
#include "moldau/moldau.h"

#define API_ARENA_MAX ((size_t)256 * 1024 * 1024)

/* A copy with a terminator; NULL for null. */
char *api_text(struct bytes b);
/* The error of `what`: the broker's words, or else ours for its code. */
void api_fill_error(struct mo_err *e, int16_t code, struct bytes words, const char *what);
/* admin_ask_await for a job: its client, its deadline, its error. */
enum err api_ask_await(struct fiber *self, struct api_job *job, const struct admin_question *q, struct blob **ret_frame)
	MUST_CHECK;
/* A question with an `outcome`, which is all that the caller wants to know; `what` begins the words when it is an error. */
enum err api_change_await(struct fiber *self, struct api_job *job, const struct admin_question *q, const char *what);
/* The ids of all brokers. On an error the job has it. */
enum err api_brokers_await(struct fiber *self, struct api_job *job, struct arena *arena, int32_t **ret_ids,
			   size_t *ret_count) MUST_CHECK;
/* A topic's partitions, rising. */
struct mo_topic_partitions api_copy_partitions(struct bytes topic, const int32_t *numbers, int32_t count);
void api_free_partitions(struct mo_topic_partitions *of, size_t count);
/* False for what cannot be. */
bool api_start(struct mo_start at, struct start *ret_start);

/* The keys of a job's groups, undecided; the rest is the caller's. */
void coordinators_init(struct coordinators *c, struct api_job *job, const char *const *groups, size_t count);
/* Frees them. Where no broker was reached for any of them, that is the job's error. */
void coordinators_end(struct coordinators *c, struct api_job *job);

#endif
