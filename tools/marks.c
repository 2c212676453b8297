/* SPDX-License-Identifier: Apache-2.0 */
#include "marks.h"
#include "out.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Whether its value is text that can be shown. */
static int mark_is_text(const struct cop_mark *mark)
{
	const char *value = mark->value;

	for (size_t i = 0; i < mark->value_size; i++)
		if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
			return 0;
	return words_utf8(value, mark->value_size) == mark->value_size;
}

static int32_t mark_json(void *user, cop_read *read,
			 const struct cop_mark *mark)
{
	int *count = user;

	(void)read;
	printf("%s{\"name\":", (*count)++ ? "," : "");
	out_string(mark->name, mark->name_size);
	printf(",\"commit\":%" PRIu64 ",\"bytes\":%zu,\"value\":", mark->commit,
	       mark->value_size);
	if (mark_is_text(mark))
		out_string(mark->value, mark->value_size);
	else
		printf("null");
	putchar('}');
	return 0;
}

static int32_t mark_text(void *user, cop_read *read,
			 const struct cop_mark *mark)
{
	(void)user;
	(void)read;
	printf("%-22s", "mark");
	out_plain(mark->name, mark->name_size);
	printf(", commit %" PRIu64, mark->commit);
	if (mark_is_text(mark)) {
		fputs(": ", stdout);
		out_plain(mark->value, mark->value_size);
	} else {
		printf(", %zu bytes", mark->value_size);
	}
	putchar('\n');
	return 0;
}

int marks_json(struct cli *cli)
{
	int count = 0;
	cop_err err;

	printf(",\"marks\":[");
	err = cop_marks(cli->read, mark_json, &count);
	putchar(']');
	return err ? cli_cop(cli, err) : 0;
}

int marks_text(struct cli *cli)
{
	cop_err err = cop_marks(cli->read, mark_text, NULL);

	return err ? cli_cop(cli, err) : 0;
}
