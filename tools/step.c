/* SPDX-License-Identifier: Apache-2.0 */
#include "step.h"
#include "out.h"

#include <inttypes.h>
#include <stdio.h>

int32_t step_way(struct cli *cli)
{
	static const char *const ways[] = {"out", "in", "both", NULL};

	return args_word(cli, ways) + COP_OUT;
}

cop_err step_object(cop_read *read, const struct cop_step *steps, size_t index)
{
	const struct cop_step *step = &steps[index];
	cop_err err;

	printf("{\"hops\":%" PRIu32 ",", step->hops);
	err = out_key_json(read, "key", step->id);
	putchar(',');
	if (!step->hops)
		fputs("\"from\":null", stdout);
	else if (!err)
		err = out_key_json(read, "from", steps[step->from].id);
	fputs(",\"relation\":", stdout);
	if (!err)
		err = out_name_json(read, step->relation);
	printf(",\"direction\":%s", !step->hops			 ? "null"
				    : step->direction == COP_OUT ? "\"out\""
								 : "\"in\"");
	if (!err)
		err = out_label_json(read, step->id);
	putchar('}');
	return err;
}

cop_err step_json(cop_read *read, const struct cop_step *steps, size_t index)
{
	cop_err err = step_object(read, steps, index);

	putchar('\n');
	return err;
}

cop_err step_text(cop_read *read, const struct cop_step *step)
{
	cop_err err = 0;

	if (step->hops) {
		err = out_name_text(read, step->relation);
		fputs(step->direction == COP_OUT ? " -> " : " <- ", stdout);
	}
	if (!err)
		err = out_key_text(read, step->id);
	if (!err)
		err = out_label_text(read, step->id);
	putchar('\n');
	return err;
}
