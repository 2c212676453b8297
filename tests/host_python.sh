#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The example service in gunicorn and uWSGI: four workers forked after the store
# was opened.
. "$(dirname "$0")/tap.sh"
. tests/hosts/host.sh
host_needs gunicorn
"$python" -c 'import numpy' 2>/dev/null || skip_all 'python3-numpy is missing'
[ -d "$build/python/coppice" ] || skip_all 'the module is not built'

PYTHONPATH=$build/python:tools/python/example
COPPICE_STORE=$store
export PYTHONPATH COPPICE_STORE
host_store

host_port
host_start gunicorn --workers 4 --preload --bind "127.0.0.1:$port" \
	--graceful-timeout 10 --max-requests 2000 wordnet:application
host_drive --reload "kill -HUP $server"
host_stop
done_testing
