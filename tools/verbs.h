/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs, one file each. */
#ifndef TOOLS_VERBS_H
#define TOOLS_VERBS_H

#include "args.h"

/* All of them, as help lists them; coppice.c. */
extern const struct verb *const verbs[];
extern const size_t verbs_count;

/* The verb that the words begin with; *count says how many it takes. */
const struct verb *verb_of(int argc, char **argv, int *count);

/*
 * Prints what the last word of a command line may become, a line each, after
 * the words before it; no word: the first one.  complete.c.
 */
void complete_print(int argc, char **argv);

extern const struct verb verb_init;
extern const struct verb verb_import;
extern const struct verb verb_export;
extern const struct verb verb_put;
extern const struct verb verb_get;
extern const struct verb verb_delete;
extern const struct verb verb_search;
extern const struct verb verb_walk;
extern const struct verb verb_path;
extern const struct verb verb_neighbors;
extern const struct verb verb_scan;
extern const struct verb verb_count;
extern const struct verb verb_content_put;
extern const struct verb verb_content_get;
extern const struct verb verb_tag;
extern const struct verb verb_untag;
extern const struct verb verb_history;
extern const struct verb verb_diff;
extern const struct verb verb_log;
extern const struct verb verb_watch;
extern const struct verb verb_undelete;
extern const struct verb verb_retain;

/* The value of --history; 0 or an exit status. */
int retain_history(struct cli *cli, int32_t *history, uint64_t *ms);

/* The values of --mode and --group, as in cop_options; 0 or an exit status. */
int init_mode(struct cli *cli, uint32_t *out);
int init_group(struct cli *cli, uint32_t *out);

/* What --history takes for that, 30d, into RETAIN_SPAN_ROOM bytes. */
enum { RETAIN_SPAN_ROOM = 32 };
void retain_span(int32_t history, uint64_t ms, char *out);

extern const struct verb verb_mcp;
extern const struct verb verb_stat;
extern const struct verb verb_top;
extern const struct verb verb_latency;
extern const struct verb verb_readers;
extern const struct verb verb_metrics;
extern const struct verb verb_serve;
extern const struct verb verb_locks;
extern const struct verb verb_trace;
extern const struct verb verb_slow;
extern const struct verb verb_check;
extern const struct verb verb_compact;
extern const struct verb verb_checkpoint;
extern const struct verb verb_maintain;
extern const struct verb verb_backup;
extern const struct verb verb_verify;
extern const struct verb verb_restore;
extern const struct verb verb_upgrade;
extern const struct verb verb_attach;
extern const struct verb verb_detach;
extern const struct verb verb_ping;
extern const struct verb verb_rebuild;
extern const struct verb verb_config;
extern const struct verb verb_doctor;

#endif
