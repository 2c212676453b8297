/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads inside one call: started, joined, and never seen by anybody else.
 * An error's words belong to the thread that met it, so the first one's are
 * carried over to the caller.
 */
#include "store.h"

#include <errno.h>
#include <stdlib.h>

enum { WORDS_BYTES = 768 };

struct job {
	thread_work *work;
	void *user;
	uint32_t thread;
	cop_err err;
	char words[WORDS_BYTES];
};

static void *job_run(void *argument)
{
	struct job *job = argument;

	job->err = job->work(job->user, job->thread);
	if (job->err) {
		strncpy(job->words, cop_last_error(), WORDS_BYTES - 1);
		job->words[WORDS_BYTES - 1] = 0;
	}
	return NULL;
}

uint32_t threads_for(uint32_t wanted, uint64_t items)
{
	if (wanted > COP_THREAD_MAX)
		wanted = COP_THREAD_MAX;
	if (wanted > items)
		wanted = (uint32_t)items;
	return wanted ? wanted : 1;
}

cop_err threads_run(uint32_t count, thread_work *work, void *user)
{
	struct job *jobs = calloc(count, sizeof *jobs);
	pthread_t *threads = calloc(count, sizeof *threads);
	uint32_t started = 0;
	cop_err err = 0;

	if (!jobs || !threads) {
		free(jobs);
		free(threads);
		return error_system(ENOMEM, "no memory for %u threads", count);
	}
	for (uint32_t i = 0; i < count; i++)
		jobs[i] = (struct job){work, user, i, 0, {0}};
	while (started + 1 < count && !pthread_create(&threads[started], NULL,
						      job_run, &jobs[started]))
		started++;
	/* what no thread could be had for is done here */
	for (uint32_t i = started; i < count; i++)
		job_run(&jobs[i]);
	for (uint32_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 0; i < count && !err; i++)
		if (jobs[i].err)
			err = error_set(jobs[i].err, "%s", jobs[i].words);
	free(jobs);
	free(threads);
	return err;
}
