# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

# The store is opened here, before the workers are forked: each attaches by
# itself at its first call, in about a millisecond.
$LOAD_PATH.unshift File.expand_path('../lib', __dir__)
require_relative 'service'

run Service.new(Coppice.open(ENV.fetch('COPPICE_STORE')))
