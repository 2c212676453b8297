# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

module Coppice
  # What the library gave, and how it is given back: when it is closed, or, that
  # of a store, when the snapshots and writes of it are, too.
  #
  # A finalizer may close it, which runs between two steps of the interpreter,
  # in any thread, and must not wait for a lock; the counts need none, since no
  # other thread runs in the middle of a step.
  #
  # @private
  class Held
    # @param free [Symbol] the library's call that gives it back
    # @param store [Held, nil] that it is of
    # @yieldparam pointer [FFI::Pointer] the store's
    # @yieldreturn [FFI::Pointer] its own
    def initialize(free, store)
      @free = free
      @store = store
      @users = 1
      store&.enter
      begin
        @pointer = yield store&.pointer
      ensure
        store&.leave unless @pointer
      end
    end

    # @return [FFI::Pointer, nil] nil: closed
    def pointer
      @pointer unless @is_closed
    end

    # A snapshot or a write of a store's begins.
    def enter
      raise ClosedError, 'the store is closed' if @is_closed

      @users += 1
    end

    def leave
      @users -= 1
      return unless @users.zero?

      Library.public_send(@free, @pointer)
      @store&.leave
    end

    # Whole, also in a thread that is killed.
    def close
      Library.uninterrupted do
        was_closed = @is_closed
        @is_closed = true
        leave unless was_closed
      end
    end
  end

  # The one reference to what is held: the garbage collector closes it with
  # this at the latest, in whatever order it finds things, as it does at exit.
  #
  # @private
  class Handle
    # Of a store, which the block opens, or see {#begin}.
    def initialize(free, store = nil, &begin_it)
      Library.uninterrupted do
        @held = Held.new(free, store, &begin_it)
        ObjectSpace.define_finalizer(self, Handle.finalizer(@held))
      end
    end

    # Without a reference to the handle, which would never be collected then.
    def self.finalizer(held)
      proc { held.close }
    end

    # A snapshot's or a write's, of this store.
    #
    # @return [Handle]
    def begin(free, &begin_it)
      Handle.new(free, @held, &begin_it)
    end

    def pointer
      @held.pointer
    end

    def close
      @held.close
    end
  end
end
