/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"
#include "results.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

_Atomic uint64_t *process_page;

static pthread_mutex_t opening_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static cop_store *registry;
static cop_store *inherited; /* of the parent, in a forked child */
static cop_store *passing;   /* being opened, attached or closed */

void process_begin(void)
{
	pthread_mutex_lock(&opening_mutex);
}

void process_end(void)
{
	pthread_mutex_unlock(&opening_mutex);
}

/* ---- fork --------------------------------------------------------------- */

static void fork_prepare(void)
{
	pthread_mutex_lock(&registry_mutex);
	for (cop_store *store = registry; store; store = store->next)
		pthread_mutex_lock(&store->commit_mutex);
	for (cop_store *store = registry; store; store = store->next) {
		pthread_mutex_lock(&store->moving_mutex);
		pthread_mutex_lock(&store->mutex);
		pthread_mutex_lock(&store->slots.mutex);
	}
}

static void fork_parent(void)
{
	for (cop_store *store = registry; store; store = store->next) {
		pthread_mutex_unlock(&store->slots.mutex);
		pthread_mutex_unlock(&store->mutex);
		pthread_mutex_unlock(&store->moving_mutex);
		pthread_mutex_unlock(&store->commit_mutex);
	}
	pthread_mutex_unlock(&registry_mutex);
}

static void descriptor_drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void descriptors_drop(cop_store *store)
{
	descriptor_drop(&store->lock_fd);
	descriptor_drop(&store->slots.fd);
	descriptor_drop(&store->folder_fd);
	descriptor_drop(&store->shm_fd);
	descriptor_drop(&store->image_fd);
}

/* Other threads' mutexes are held by nobody here. */
static void store_inherit(cop_store *store)
{
	descriptors_drop(store);
	results_detach(store);
	figures_close(&store->figures);
	mailboxes_detach(&store->mailboxes);
	slots_detach(&store->slots);
	store_mutexes_init(store);
}

/* It was caught in the middle: what it had is left where it is. */
static void store_forget(cop_store *store)
{
	store->slots.control = NULL;
	store->mailboxes.office = NULL;
	store->results = (struct results){0};
	store->figures.head = NULL;
	store->generation = NULL;
	store->env = NULL;
	store->pool = NULL;
	store->pool_count = 0;
	store->index = NULL;
	store->writable.header = NULL;
	store->dict = (struct dict){0};
}

static void fork_child(void)
{
	cop_store **last = &registry;

	while (*last)
		last = &(*last)->next;
	*last = inherited;
	inherited = registry;
	registry = NULL;
	if (passing) {
		store_forget(passing);
		store_inherit(passing);
	}
	for (cop_store *store = inherited; store; store = store->next)
		store_inherit(store);
	passing = NULL;
	pthread_mutex_init(&opening_mutex, NULL);
	pthread_mutex_unlock(&registry_mutex);
}

static cop_err page_make(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (page == MAP_FAILED)
		return error_system(errno, "cannot map a page");
	if (madvise(page, 4096, MADV_WIPEONFORK)) {
		err = errno;
		munmap(page, 4096);
		return error_system(err, "this kernel cannot wipe a page on "
					 "fork (4.14 can)");
	}
	process_page = page;
	return 0;
}

cop_err process_watch(void)
{
	static int watching;
	uint64_t stamp;
	cop_err err = process_page ? 0 : page_make();
	int code;

	if (err)
		return err;
	while (!process_stamp()) { /* a number that no parent had */
		if (getrandom(&stamp, sizeof stamp, 0) != sizeof stamp)
			return error_system(errno,
					    "cannot draw random numbers");
		atomic_store_explicit(process_page, stamp,
				      memory_order_relaxed);
	}
	if (watching)
		return 0;
	code = pthread_atfork(fork_prepare, fork_parent, fork_child);
	if (code)
		return error_system(code, "cannot watch for forks");
	watching = 1;
	return 0;
}

/* ---- registry ----------------------------------------------------------- */

static cop_store *list_find(cop_store *list, dev_t device, ino_t inode)
{
	while (list && (list->device != device || list->inode != inode))
		list = list->next;
	return list;
}

static void list_remove(cop_store **list, const cop_store *store)
{
	while (*list && *list != store)
		list = &(*list)->next;
	if (*list)
		*list = store->next;
}

cop_store *process_find(dev_t device, ino_t inode)
{
	cop_store *store;

	pthread_mutex_lock(&registry_mutex);
	store = list_find(registry, device, inode);
	if (!store)
		store = list_find(inherited, device, inode);
	pthread_mutex_unlock(&registry_mutex);
	return store;
}

void process_pass(cop_store *store)
{
	pthread_mutex_lock(&registry_mutex);
	passing = store;
	pthread_mutex_unlock(&registry_mutex);
}

void process_enter(cop_store *store)
{
	pthread_mutex_lock(&registry_mutex);
	passing = NULL;
	list_remove(&inherited, store);
	store->next = registry;
	registry = store;
	pthread_mutex_unlock(&registry_mutex);
}

void process_leave(cop_store *store)
{
	pthread_mutex_lock(&registry_mutex);
	list_remove(&inherited, store);
	list_remove(&registry, store);
	passing = store;
	pthread_mutex_unlock(&registry_mutex);
}

void process_drop(cop_store *store)
{
	pthread_mutex_lock(&registry_mutex);
	descriptors_drop(store);
	pthread_mutex_unlock(&registry_mutex);
}
