# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

module Coppice
  # An entity that a search found; a smaller distance is nearer.
  Hit = Struct.new(:key, :distance, :id)

  # An entity on a walk or a path: +relation+ and +direction+ (:out or :in) are
  # of the edge that it was reached over, from the step of index +origin+; nil
  # for the start.
  Step = Struct.new(:key, :hops, :relation, :direction, :origin, :id)

  # The other end of an edge; +direction+ is :out or :in.
  Neighbor = Struct.new(:key, :relation, :direction, :id)

  # An edge with its properties; +version+ is the commit that wrote it.
  Edge = Struct.new(:source, :relation, :target, :properties, :version)

  # What a {Store} and a {Snapshot} both answer, like a Hash from keys to
  # entities that is read only.  A store begins a snapshot of the newest commit
  # for each call.
  module Reading
    include Enumerable

    HOPS_ALL = Library::U32
    K_MAX = 1_000_000
    private_constant :HOPS_ALL, :K_MAX

    # @return [Entity, nil]
    def [](key)
      reads { |snapshot| get(snapshot, key) }
    end

    # @return [Entity]
    # @raise [KeyError] if there is none, and no default and no block
    def fetch(key, *default)
      self[key] || (block_given? ? yield(key) : missing(key, default))
    end

    # @return [Boolean]
    def key?(key)
      reads do |snapshot|
        snapshot.use { |read| !id(read, Library.string(key)).zero? }
      end
    end
    alias include? key?
    alias member? key?

    # Keys and entities, in order of keys, all in one snapshot.
    #
    #   store.each('dog.') { |key, entity| }    # keys that begin so
    #
    # @yieldparam key [String]
    # @yieldparam entity [Entity]
    def each(prefix = '', limit: nil)
      return enum_for(:each, prefix, limit: limit) unless block_given?

      reads do |snapshot|
        listed(snapshot, prefix, limit).each do |id|
          entity = get_id(snapshot, id)
          yield [entity.key, entity]
        end
      end
      self
    end

    # @return [Array<String>] that begin with +prefix+, in their order
    def keys(prefix = '', limit: nil)
      reads do |snapshot|
        ids = listed(snapshot, prefix, limit)
        snapshot.use do |read|
          texts = Texts.new(read)
          ids.map { |id| texts.key(id) }
        end
      end
    end

    # @return [Integer] entities
    def size
      stat[:entities]
    end
    alias length size

    def empty?
      size.zero?
    end

    # The k nearest entities to a vector, nearest first.
    #
    #   store.search(vector, k: 5, type: 'person', tag: %w[math new])
    #   store.search(vector, within: 'ada', hops: 2)
    #
    # @param vector [Array<Numeric>, String] numbers, or what pack('f*') made
    # @param type [String] only entities of it
    # @param tag [String, Array<String>] only those with it, or with all these
    # @param any_tag [Array<String>] only those with one of these
    # @param prefix [String] only those whose keys begin with it
    # @param within [String] only those within +hops+ edges of this key's
    #   entity, in the +direction+ :out, :in or :both
    # @param exact [Boolean] rank by the float32 that was put, looking at all
    # @param threshold [Float] only those at this distance or nearer
    # @param exclude [String] a key that is left out
    # @param strategy [Symbol] :auto, :scan, :hnsw, :lsh, :hierarchical,
    #   :kdtree
    # @param ef [Integer] width of the walk; the larger, the nearer to exact;
    #   0: by k
    # @param report [Hash] filled with how it went
    # @return [Array<Hit>] fewer than k only if no more qualify
    # @raise [BadVectorError, InvalidError, NotFoundError]
    def search(vector, k: 10, type: nil, tag: nil, any_tag: nil, prefix: nil,
               within: nil, hops: 1, direction: :both, exact: false,
               threshold: nil, exclude: nil, strategy: :auto, ef: 0,
               report: nil)
      unless report.nil? || report.is_a?(Hash)
        raise TypeError, "a report is a Hash, not a #{report.class}"
      end
      scratch = Scratch.new
      search = Library.sized(Library::Search)
      search[:k] = Library.number('k', k, K_MAX)
      search[:vector] = query(scratch, vector)
      search[:type] = scratch.name('a type', type)
      search[:tags], search[:tag_count] = tags(scratch, tag, any_tag)
      search[:tag_mode] = any_tag.nil? ? 0 : 1
      search[:prefix], search[:prefix_size] = scratch.text_or_none(prefix)
      search[:hops] = Library.number('hops', hops)
      search[:direction] =
        Library.choice('direction', direction, Library::DIRECTIONS)
      search[:exact] = exact ? 1 : 0
      search[:has_threshold] = threshold.nil? ? 0 : 1
      search[:threshold] = threshold.nil? ? 0.0 : Float(threshold)
      search[:strategy] =
        Library.choice('strategy', strategy, Library::STRATEGIES)
      search[:ef] = Library.number('ef', ef)
      reads do |snapshot|
        snapshot.use do |read|
          search[:near] = within.nil? ? 0 : found(read, within)
          search[:exclude] =
            exclude.nil? ? 0 : id(read, Library.string(exclude))
          hits(read, search, report)
        end
      end
    end

    # The entities within so many edges of one, breadth first, itself first.
    #
    #   store.walk('ada', hops: 2).each { |step| puts step.key }
    #
    # @param hops [Integer, nil] nil: all that can be reached
    # @param relation [String] over edges of it only
    # @param type [String] goes only to entities of it
    # @param tag [String] and only to those with it
    # @param limit [Integer] it ends at so many steps
    # @return [Array<Step>]
    # @raise [NotFoundError, NoNameError]
    def walk(start, hops: 2, relation: nil, direction: :out, type: nil,
             tag: nil, limit: 10_000)
      scratch = Scratch.new
      walk = Library.sized(Library::Walk)
      walk[:hops] =
        hops.nil? ? HOPS_ALL : Library.number('hops', hops, HOPS_ALL - 1)
      walk[:relation] = scratch.name('a relation', relation)
      walk[:direction] =
        Library.choice('direction', direction, Library::DIRECTIONS)
      walk[:type] = scratch.name('a type', type)
      walk[:tag] = scratch.name('a tag', tag)
      limit = Library.number('limit', limit, 100_000_000)
      steps = scratch.array(Library::StepRecord, limit)
      count = Library.out
      reads do |snapshot|
        snapshot.use do |read|
          walk[:start] = found(read, start)
          Library.check Library.cop_walk(read, walk, steps, limit, count, nil)
          steps(read, steps, count.get(:size_t, 0))
        end
      end
    end

    # A shortest path, empty if there is none.
    #
    # @param hops [Integer] at most so many, 0: any number
    # @param weight [String] a property of edges that says what each costs
    # @return [Array<Step>] the source first, the target last
    # @raise [NotFoundError, NoNameError]
    def path(source, target, hops: 0, relation: nil, direction: :out,
             weight: nil)
      scratch = Scratch.new
      path = Library.sized(Library::Path)
      path[:hops] = Library.number('hops', hops)
      path[:relation] = scratch.name('a relation', relation)
      path[:direction] =
        Library.choice('direction', direction, Library::DIRECTIONS)
      path[:weight] = scratch.name('a weight', weight)
      reads do |snapshot|
        snapshot.use do |read|
          path[:source] = found(read, source)
          path[:target] = found(read, target)
          steps(read, *grown(Library::StepRecord) do |array, room, count|
            Library.cop_path(read, path, array, room, count)
          end)
        end
      end
    end

    # The edges of an entity without their properties, outgoing ones first.
    #
    # @param direction [Symbol] :out, :in or :both
    # @param limit [Integer] at most so many
    # @return [Array<Neighbor>]
    # @raise [NotFoundError, NoNameError]
    def neighbors(key, relation: nil, direction: :out, limit: nil)
      scratch = Scratch.new
      relation = scratch.name('a relation', relation)
      direction = Library.choice('direction', direction, Library::DIRECTIONS)
      limit = Library.number('limit', limit, Library::U64) unless limit.nil?
      reads do |snapshot|
        snapshot.use do |read|
          id = found(read, key)
          around(read, *grown(Library::NeighborRecord, limit) do |array, *room|
            Library.cop_neighbors(read, id, relation, direction, array, *room)
          end)
        end
      end
    end

    # @return [Edge, nil] an edge with its properties
    def edge(source, relation, target)
      relation = Library.string(relation)
      record = Library::EdgeRecord.new
      reads do |snapshot|
        snapshot.use do |read|
          Library.check Library.cop_get_edge(
            read, id(read, Library.string(source)), relation,
            relation.bytesize, id(read, Library.string(target)), record
          )
          next if record[:version].zero?

          Edge.new(source, relation, target, edge_properties(read, record),
                   record[:version])
        end
      end
    end

    # The store's figures.
    #
    # @return [Hash{Symbol => Object}]
    def stat
      stats = Library.sized(Library::Stats)
      reads do |snapshot|
        snapshot.use { |read| Library.check Library.cop_stat(read, stats) }
      end
      names = %i[dim commits entities edges vectors disk_bytes shared_bytes
                 bank_bytes readers stalled]
      names.to_h { |name| [name, stats[name]] }
           .merge(segment: stats[:segment].to_s)
    end

    private

    def missing(key, default)
      return default[0] unless default.empty?

      raise KeyError.new("no entity #{key.inspect}", receiver: self, key: key)
    end

    def get(snapshot, key)
      key = Library.string(key)
      snapshot.use do |read|
        record = Library::EntityRecord.new
        Library.check Library.cop_get(read, key, key.bytesize, record)
        entity(snapshot, read, record)
      end
    end

    def get_id(snapshot, id)
      snapshot.use do |read|
        record = Library::EntityRecord.new
        Library.check Library.cop_get_id(read, id, record)
        entity(snapshot, read, record)
      end
    end

    # What is read of an entity at once.
    def entity(snapshot, read, record)
      Entity.new(snapshot, read, record) unless record[:id].zero?
    end

    # @return [Array<Integer>] ids
    def listed(snapshot, prefix, limit)
      prefix = Library.string(prefix)
      limit = Library.number('limit', limit, Library::U64) unless limit.nil?
      snapshot.use { |read| Library.listed(read, prefix, limit) }
    end

    # The id of a key, 0 if there is no such entity.
    def id(read, key)
      id = Library.out
      Library.check Library.cop_lookup(read, key, key.bytesize, id)
      id.read_uint64
    end

    def found(read, key)
      key = Library.string(key)
      id = id(read, key)
      return id unless id.zero?

      raise NotFoundError, "there is no entity #{key.inspect}"
    end

    # Its numbers; the library cannot see how many there are.
    def query(scratch, vector)
      floats, count = scratch.floats(vector)
      return floats if count == dim

      raise BadVectorError, "a vector of #{count} numbers; the store's have " \
                            "#{dim}"
    end

    def tags(scratch, all, any)
      unless all.nil? || any.nil?
        raise InvalidError, 'either tag or any_tag'
      end

      scratch.names('a tag', any.nil? ? all : any)
    end

    def hits(read, search, report)
      how = Library.sized(Library::SearchReport)
      size = Library::HitRecord.size
      hits = FFI::MemoryPointer.new(size, [search[:k], 1].max)
      count = Library.out
      search[:report] = how
      Library.check Library.cop_search(read, search, hits, count)
      report&.update(reported(how))
      texts = Texts.new(read)
      Array.new(count.read_uint32) do |i|
        id = hits.get_uint64(i * size)
        Hit.new(texts.key(id), hits.get_float64(i * size + 8), id)
      end
    end

    def reported(how)
      names = %i[ef evaluated expanded rows waiting share listed]
      { strategy: Library::STRATEGIES.key(how[:strategy]),
        reason: how[:reason].to_s, is_complete: how[:is_complete] != 0 }
        .merge(names.to_h { |name| [name, how[name]] })
    end

    # [array, count] of what a call says that there is more of than room was.
    def grown(type, limit = nil)
      count = Library.out
      wanted = 64
      loop do
        room = [wanted, limit].compact.min
        array = FFI::MemoryPointer.new(type, [room, 1].max)
        Library.check yield(array, room, count)
        wanted = count.get(:size_t, 0)
        return [array, wanted] if wanted <= room
        return [array, room] if room == limit
      end
    end

    def steps(read, array, count)
      texts = Texts.new(read)
      size = Library::StepRecord.size
      Array.new(count) do |i|
        step = Library::StepRecord.new(array + i * size)
        Step.new(texts.key(step[:id]), step[:hops], texts.name(step[:relation]),
                 Texts::DIRECTIONS[step[:direction]], step[:from], step[:id])
      end
    end

    def around(read, array, count)
      texts = Texts.new(read)
      size = Library::NeighborRecord.size
      Array.new(count) do |i|
        near = Library::NeighborRecord.new(array + i * size)
        Neighbor.new(texts.key(near[:id]), texts.name(near[:relation]),
                     Texts::DIRECTIONS[near[:direction]], near[:id])
      end
    end

    def edge_properties(read, record)
      texts = Texts.new(read)
      value = Library::Value.new
      Array.new(record[:property_count]) do |i|
        name = texts.out do |text, size|
          Library.cop_edge_property_at(read, record, i, text, size, value)
        end
        [name, Library.value(value)]
      end.to_h
    end
  end
end
