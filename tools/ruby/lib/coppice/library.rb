# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

require 'ffi'

module Coppice
  # The library's calls and structs, as coppice.h has them; test/layout.rb
  # compares each size and offset with the compiler's.
  #
  # threads
  #   What searches, walks, waits or commits is `blocking`: other threads run
  #   meanwhile.  What only looks something up is not: giving the lock away and
  #   having it back costs more than the call.
  #
  # callbacks
  #   What Ruby raises in a callback, ruby-ffi raises again after the call; but
  #   a thread that is killed there would leave by longjmp, through the
  #   library's frames, which must not be.  So no code of the user's runs in
  #   one, and Library.uninterrupted keeps kills and Timeout away meanwhile.
  #
  # @private
  module Library
    extend FFI::Library

    ffi_lib ENV['COPPICE_LIBRARY'] || 'libcoppice.so.0'

    U32 = 0xffffffff
    U64 = 0xffffffffffffffff

    METRICS = { cosine: 1, l2: 2, ip: 3 }.freeze
    ROWS = { f16: 0, f32: 1 }.freeze
    CODES = { auto: 0, u8: 1, f16: 2, bf16: 3, f32: 4, b1: 5 }.freeze
    DIRECTIONS = { out: 1, in: 2, both: 3 }.freeze
    STRATEGIES = { auto: 0, scan: 1, hnsw: 2, lsh: 3, hierarchical: 4,
                   kdtree: 5 }.freeze
    DANGLING = { reject: 0, stub: 1, skip: 2 }.freeze
    STOPPED = -31021

    class Instant < FFI::Struct
      layout :seconds, :int64, :nanos, :uint32, :reserved, :uint32
    end

    class Validity < FFI::Struct
      layout :from, Instant, :to, Instant
    end

    class Options < FFI::Struct
      layout :size, :uint32, :dim, :uint32, :metric, :int32, :rows, :int32,
             :mode, :uint32, :group, :uint32, :shm_dir, :pointer,
             :expected_entities, :uint64, :bloom_rate, :double,
             :record_bytes, :uint32, :codes, :int32, :signs, :uint32,
             :codes_dim, :uint32, :cache_bytes, :uint64,
             :cache_ttl_ms, :uint32, :cache_idle_ms, :uint32,
             :history, :int32, :history_ms, :uint64, :history_count, :uint64
    end

    class OpenOptions < FFI::Struct
      layout :size, :uint32, :timeout_ms, :uint32, :progress, :pointer,
             :user, :pointer, :name, :pointer, :log, :pointer,
             :log_user, :pointer, :log_level, :int32, :reserved, :uint32
    end

    class Value < FFI::Struct
      layout :kind, :int32, :count, :uint32, :integer, :int64, :real, :double,
             :data, :pointer
    end

    class Property < FFI::Struct
      layout :name, :pointer, :name_size, :size_t, :value, Value
    end

    class EntityRecord < FFI::Struct
      layout :id, :uint64, :version, :uint64, :key, :pointer,
             :key_size, :uint32, :type, :uint32, :tag_count, :uint32,
             :property_count, :uint32, :content_size, :uint64,
             :record, :pointer, :record_size, :uint64
    end

    class EdgeRecord < FFI::Struct
      layout :source, :uint64, :target, :uint64, :relation, :uint32,
             :property_count, :uint32, :discriminator, :uint32,
             :reserved, :uint32, :version, :uint64, :valid, Validity,
             :record, :pointer, :record_size, :uint64
    end

    class HitRecord < FFI::Struct
      layout :id, :uint64, :distance, :double
    end

    class SearchReport < FFI::Struct
      layout :size, :uint32, :strategy, :int32, :ef, :uint32,
             :evaluated, :uint32, :expanded, :uint32, :is_complete, :int32,
             :rows, :uint64, :waiting, :uint64, :share, :double,
             :listed, :uint64, :reason, [:char, 128]
    end

    class Search < FFI::Struct
      layout :size, :uint32, :k, :uint32, :vector, :pointer, :type, :pointer,
             :tag, :pointer, :tags, :pointer, :tag_count, :uint32,
             :tag_mode, :int32, :prefix, :pointer, :near, :uint64,
             :prefix_size, :uint32, :hops, :uint32, :direction, :int32,
             :accept, :pointer, :user, :pointer, :report, :pointer,
             :exact, :int32, :has_threshold, :int32, :threshold, :double,
             :exclude, :uint64, :strategy, :int32, :ef, :uint32
    end

    class StepRecord < FFI::Struct
      layout :id, :uint64, :from, :uint32, :relation, :uint32,
             :hops, :uint32, :direction, :int32
    end

    class Walk < FFI::Struct
      layout :size, :uint32, :hops, :uint32, :start, :uint64,
             :relation, :pointer, :direction, :int32, :degree_limit, :uint32,
             :type, :pointer, :tag, :pointer, :accept, :pointer,
             :user, :pointer, :threads, :uint32, :reserved, :uint32
    end

    class NeighborRecord < FFI::Struct
      layout :id, :uint64, :relation, :uint32, :direction, :int32
    end

    class Path < FFI::Struct
      layout :size, :uint32, :hops, :uint32, :source, :uint64,
             :target, :uint64, :relation, :pointer, :direction, :int32,
             :reserved, :uint32, :weight, :pointer, :cost, :pointer
    end

    class Put < FFI::Struct
      layout :size, :uint32, :key_size, :uint32, :key, :pointer,
             :type, :pointer, :type_size, :size_t, :properties, :pointer,
             :property_valid, :pointer, :property_count, :uint32,
             :tag_count, :uint32, :tags, :pointer, :tag_sizes, :pointer,
             :tag_valid, :pointer, :content, :pointer, :content_size, :size_t,
             :vector, :pointer, :dim, :uint32, :vector_change, :int32,
             :content_change, :int32, :reserved, :uint32
    end

    class PutEdge < FFI::Struct
      layout :size, :uint32, :dangling, :int32, :source, :pointer,
             :source_size, :size_t, :relation, :pointer,
             :relation_size, :size_t, :target, :pointer,
             :target_size, :size_t, :properties, :pointer,
             :property_count, :uint32, :discriminator, :uint32,
             :valid, :pointer
    end

    class CommitOptions < FFI::Struct
      layout :size, :uint32, :timeout_ms, :uint32, :durability, :int32,
             :gather_us, :uint32, :threads, :uint32
    end

    class Ticket < FFI::Struct
      layout :office, [:uint8, 16], :number, :uint64, :after, :uint64,
             :mailbox, :uint32, :reserved, :uint32
    end

    class Result < FFI::Struct
      layout :size, :uint32, :failed, :uint32, :commit, :uint64,
             :entities_put, :uint64, :entities_deleted, :uint64,
             :edges_put, :uint64, :edges_deleted, :uint64,
             :edges_skipped, :uint64, :stubs_put, :uint64, :ticket, Ticket
    end

    class Stats < FFI::Struct
      layout :size, :uint32, :dim, :uint32, :metric, :int32, :rows, :int32,
             :commits, :uint64, :commit_time_ns, :uint64, :entities, :uint64,
             :edges, :uint64, :vectors, :uint64, :names, :uint64,
             :name_hits, :uint64, :name_misses, :uint64, :disk_bytes, :uint64,
             :shared_bytes, :uint64, :index_bytes, :uint64,
             :bank_bytes, :uint64, :row_bytes, :uint64, :edge_bytes, :uint64,
             :bank_rows, :uint64, :limbo, :uint64, :readers, :uint32,
             :bloom_layers, :uint32, :bloom_rate, :double,
             :segment, [:char, 256], :image_commit, :uint64,
             :image_bytes, :uint64, :record_bytes, :uint64, :records, :uint64,
             :oldest_snapshot, :uint64, :held_bytes, :uint64,
             :stalled, :uint32, :codes, :int32, :cache_bytes, :uint64,
             :cache_hits, :uint64, :cache_misses, :uint64,
             :cache_stores, :uint64, :cache_precomputed, :uint64,
             :cache_entries, :uint64, :codes_dim, :uint64, :signs, :uint32,
             :nibbles, :uint32, :data_bytes, :uint64, :free_bytes, :uint64,
             :unlinked, :uint64, :oldest, :uint64
    end

    callback :visit, %i[pointer pointer pointer], :int32

    # Calls that may wait, and those that work for long.
    {
      cop_create: [:pointer, Options.by_ref],
      cop_open: [:pointer, OpenOptions.by_ref, :pointer],
      cop_detach: %i[pointer],
      cop_read_begin: %i[pointer pointer],
      cop_search: [:pointer, Search.by_ref, :pointer, :pointer],
      cop_walk: [:pointer, Walk.by_ref, :pointer, :size_t, :pointer, :pointer],
      cop_path: [:pointer, Path.by_ref, :pointer, :size_t, :pointer],
      cop_commit_with: [:pointer, CommitOptions.by_ref, Result.by_ref],
      cop_stat: [:pointer, Stats.by_ref]
    }.each do |name, arguments|
      attach_function name, arguments, :int, blocking: true
    end
    attach_function :cop_close, %i[pointer], :void, blocking: true

    {
      cop_write_begin: %i[pointer pointer],
      cop_read_as_of: %i[pointer uint64],
      cop_read_valid_at: [:pointer, Instant.by_ref],
      cop_commit_at: %i[pointer int64 pointer],
      cop_lookup: %i[pointer pointer size_t pointer],
      cop_get: [:pointer, :pointer, :size_t, EntityRecord.by_ref],
      cop_get_id: [:pointer, :uint64, EntityRecord.by_ref],
      cop_key: %i[pointer uint64 pointer pointer],
      cop_name: %i[pointer uint32 pointer pointer],
      cop_keys: %i[pointer pointer size_t visit pointer],
      cop_neighbors: %i[pointer uint64 pointer int32 pointer size_t pointer],
      cop_entity_tag: [:pointer, EntityRecord.by_ref, :uint32, :pointer,
                       :pointer],
      cop_entity_property: [:pointer, EntityRecord.by_ref, :pointer, :size_t,
                            :pointer, Value.by_ref],
      cop_entity_property_at: [:pointer, EntityRecord.by_ref, :uint32,
                               :pointer, :pointer, Value.by_ref],
      cop_entity_content: [:pointer, EntityRecord.by_ref, :pointer, :pointer],
      cop_content_read: [:pointer, EntityRecord.by_ref, :uint64, :pointer,
                         :size_t, :pointer],
      cop_vector: %i[pointer uint64 pointer],
      cop_value_item: [Value.by_ref, :uint32, :pointer, :pointer,
                       Value.by_ref],
      cop_get_edge: [:pointer, :uint64, :pointer, :size_t, :uint64,
                     EdgeRecord.by_ref],
      cop_edge_property_at: [:pointer, EdgeRecord.by_ref, :uint32, :pointer,
                             :pointer, Value.by_ref],
      cop_put: [:pointer, Put.by_ref],
      cop_put_vector: %i[pointer pointer size_t pointer uint32],
      cop_tag_valid: %i[pointer pointer size_t pointer size_t pointer],
      cop_untag: %i[pointer pointer size_t pointer size_t],
      cop_delete: %i[pointer pointer size_t],
      cop_undelete: %i[pointer pointer size_t uint64],
      cop_put_edge: [:pointer, PutEdge.by_ref],
      cop_unlink: [:pointer, PutEdge.by_ref],
      cop_expect: %i[pointer pointer size_t uint64]
    }.each do |name, arguments|
      attach_function name, arguments, :int
    end
    attach_function :cop_read_end, %i[pointer], :void
    attach_function :cop_abort, %i[pointer], :void
    attach_function :cop_read_commit, %i[pointer], :uint64
    attach_function :cop_write_count, %i[pointer], :size_t
    attach_function :cop_dim, %i[pointer], :uint32
    attach_function :cop_metric, %i[pointer], :int32
    attach_function :cop_last_error, [], :string
    attach_function :cop_strerror, %i[int], :string
    attach_function :cop_version, [], :string
    attach_function :cop_cpu, [], :string

    module_function

    # Raises the exception of an error's class.
    def check(error)
      return if error.zero?

      text = cop_last_error
      text = cop_strerror(error) if text.empty?
      raise Error.of(error, text.force_encoding(Encoding::UTF_8))
    end

    # A struct of zeros with its size set.
    def sized(type)
      struct = type.new
      struct[:size] = type.size
      struct
    end

    # A number for a field, which would be cut to the field's bits.
    def number(what, number, max = U32)
      unless number.is_a?(Integer)
        raise TypeError, "#{what} is a #{number.class}, not an Integer"
      end
      return number if number.between?(0, max)

      raise InvalidError, "#{what} is #{number}; it must be from 0 to #{max}"
    end

    def choice(what, name, numbers)
      key = name.is_a?(String) ? numbers.keys.find { |k| k.name == name } : name
      numbers.fetch(key) do
        raise InvalidError,
              "no #{what} #{name.inspect}; there are #{numbers.keys.join(', ')}"
      end
    end

    # Milliseconds, at least one: 0 is for ever.
    def milliseconds(seconds)
      return 0 if seconds.nil?

      seconds = Float(seconds)
      return [1, (seconds * 1000).round].max if seconds >= 0 && seconds < 4e6

      raise InvalidError, "a timeout of #{seconds} seconds; nil is for ever"
    end

    # [seconds, nanoseconds] of a Time or a number of seconds since 1970.
    def instant(time)
      unless time.is_a?(Time) || time.is_a?(Integer) || time.is_a?(Float)
        raise TypeError, "a time is a Time or a number, not a #{time.class}"
      end
      if time.is_a?(Float) && !time.finite? || time.to_i.bit_length > 63
        raise InvalidError, "a time of #{time}"
      end

      seconds = time.is_a?(Time) ? time.to_i : time.floor
      [seconds, time.is_a?(Time) ? time.nsec : ((time - seconds) * 1e9).to_i]
    end

    # Text for the library: UTF-8, or bytes as they are.
    def string(text)
      text = text.name if text.is_a?(Symbol)
      unless text.is_a?(String)
        raise TypeError, "a String is wanted, not a #{text.class}"
      end
      return text if [Encoding::UTF_8, Encoding::BINARY].include?(text.encoding)

      text.encode(Encoding::UTF_8)
    rescue EncodingError => e
      raise BadTextError, e.message
    end

    # Text as it was put: UTF-8, or bytes if it is none.
    def text(pointer, size)
      return +'' if size.zero?

      text = pointer.read_bytes(size).force_encoding(Encoding::UTF_8)
      text.valid_encoding? ? text : text.b
    end

    def value(value)
      case value[:kind]
      when 1 then value[:integer] != 0
      when 2 then value[:integer]
      when 3 then value[:real]
      when 4 then text(value[:data], value[:count])
      when 5 then Array.new(value[:count]) { |i| member(value, i)[1] }
      when 6 then Array.new(value[:count]) { |i| member(value, i, true) }.to_h
      end
    end

    # [name, value] of a list's or a map's member.
    def member(value, index, is_named = false)
      member = Value.new
      name, size = is_named ? [out, out] : nil
      check cop_value_item(value, index, name, size, member)
      [is_named && text(name.read_pointer, size.get(:size_t, 0)),
       value(member)]
    end

    # Room for a pointer, a size or an id.
    def out
      FFI::MemoryPointer.new(:uint64)
    end

    # What the block calls is not left before it returns: its handle would be
    # lost, or the library's frames.
    def uninterrupted(&block)
      Thread.handle_interrupt(Object => :never, &block)
    end

    # The ids of the entities whose keys begin with a prefix, in order of keys;
    # the first +limit+ of them.
    def listed(read, prefix, limit)
      ids = []
      return ids if limit&.zero?

      take = proc do |_user, _read, entity|
        ids << entity.get_uint64(0)
        ids.size == limit ? 1 : 0
      end
      scratch = Scratch.new
      error = uninterrupted do
        cop_keys(read, *scratch.text(prefix), take, nil)
      end
      check error unless error == STOPPED
      ids
    end
  end
end
