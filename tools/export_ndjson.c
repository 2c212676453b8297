/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ndjson: all that a store has now, as the lines that import reads: imported
 * into an empty store and exported again it is the same, byte for byte.
 *
 * limits
 *	History is export_history.c's matter.  Memory is one record without its
 *	content, if that is large (part.c).
 */
#include "export.h"
#include "out.h"
#include "part.h"

#include <stdio.h>

cop_err export_ndjson_entity(struct exporter *run, cop_read *read,
			     const struct cop_entity *entity)
{
	cop_err err = part_write(read, entity);

	run->entities++;
	return err ? err
		   : out_entity(run->cli->store, read, entity,
				OUT_VECTOR | OUT_DUMP);
}

cop_err export_ndjson_edge(struct exporter *run, cop_read *read,
			   const struct cop_edge *edge)
{
	run->edges++;
	return out_edge(read, edge);
}

int export_ndjson(struct exporter *run)
{
	int code = export_begin(run, "");

	if (!code)
		code = export_entities(run, export_ndjson_entity);
	if (!code)
		code = export_edges(run, export_ndjson_edge);
	return export_end(run, code);
}
