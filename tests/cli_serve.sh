#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_serve: `coppice serve` and `coppice metrics`; tests/serve.py has the
# claims.
. "$(dirname "$0")/tap.sh"
[ -x /usr/bin/python3 ] || skip_all 'python3 is not installed'
/usr/bin/python3 tests/serve.py "$COPPICE" "$work"
