/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

cop_err cop_maintain(cop_store *store,
		     const struct cop_maintain_options *options,
		     struct cop_maintain_result *result)
{
	(void)options;
	(void)result;
	return store_use(store);
}
