/* SPDX-License-Identifier: Apache-2.0 */
#include "figures.h"
#include "lock.h"
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	BLOCK_BYTES = ((int)sizeof(struct figures_block) + FIGURES_PAGE - 1) /
		      FIGURES_PAGE * FIGURES_PAGE,
	FILE_BYTES = FIGURES_PAGE + FIGURES_COUNT * BLOCK_BYTES
};

static_assert(sizeof(struct figures_head) <= FIGURES_PAGE, "the head fits");

static struct figures_block *block_at(const struct figures *figures,
				      uint32_t index)
{
	return (struct figures_block *)(void *)((unsigned char *)figures->head +
						FIGURES_PAGE +
						(size_t)index * BLOCK_BYTES);
}

/* Whether these clocks are read without a system call. */
static int clock_is_cheap(void)
{
	char name[24] = "";
	int fd = open("/sys/devices/system/clocksource/clocksource0/"
		      "current_clocksource",
		      O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? -1 : read(fd, name, sizeof name - 1);

	if (fd >= 0)
		close(fd);
	return bytes <= 0 || !strncmp(name, "tsc", 3) ||
	       !strncmp(name, "kvm-clock", 9) ||
	       !strncmp(name, "hyperv_clocksource_tsc", 22) ||
	       !strncmp(name, "arch_sys_counter", 16);
}

static int head_check(struct figures_head *head)
{
	if (!head->magic) {
		head->layout = FIGURES_LAYOUT;
		head->block_bytes = BLOCK_BYTES;
		head->magic = FIGURES_MAGIC;
	}
	if (head->magic != FIGURES_MAGIC || head->layout != FIGURES_LAYOUT ||
	    head->block_bytes != BLOCK_BYTES)
		return EPROTO;
	return 0;
}

static int file_map(struct figures *figures)
{
	struct stat st;
	int err = 0;

	if (fstat(figures->fd, &st))
		return errno;
	if (st.st_size < FILE_BYTES) {
		err = mapping_allocate(figures->fd, 0, FIGURES_PAGE);
		if (!err && ftruncate(figures->fd, FILE_BYTES))
			err = errno;
	}
	if (err)
		return err;
	figures->head = mapping_apart(figures->fd, 0, FILE_BYTES);
	return figures->head ? head_check(figures->head) : errno;
}

/* relaxed: all of it is for people. */
static void block_sign(const struct figures *figures, const struct slots *slots)
{
	struct figures_block *block = figures->own;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	slot_name_store(block->name, slots->name);
	atomic_store_explicit(&block->waiting, 0, memory_order_relaxed);
	atomic_store_explicit(&block->since_ns,
			      (uint64_t)now.tv_sec * 1000000000 +
				  (uint64_t)now.tv_nsec,
			      memory_order_relaxed);
	atomic_store_explicit(&block->pid_namespace, slots->pid_namespace,
			      memory_order_relaxed);
	atomic_store_explicit(&block->pid, (uint32_t)getpid(),
			      memory_order_relaxed);
}

uint32_t figures_limit(const struct figures *figures)
{
	uint32_t limit;

	if (!figures->head)
		return 0;
	/* G1: what is below it is allocated; range-checked, as any process may
	 * store it */
	limit =
	    atomic_load_explicit(&figures->head->limit, memory_order_acquire);
	return limit <= FIGURES_COUNT ? limit : FIGURES_COUNT;
}

uint64_t figures_uncounted(const struct figures *figures)
{
	return figures->head ? atomic_load_explicit(&figures->head->uncounted,
						    memory_order_relaxed)
			     : 0;
}

static void limit_raise(struct figures *figures, uint32_t to)
{
	_Atomic uint32_t *word = &figures->head->limit;
	uint32_t limit = atomic_load_explicit(word, memory_order_relaxed);

	/* G1: publishes that blocks below it are allocated */
	while (limit < to && !atomic_compare_exchange_weak_explicit(
				 word, &limit, to, memory_order_release,
				 memory_order_relaxed))
		;
}

static int block_take(struct figures *figures)
{
	int err = ENFILE;

	for (uint32_t i = 0; i < FIGURES_COUNT; i++) {
		err =
		    lock_take(figures->fd, FIGURES_LOCK + i, LOCK_EXCLUSIVE, 0);
		if (err == EAGAIN)
			continue;
		if (!err && i >= figures_limit(figures))
			err = mapping_allocate(figures->fd,
					       FIGURES_PAGE +
						   (uint64_t)i * BLOCK_BYTES,
					       BLOCK_BYTES);
		if (err)
			return err;
		limit_raise(figures, i + 1);
		figures->index = i;
		figures->own = block_at(figures, i);
		return 0;
	}
	return ENFILE;
}

int figures_open(struct figures *figures, const struct slots *slots, int fd)
{
	int err;

	*figures = (struct figures){.fd = fd, .is_timed = clock_is_cheap()};
	err = file_map(figures);
	if (err) {
		figures_close(figures);
		return err;
	}
	err = block_take(figures);
	if (err)
		atomic_fetch_add_explicit(&figures->head->uncounted, 1,
					  memory_order_relaxed);
	else
		block_sign(figures, slots);
	return err;
}

void figures_close(struct figures *figures)
{
	if (figures->head)
		munmap(figures->head, FILE_BYTES);
	if (figures->fd >= 0)
		close(figures->fd);
	*figures = (struct figures){.fd = -1};
}

void figures_add(const struct figures *figures, uint32_t index,
		 struct figures_sum *sum)
{
	const struct figures_block *block = block_at(figures, index);

	/* relaxed: figures */
	for (int i = 0; i < FIGURE_COUNT; i++)
		sum->counts[i] += atomic_load_explicit(&block->counts[i],
						       memory_order_relaxed);
	for (int i = 0; i < TIMING_COUNT; i++) {
		const struct histogram *timing = &block->timings[i];

		sum->timings[i].sum +=
		    atomic_load_explicit(&timing->sum, memory_order_relaxed);
		for (int j = 0; j < HISTOGRAM_BUCKETS; j++)
			sum->timings[i].buckets[j] += atomic_load_explicit(
			    &timing->buckets[j], memory_order_relaxed);
	}
}

static int block_is_held(const struct figures *figures, uint32_t index)
{
	return block_at(figures, index) == figures->own ||
	       lock_is_held(figures->fd, FIGURES_LOCK + index);
}

void figures_peek(const struct figures *figures, uint32_t index,
		  struct figures_owner *out)
{
	const struct figures_block *block = block_at(figures, index);

	/* relaxed: figures, which may be of two owners at worst */
	*out = (struct figures_owner){
	    .since_ns =
		atomic_load_explicit(&block->since_ns, memory_order_relaxed),
	    .pid_namespace = atomic_load_explicit(&block->pid_namespace,
						  memory_order_relaxed),
	    .pid = atomic_load_explicit(&block->pid, memory_order_relaxed)};
	slot_name_load(block->name, out->name);
	out->is_held = block_is_held(figures, index) != 0;
}

uint32_t figures_waiting(const struct figures *figures, uint32_t index)
{
	const struct figures_block *block = block_at(figures, index);

	/* relaxed: for people */
	if (!atomic_load_explicit(&block->waiting, memory_order_relaxed) ||
	    !block_is_held(figures, index))
		return 0;
	return atomic_load_explicit(&block->pid, memory_order_relaxed);
}
