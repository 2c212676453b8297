# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

require 'monitor'

module Coppice
  # For content and vector of {Write#put}: as it is.
  KEEP = Object.new
  def KEEP.inspect
    'Coppice::KEEP'
  end
  KEEP.freeze

  # Puts and deletes that take effect together at the commit, or not at all.
  #
  #   number = store.write do |tx|
  #     tx.put 'ada', { born: 1815 }, type: 'person'
  #     tx.link 'ada', 'knows', 'grace', dangling: :stub
  #   end
  #
  # Nobody sees them before, and no lock is held until then.  One thread at a
  # time: others wait.
  class Write
    # @private Use {Store#write}.
    def initialize(store)
      @monitor = Monitor.new
      @handle = store.begin(:cop_abort) do |pointer|
        write = Library.out
        Library.check Library.cop_write_begin(pointer, write)
        write.read_pointer
      end
    end

    # @return [Integer] how many operations it holds
    def size
      use { |write| Library.cop_write_count(write) }
    end

    # Puts an entity; one of that key is replaced, its edges stay.
    #
    # @param properties [Hash] of nil, true, false, Integer, Float, String,
    #   and Arrays and Hashes of these
    # @param tags [Array<String>]
    # @param content [String, nil] bytes; KEEP: as it is
    # @param vector [Array<Numeric>, String, nil] as of {Reading#search}; nil:
    #   it has none; KEEP: as it is
    # @return [self]
    # @raise [BadKeyError, BadTextError, BadVectorError, TooLargeError,
    #   InvalidError]
    def put(key, properties = {}, type: nil, tags: [], content: nil,
            vector: KEEP)
      scratch = Scratch.new
      put = Library.sized(Library::Put)
      put[:key], size = scratch.text(key)
      put[:key_size] = [size, Library::U32].min
      put[:type], put[:type_size] = scratch.text_or_none(type)
      put[:properties], put[:property_count] = scratch.properties(properties)
      put[:tags], put[:tag_count] = scratch.names('a tag', tags)
      content_into(put, scratch, content)
      vector_into(put, scratch, vector)
      call(:cop_put, put)
    end

    # Changes nothing but the vector of an entity, which must be there at the
    # commit.
    def put_vector(key, vector)
      scratch = Scratch.new
      floats, count = vector.nil? ? [nil, 0] : scratch.floats(vector)
      call(:cop_put_vector, *sized(key), floats, count)
    end

    # Deletes an entity with its edges; one that is not there is no error.
    def delete(key)
      call(:cop_delete, *sized(key))
    end

    # Puts a deleted entity back as it was, at a commit or last.
    def undelete(key, commit = 0)
      call(:cop_undelete, *sized(key),
           Library.number('a commit', commit, Library::U64))
    end

    # Gives an entity a tag more.
    #
    # @param valid [Range<Time>, Array(Time, Time)] nil for ever
    def tag(key, tag, valid: nil)
      scratch = Scratch.new
      call(:cop_tag_valid, *sized(key), *sized(tag), scratch.validity(valid))
    end

    def untag(key, tag)
      call(:cop_untag, *sized(key), *sized(tag))
    end

    # Puts an edge; the same one is replaced.
    #
    # @param valid [Range<Time>, Array(Time, Time)] when it is
    # @param discriminator [Integer] tells edges apart that are otherwise the
    #   same
    # @param dangling [Symbol] :reject (DanglingError at the commit), :stub
    #   (puts what is not there) or :skip
    def link(source, relation, target, properties = {}, valid: nil,
             discriminator: 0, dangling: :reject)
      scratch = Scratch.new
      edge = edge(scratch, source, relation, target, discriminator)
      edge[:properties], edge[:property_count] = scratch.properties(properties)
      edge[:valid] = scratch.validity(valid)
      edge[:dangling] = Library.choice('dangling', dangling, Library::DANGLING)
      call(:cop_put_edge, edge)
    end

    def unlink(source, relation, target, discriminator: 0)
      scratch = Scratch.new
      call(:cop_unlink, edge(scratch, source, relation, target, discriminator))
    end

    # The commit fails with ConflictError unless the entity has this version
    # then; 0: unless there is none.
    def expect(key, version)
      call(:cop_expect, *sized(key),
           Library.number('a version', version, Library::U64))
    end

    # Commits what it holds; it may go on then.
    #
    # @param lazy [Boolean] a power cut may take it back, no death of a process
    # @param timeout [Numeric] seconds; nil: the store's
    # @return [Integer] the number of the commit
    # @raise [DanglingError, ConflictError, NoSpaceError, BusyError,
    #   StalledError] the write stays as it was
    def commit(lazy: false, timeout: nil)
      options = Library.sized(Library::CommitOptions)
      result = Library.sized(Library::Result)
      options[:durability] = lazy ? 1 : 0
      options[:timeout_ms] = Library.milliseconds(timeout)
      use do |write|
        Library.check Library.cop_commit_with(write, options, result)
      end
      result[:commit]
    end

    # Drops what was not committed; it is of no use then.
    def abort
      @monitor.synchronize { @handle.close }
    end

    def inspect
      "#<Coppice::Write #{@handle.pointer ? size : 'over'}>"
    end
    alias to_s inspect

    private

    def use
      @monitor.synchronize do
        write = @handle.pointer
        raise ClosedError, 'the write is over' unless write

        yield write
      end
    end

    def call(name, *arguments)
      use do |write|
        Library.check Library.public_send(name, write, *arguments)
      end
      self
    end

    # [text, size] as a function's arguments.
    def sized(text)
      text = Library.string(text)
      [text, text.bytesize]
    end

    def content_into(put, scratch, content)
      if content.equal?(KEEP)
        put[:content_change] = 1
      elsif !content.nil?
        put[:content], put[:content_size] = scratch.bytes(content)
      end
    end

    def vector_into(put, scratch, vector)
      if vector.nil?
        put[:vector_change] = 1
      elsif !vector.equal?(KEEP)
        put[:vector], put[:dim] = scratch.floats(vector)
      end
    end

    def edge(scratch, source, relation, target, discriminator)
      edge = Library.sized(Library::PutEdge)
      edge[:source], edge[:source_size] = scratch.text(source)
      edge[:relation], edge[:relation_size] = scratch.text(relation)
      edge[:target], edge[:target_size] = scratch.text(target)
      edge[:discriminator] = Library.number('a discriminator', discriminator)
      edge
    end
  end
end
