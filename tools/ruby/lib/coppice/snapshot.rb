# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

require 'monitor'

module Coppice
  # The store as of one commit, however long it is kept.
  #
  #   store.snapshot { |snapshot| snapshot.search(vector).map { ... } }
  #   store.snapshot(as_of: Time.now - 3600) { |before| before['ada'] }
  #
  # One thread at a time: others wait.  It holds older versions in memory: close
  # it when done, or use the block.
  class Snapshot
    include Reading

    # @private Use {Store#snapshot}.
    def initialize(store)
      @monitor = Monitor.new
      @store = store
      @handle = store.begin(:cop_read_end) do |pointer|
        read = Library.out
        Library.check Library.cop_read_begin(pointer, read)
        read.read_pointer
      end
      @dim = Library.cop_dim(store.pointer)
    end

    # @return [Integer] numbers of a vector
    attr_reader :dim

    # @return [Integer] the number of the commit that it sees
    def commit
      use { |read| Library.cop_read_commit(read) }
    end

    # Has it see an earlier commit, by number, or the newest one at a Time.
    #
    # @return [self]
    # @raise [TooOldError, InvalidError]
    def as_of(time)
      use do |read|
        commit = time.is_a?(Time) ? commit_at(read, time) : time
        Library.number('a commit', commit, Library::U64)
        Library.check Library.cop_read_as_of(read, commit)
      end
      self
    end

    # Has it see only edges, tags and properties that are valid at a time in the
    # world: a Time, or seconds since 1970.
    #
    # @return [self]
    def valid_at(time)
      instant = Library::Instant.new
      instant[:seconds], instant[:nanos] = Library.instant(time)
      use { |read| Library.check Library.cop_read_valid_at(read, instant) }
      self
    end

    # Ends it now; what its entities have not read they cannot tell any more.
    def close
      @monitor.synchronize { @handle.close }
    end

    def closed?
      @handle.pointer.nil?
    end

    # @private The library's handle, for one thread.
    def use
      @monitor.synchronize do
        read = @handle.pointer
        raise ClosedError, 'the snapshot is closed' unless read

        yield read
      end
    end

    def inspect
      "#<Coppice::Snapshot #{closed? ? 'closed' : commit}>"
    end
    alias to_s inspect

    private

    def reads
      yield self
    end

    def commit_at(read, time)
      commit = Library.out
      nanoseconds = time.to_i * 1_000_000_000 + time.nsec
      unless nanoseconds.bit_length < 64
        raise InvalidError, "a time of #{time}; there are those from 1678 to " \
                            '2261'
      end
      Library.check Library.cop_commit_at(read, nanoseconds, commit)
      commit.read_uint64
    end
  end
end
