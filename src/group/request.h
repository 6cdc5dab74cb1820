/*
 * request: what the requests of group.h have in common, for its own files: answers in arenas, the members of a LeaveGroup in all its versions.
 */
#ifndef GROUP_REQUEST_H
#define GROUP_REQUEST_H

#include "group/groups.h"

/* A copy in the arena; null stays null. False when that is full. */
static inline bool copy_text(struct arena *a, struct bytes text, struct bytes *ret_copy)
{
	struct bytes copy = arena_copy(a, text);

	if (!copy.data && text.data)
		return false;
	*ret_copy = copy;
	return true;
}

/* The call ends with an error that is not the protocol's to say: there was no room for the answer. */
void answer_without_room(struct step *s, struct coordinator_call *c);

/* Who leaves: of versions up to 2 one member, named in the request itself. */
struct leave_members {
	const struct leave_group_request *request;
	struct leave_group_request_member_identity one;
	bool is_one;
	int32_t count;
};

struct leave_members leave_members_of(const struct leave_group_request *request, int16_t version);
const struct leave_group_request_member_identity *leave_member(const struct leave_members *m, int32_t at);
/* Room for all of them; false when the arena is full. */
bool leave_answer_begin(struct leave_group_call *c);
void leave_answer_one(struct leave_group_call *c, int32_t at, enum err error);

#endif
