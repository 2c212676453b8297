# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

# COPPICE_STORE=/srv/kg puma -C puma.rb
#
# Four workers of two threads each: a search lets the other thread run.
#
# A reload is SIGUSR2, a hot restart: the workers finish what they have, the
# master executes itself anew with the listening socket, in whose queue
# connections wait meanwhile, for less than half a second.  SIGUSR1, the phased
# restart, which replaces one worker after the other and lets nobody wait, Puma
# has only without preload_app!, which saves little memory here: what is large
# is in the store, and shared anyway.
rackup File.expand_path('config.ru', __dir__)
environment 'production'
bind "tcp://127.0.0.1:#{ENV.fetch('PORT', '9292')}?backlog=1024"
workers 4
threads 2, 2
preload_app!

# A worker that ends closes connections that nothing was read from yet: with
# this there are none, since a thread that has one reads it.  Slow clients are
# kept away by a proxy in front.
queue_requests false
# For so long a worker may finish what it has.
force_shutdown_after 30
worker_shutdown_timeout 40
# An end by SIGTERM is no error.
raise_exception_on_sigterm false
