# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

module Coppice
  # What the store could not do: the message says what, why, and what to do
  # about it.  There is a class for each of the library's errors; errors of the
  # operating system are Ruby's own, as Errno::EACCES.
  class Error < StandardError
    # The library's number.
    #
    # @return [Integer]
    def code
      @code || self.class::CODE
    end

    CODE = 0

    CLASSES = {} # rubocop:disable Style/MutableConstant
    private_constant :CLASSES

    # @private
    def self.define(name, code, base = Error)
      error = Class.new(base)
      error.const_set(:CODE, code)
      CLASSES[code] = error
      Coppice.const_set(name, error)
    end
    private_class_method :define

    # @private The exception of an error's number.
    def self.of(code, message)
      return SystemCallError.new(message, code) if code.positive?

      error = (CLASSES[code] || Error).new(message)
      error.instance_variable_set(:@code, code)
      error
    end
  end

  # The request is at fault: it cannot be carried out in any store's state.
  class RequestError < Error; end

  class Error
    # An argument is out of its range.
    define :InvalidError, -31000, RequestError
    # A key is empty or over 480 bytes.
    define :BadKeyError, -31001, RequestError
    # A vector of another dimension, with NaN or an infinity, or zero where the
    # metric is cosine.
    define :BadVectorError, -31002, RequestError
    # Text is not UTF-8, or a name is empty.
    define :BadTextError, -31003, RequestError
    # Something is over a limit.
    define :TooLargeError, -31004, RequestError
    # An entity that must be there is not.
    define :DanglingError, -31005, RequestError
    # The store has no such relation.
    define :NoNameError, -31006, RequestError
    # The folder is not a store.
    define :NotAStoreError, -31007
    # The store is of a format that this library does not read.
    define :VersionError, -31008
    # Bytes on disk or in memory make no sense.
    define :CorruptError, -31009
    # The disk, shared memory or the map size is full.
    define :NoSpaceError, -31010
    # Something was not had in time.
    define :BusyError, -31011
    # The segment was replaced.
    define :MovedError, -31012
    # An old snapshot holds too much memory back.
    define :StalledError, -31013
    # A snapshot or a write of the parent process.
    define :ForkedError, -31014
    # No permission for what attaching needs.
    define :DeniedError, -31015
    # Another commit came between: look again, and try again.
    define :ConflictError, -31016
    # Whether the commit took place is not known.
    define :UnknownError, -31017
    # History is not kept that far back.
    define :TooOldError, -31018
    # Another segment serves this store now.
    define :ForeignError, -31019
    # There is something already.
    define :ExistsError, -31020
    # It was stopped.
    define :StoppedError, -31021
    # The store's folder cannot be written.
    define :ReadOnlyError, -31022
  end

  # There is no entity of this key, to set out from.
  class NotFoundError < RequestError; end

  # The store, the snapshot or the write was closed before.
  class ClosedError < StandardError; end
end
