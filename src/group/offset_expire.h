/*
 * offset_expire: offsets that nobody needs any more go: unused for offsets.retention.minutes, or of a topic that was deleted; and with their
 * last offset groups that nobody is in.
 */
#ifndef GROUP_OFFSET_EXPIRE_H
#define GROUP_OFFSET_EXPIRE_H

#include "group/groups.h"

/* The next walk over all groups is due in offsets.retention.check.interval.ms. */
void offset_expiry_start(struct groups *all, const struct step *s);
void offset_expiry_fire(struct groups *all, struct group_timer *t, struct step *s);

/* Notes which topics are there now. */
void offset_topics_loaded(struct groups *all, const struct image *image);
/* Offsets of topics that were there and are not any more, or are others of the same name. */
void offset_topics_changed(struct groups *all, struct step *s);

#endif
