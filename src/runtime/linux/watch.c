/* watch: see system.h. Calls the poller. */
#include <sys/epoll.h>

#include "runtime/linux/system.h"

/* In the shard's list exactly while it has something that somebody wants. */
static void place(struct watch *w)
{
	bool wanted = (w->readiness & w->interest) && !w->removed;

	if (wanted && !list_linked(&w->node))
		list_push_back(&w->shard->ready, &w->node);
	else if (!wanted && list_linked(&w->node))
		list_remove(&w->node);
}

void watch_note(struct watch *w, uint32_t kernel_events)
{
	if (kernel_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		w->hung = true;
		w->readiness |= SOCKET_READABLE | SOCKET_HUNG_UP;
	}
	if (kernel_events & (EPOLLHUP | EPOLLERR))
		w->readiness |= SOCKET_WRITABLE;
	if (kernel_events & EPOLLIN)
		w->readiness |= SOCKET_READABLE;
	if (kernel_events & EPOLLOUT)
		w->readiness |= SOCKET_WRITABLE;
	place(w);
}

void watch_clear(struct watch *w, unsigned events)
{
	if (w->hung)
		events &= ~(unsigned)SOCKET_READABLE;
	w->readiness &= (uint8_t)~events;
	place(w);
}

void watch_set_interest(struct watch *w, unsigned events)
{
	w->interest = (uint8_t)events;
	place(w);
}

void watch_close(struct watch *w)
{
	w->removed = true;
	place(w);
	w->shard->poller->remove(w->shard, w);
}
