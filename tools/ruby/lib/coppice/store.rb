# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

module Coppice
  # An open store, like a Hash from keys to entities; each read is of the newest
  # commit, of whatever process.
  class Store
    include Reading

    # Opens a store and attaches the copy that all processes share.
    #
    #   Coppice::Store.open('/srv/kg') { |store| store['ada'] }
    #
    # @param timeout [Numeric] seconds to wait for other writers; nil: for ever
    # @param name [String] of this process, for `coppice readers`
    # @return [Store, Object] with a block what it returns; it is closed then
    # @raise [NotAStoreError, VersionError, CorruptError, DeniedError,
    #   BusyError, NoSpaceError, SystemCallError]
    def self.open(path, timeout: nil, name: nil)
      store = new(path, timeout, name)
      return store unless block_given?

      begin
        yield store
      ensure
        store.close
      end
    end
    private_class_method :new

    def initialize(path, timeout, name)
      scratch = Scratch.new
      options = Library.sized(Library::OpenOptions)
      options[:timeout_ms] = Library.milliseconds(timeout)
      options[:name] = scratch.name('a name', name)
      path_text = scratch.path(path)
      @handle = Handle.new(:cop_close) do
        store = Library.out
        Library.check Library.cop_open(path_text, options, store)
        store.read_pointer
      end
      @folder = path
    end

    # @return [String]
    attr_reader :folder

    # @return [Integer] numbers of a vector, 0: there are none
    def dim
      Library.cop_dim(pointer)
    end

    # @return [Symbol] :cosine, :l2 or :ip
    def metric
      Library::METRICS.key(Library.cop_metric(pointer))
    end

    # A snapshot of the newest commit, or of an earlier one.
    #
    # @param as_of [Integer, Time]
    # @yieldparam snapshot [Snapshot] closed at the end of the block
    # @return [Snapshot, Object] without a block the snapshot: close it
    def snapshot(as_of: nil)
      snapshot = Snapshot.new(@handle)
      snapshot.as_of(as_of) unless as_of.nil?
      return snapshot unless block_given?

      begin
        yield snapshot
      ensure
        snapshot.close
      end
    end

    # Has the block put and delete, and commits that at its end; if it is left
    # by an exception or by break, nothing is written.
    #
    #   store.write { |tx| tx.delete 'grace' }
    #
    # @param lazy [Boolean] as of {Write#commit}
    # @param timeout [Numeric]
    # @yieldparam tx [Write]
    # @return [Integer, Write] the number of the commit; without a block the
    #   write, to be committed by hand
    # @raise [DanglingError, ConflictError, NoSpaceError, BusyError,
    #   StalledError]
    def write(lazy: false, timeout: nil)
      write = Write.new(@handle)
      return write unless block_given?

      begin
        yield write
        write.commit(lazy: lazy, timeout: timeout)
      ensure
        write.abort
      end
    end

    # Has the block make new properties out of an entity's, and puts them,
    # unless somebody else changed it meanwhile: then it does so again.
    #
    #   store.update('ada') { |old| old.merge('seen' => true) }
    #
    # Type, tags, content and vector stay.
    #
    # @yieldparam old [Hash] empty if there is no entity
    # @yieldreturn [Hash]
    # @return [Hash] what was put
    # @raise [ConflictError]
    def update(key, tries: 100)
      entity = self[key]
      properties = yield entity ? entity.properties.dup : {}
      write do |tx|
        tx.expect key, entity ? entity.version : 0
        tx.put key, properties, **kept(entity)
      end
      properties
    rescue ConflictError
      (tries -= 1).positive? ? retry : raise
    end

    # It ends when its last snapshot and write has.
    def close
      @handle.close
    end

    def closed?
      @handle.pointer.nil?
    end

    def inspect
      "#<Coppice::Store #{folder.inspect}#{' closed' if closed?}>"
    end
    alias to_s inspect

    private

    def pointer
      @handle.pointer || raise(ClosedError, 'the store is closed')
    end

    def reads(&block)
      snapshot(&block)
    end

    # Its snapshot is closed when the caller has it.
    def entity(*)
      super&.keep
    end

    def kept(entity)
      return {} unless entity

      { type: entity.type, tags: entity.tags,
        content: entity.content_size.zero? ? nil : KEEP }
    end
  end
end
