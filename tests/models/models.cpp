/* SPDX-License-Identifier: Apache-2.0 */
/*
 * models	lists the models: name, number of a mutant (0: the model
 *		itself), what is claimed or what is missing
 * models NAME NUMBER
 *		runs all executions of one
 * models NAME NUMBER -v
 *		the same, and shows the execution that broke a claim
 *
 * Exits 0 if the claims hold, 1 if they do not, 2 if there is no such model.
 */
#include "bank.hpp"
#include "bell.hpp"
#include "head.hpp"
#include "mailbox.hpp"
#include "slot.hpp"

#include <cstdlib>
#include <cstring>
#include <iostream>

/* relacy replaces new and delete, so its output must not allocate. */
template <typename model> static int run(bool verbose)
{
	std::ostream nowhere(nullptr);
	rl::test_params params;
	bool holds;

	params.search_type = rl::fair_full_search_scheduler_type;
	params.output_stream = verbose ? &std::cout : &nowhere;
	params.progress_stream = &nowhere;
	holds = rl::simulate<model>(params);
	std::cout << rl::test_result_str(params.test_result) << ", "
		  << params.stop_iteration << " executions\n";
	return !holds;
}

static const struct {
	const char *name;
	int (*run)(bool verbose);
	const char *const *list;
} models[] = {
    {"bank_row", run<bank::row>, bank::row_list},
    {"bank_count", run<bank::count>, bank::count_list},
    {"head", run<head::state>, head::state_list},
    {"stamp", run<head::stamp>, head::stamp_list},
    {"slot_leave", run<slot::reader<false>>, slot::leave_list},
    {"slot_refresh", run<slot::reader<true>>, slot::refresh_list},
    {"slot_relic", run<slot::relic>, slot::relic_list},
    {"mailbox", run<mailbox::box>, mailbox::box_list},
    {"bell", run<bell::sleep>, bell::sleep_list},
};

int main(int argc, char **argv)
{
	for (const auto &model : models) {
		for (unsigned i = 0; argc == 1 && model.list[i]; i++)
			std::cout << model.name << '\t' << i << '\t'
				  << model.list[i] << '\n';
		if (argc > 2 && !std::strcmp(model.name, argv[1])) {
			mutant = (unsigned)std::atoi(argv[2]);
			return model.run(argc > 3);
		}
	}
	return argc == 1 ? 0 : 2;
}
