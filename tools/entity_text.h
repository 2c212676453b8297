/* SPDX-License-Identifier: Apache-2.0 */
/* An entity for a person: a block of lines. */
#ifndef TOOLS_ENTITY_TEXT_H
#define TOOLS_ENTITY_TEXT_H

#include "coppice.h"

/* Key, fields, and what `parts` of enum out_parts asks for beyond these. */
cop_err entity_text(cop_store *store, cop_read *read,
		    const struct cop_entity *entity, int parts);

/* Its fields alone, a line each; of an edge, its properties. */
cop_err entity_text_fields(cop_read *read, const struct cop_entity *entity);
cop_err edge_text_fields(cop_read *read, const struct cop_edge *edge);

/* " (1815 to 1852)", of what is not so always. */
void entity_text_valid(const struct cop_validity *valid);

#endif
