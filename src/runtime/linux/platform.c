/* platform: clocks, stacks, randomness, errno. Calls the operating system and nothing of ours. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "runtime/linux/system.h"

static int64_t clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t linux_now_us(struct shard *s)
{
	(void)s;
	return clock_us(CLOCK_MONOTONIC);
}

int64_t linux_coarse_us(struct shard *s)
{
	(void)s;
	return clock_us(CLOCK_MONOTONIC_COARSE);
}

int64_t linux_wall_ms(struct shard *s)
{
	(void)s;
	return clock_us(CLOCK_REALTIME) / 1000;
}

void *linux_stack_map(size_t size)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(NULL, size + guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE,
			       -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (mprotect(memory + guard, size, PROT_READ | PROT_WRITE)) {
		munmap(memory, size + guard);
		return NULL;
	}
	return memory + guard;
}

void linux_stack_unmap(void *stack, size_t size)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);

	munmap((uint8_t *)stack - guard, size + guard);
}

void linux_describe(void (*function)(void), char *ret_text, size_t size)
{
	Dl_info info;

	if (!dladdr((void *)(uintptr_t)function, &info) || !info.dli_fname)
		snprintf(ret_text, size, "%p", (void *)(uintptr_t)function);
	else if (info.dli_sname)
		snprintf(ret_text, size, "%s", info.dli_sname);
	else /* static functions have no name at run time: addr2line finds it */
		snprintf(ret_text, size, "%s+0x%zx", info.dli_fname,
			 (size_t)((uintptr_t)function - (uintptr_t)info.dli_fbase));
}

uint64_t linux_random_seed(void)
{
	uint64_t seed;

	/* Without entropy (early boot of an old kernel) the clock must do: these are no secrets. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
		seed = (uint64_t)clock_us(CLOCK_REALTIME) ^ ((uint64_t)getpid() << 40);
	return seed;
}

enum err err_of_errno(int number)
{
	switch (number) {
	case 0:
		return OK;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_NO_SPACE;
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case EEXIST:
	case ENOTEMPTY:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_PERMISSION;
	case EMFILE:
	case ENFILE:
		return ERR_TOO_MANY_FILES;
	case EBUSY:
	case ETXTBSY:
		return ERR_BUSY;
	case ENOMEM:
	case ENOBUFS:
		return ERR_NO_MEMORY;
	case EAGAIN:
		return ERR_AGAIN;
	case EADDRINUSE:
		return ERR_ADDRESS_IN_USE;
	case ECONNREFUSED:
		return ERR_CONNECTION_REFUSED;
	case ETIMEDOUT:
		return ERR_TIMED_OUT;
	case ECONNRESET:
	case EPIPE:
	case ENOTCONN:
	case ECONNABORTED:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
		return ERR_CONNECTION_LOST;
	case EADDRNOTAVAIL:
		return ERR_NAME_RESOLUTION; /* no address of this machine */
	case ENAMETOOLONG:
		return ERR_TOO_BIG;
	default:
		return ERR_IO;
	}
}
