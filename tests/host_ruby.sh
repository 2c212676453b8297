#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The gem for Ruby, and the example service in Puma: four workers forked after
# the store was opened.
. "$(dirname "$0")/tap.sh"
. tests/hosts/host.sh
host_needs ruby puma
ruby -rffi -e 'exit RUBY_VERSION >= "3.0"' 2>/dev/null ||
	skip_all 'Ruby is older than 3.0, or ruby-ffi is missing'

LD_LIBRARY_PATH=$(cd "$build" && pwd)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

ruby -w tools/ruby/test/layout.rb >"$work/layout.c" 2>"$work/err" &&
	${CC:-cc} -std=c11 -Icore -fsyntax-only "$work/layout.c" 2>>"$work/err"
ok $? "structs and constants are the header's, in \
$(grep -c assert "$work/layout.c") assertions" ||
	diag "$(cat "$work/err")"
host_claims ruby -w tools/ruby/test/binding.rb "$work/binding"
is "$(cat "$work/drive.err")" '' 'without a warning'
exits 0 'the store is whole after that' check "$work/binding"
host_claims ruby -w tools/ruby/test/abuse.rb "$work/abuse"
exits 0 'the store is whole after that' check "$work/abuse"
out=$(cd tools/ruby && gem build coppice.gemspec -o "$work/coppice.gem" 2>&1 &&
	gem install --local --no-document --ignore-dependencies \
		--install-dir "$work/gems" "$work/coppice.gem" 2>&1 &&
	GEM_PATH=$work/gems:$(gem env path) ruby -e 'require "coppice"
		puts Coppice::VERSION + " " + $".grep(/coppice.rb/)[0]')
like "$out" "*0.1.0 $work/gems/*" 'it is built, and installed as a gem' ||
	diag "$out"

# ---- Puma

COPPICE_STORE=$store
export COPPICE_STORE
host_store
host_port
PORT=$port
export PORT
host_start puma -C tools/ruby/example/puma.rb
# A worker has a request in flight for each of its two threads.
host_drive --reload "kill -USR2 $server" --inflight 2 --large

# ---- what drive.py does not ask for

host_claims "$python" - "$port" <<'END'
import json, sys

from drive import Server, ok

server = Server(f"http://127.0.0.1:{sys.argv[1]}")


def ask(method, path, body=None):
    return server.ask(method, path, body)[:2]


def post(path, body):
    return ask("POST", path, body if isinstance(body, bytes)
               else json.dumps(body))


got = post("/search", b'{"vector":[' + b"[0]," * 2_500_000 + b"0]}")
ok(got[0] == 400, "and so is a vector of lists", got)
bad = [(got, body[:60]) for got, body in (
    (post("/add", body), body) for body in (
        b'{"key":"k","tags":["a\\u0000"]}',
        b'{"key":"k","properties":{"n":99999999999999999999}}',
        b'{"key":"k","properties":{"n":NaN}}',
        b'{"json_class":"Object","key":7}')) if got[0] != 400]
bad += [(got, path) for got, path in (
    (ask("GET", path), path) for path in (
        "/search", "/search?q=oak&type=%00",
        "/search?q=oak&q=elm")) if got[0] != 400]
ok(not bad, "what else is no entity or no question is refused", *bad)
ok(ask("GET", "/search?q=%ff%00+oak")[0] == 200, "and words may be any bytes")
END
like "$(cat "$work/server.log")" '*booted*' 'Puma has a log'
is "$(grep -v '^\[[0-9]*\] ' "$work/server.log")" '' \
	'and had nothing to complain of'
host_stop
done_testing
