#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cli_page: the page of `coppice serve`; tests/page.py has the claims.
. "$(dirname "$0")/tap.sh"
[ -x /usr/bin/chromium ] || skip_all 'chromium is not installed'
/usr/bin/python3 -c 'import websocket' 2>/dev/null ||
	skip_all 'python3-websocket is not installed'
/usr/bin/python3 tests/page.py "$COPPICE" "$work"
