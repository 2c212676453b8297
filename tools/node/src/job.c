/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work for libuv's threads, and the promise of what comes of it.
 */
#include "binding.h"

#include <stdio.h>
#include <stdlib.h>

static void job_destroy(napi_env env, struct js_job *job)
{
	if (job->work)
		napi_delete_async_work(env, job->work);
	if (job->release)
		job->release(job);
	if (job->object)
		js_object_leave(job->object);
	free(job);
}

void js_job_note(struct js_job *job, cop_err err)
{
	const char *text = cop_last_error();

	snprintf(job->text, sizeof job->text, "%s",
		 text[0] ? text : cop_strerror(err));
}

/* In a thread of the pool. */
static void job_run(napi_env env, void *data)
{
	struct js_job *job = data;

	(void)env;
	job->text[0] = 0;
	job->err = job->run(job);
	if (job->err && !job->text[0])
		js_job_note(job, job->err);
}

/*
 * In the thread of the JavaScript, at whose end nothing but clearing up may be
 * possible any more.
 */
static void job_complete(napi_env env, napi_status status, void *data)
{
	struct js_job *job = data;
	napi_value error = NULL;
	napi_value value = NULL;
	bool is_pending = false;

	if (status != napi_ok) {
		job->err = JS_CLOSED;
		snprintf(job->text, sizeof job->text, "it was not begun");
	}
	if (job->err)
		error = js_error_make(env, job->err, job->text, job->operation);
	else
		value = job->result(env, job);
	napi_is_exception_pending(env, &is_pending);
	if (is_pending)
		napi_get_and_clear_last_exception(env, &error);
	if (value)
		napi_resolve_deferred(env, job->deferred, value);
	else if (error)
		napi_reject_deferred(env, job->deferred, error);
	job_destroy(env, job);
}

napi_value js_job_start(napi_env env, struct js_job *job, const char *name)
{
	napi_value promise = NULL;
	napi_value text = NULL;

	if (js_failed(env, napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH,
						   &text)) ||
	    js_failed(env,
		      napi_create_async_work(env, NULL, text, job_run,
					     job_complete, job, &job->work)) ||
	    js_failed(env,
		      napi_create_promise(env, &job->deferred, &promise)) ||
	    js_failed(env, napi_queue_async_work(env, job->work))) {
		job_destroy(env, job);
		return NULL;
	}
	return promise;
}
