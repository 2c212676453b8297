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

"$python" -m venv --without-pip "$work/venv" 2>/dev/null &&
	"$python" -m pip --python "$work/venv/bin/python" install -q \
		--no-index ./tools/python >"$work/pip.log" 2>&1
env -u PYTHONPATH "$work/venv/bin/python" -c 'import coppice'
ok $? 'pip installs it into a virtual environment, without a network' ||
	diag "$(cat "$work/pip.log")"

sed -n '/tests\/host_python.sh runs this/,/^```$/p' README.md |
	sed '1,2d; $d' | sed "s|/tmp/notes|$work/notes|" >"$work/readme.py"
out=$("$python" "$work/readme.py" 2>&1)
is "$out" "ada 0.0 1815
['ada', 'engine']" 'the example of the README runs'

host_store
host_port
host_start gunicorn --workers 4 --preload --bind "127.0.0.1:$port" \
	--graceful-timeout 10 --max-requests 2000 wordnet:application
host_drive --reload "kill -HUP $server"
host_stop

if command -v uwsgi >/dev/null; then
	host_store
	host_port
	host_start uwsgi --plugin python3 --http-socket "127.0.0.1:$port" \
		--master --processes 4 --enable-threads --die-on-term \
		--need-app --module wordnet:application
	host_drive --reload "kill -HUP $server"
	host_stop
else
	skip 'uwsgi is not installed' 'the same in uWSGI'
fi
done_testing
