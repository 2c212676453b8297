# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

# For the tests beside: lines of TAP without numbers.  The path of a store to be
# made, and removed by whoever runs the test, is the first argument.

$LOAD_PATH.unshift File.expand_path('../lib', __dir__)
require 'coppice'

$stdout.sync = true

def ok(good, claim, *remarks)
  puts "#{good ? 'ok' : 'not ok'} - #{claim}"
  remarks.each { |remark| puts "# #{remark.inspect[0, 400]}" } unless good
end

def is(got, wanted, claim)
  ok got == wanted, claim, got, wanted
end

# The class of what the block raises, nil if nothing.
def raised
  yield
  nil
rescue Exception => e # rubocop:disable Lint/RescueException
  e.class
end
