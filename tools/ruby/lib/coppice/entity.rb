# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

module Coppice
  # An entity, like a Hash of its properties.
  #
  #   ada = store['ada']
  #   ada.type                       #=> "person", or nil
  #   ada['born']                    #=> 1815, or nil if it has none
  #   ada.each { |name, value| }
  #   ada.content                    #=> bytes, or nil
  #   ada.vector                     #=> [1.0, 0.0, 0.0], or nil
  #
  # One that a {Snapshot} gave reads what it is asked for, as long as that is
  # open; one that a {Store} gave has read everything, but for content of over
  # 16 MiB.
  class Entity
    include Enumerable

    # @return [String]
    attr_reader :key
    # @return [Integer]
    attr_reader :id, :content_size
    # @return [Integer] the commit that wrote it, for {Write#expect}
    attr_reader :version

    # @private
    def initialize(snapshot, read, record)
      @snapshot = snapshot
      @record = record
      @id = record[:id]
      @version = record[:version]
      @key = Library.text(record[:key], record[:key_size]).freeze
      @type = Texts.new(read).name(record[:type])
      @content_size = record[:content_size]
    end

    # @return [String, nil]
    attr_reader :type

    # @return [Array<String>]
    def tags
      @tags ||= @snapshot.use do |read|
        texts = Texts.new(read)
        Array.new(@record[:tag_count]) do |i|
          texts.out do |text, size|
            Library.cop_entity_tag(read, @record, i, text, size)
          end
        end.freeze
      end
    end

    # All of them, in the order they were put.
    #
    # @return [Hash{String => Object}]
    def properties
      @properties ||= @snapshot.use do |read|
        texts = Texts.new(read)
        value = Library::Value.new
        found = {}
        @record[:property_count].times do |i|
          name = texts.out do |text, size|
            Library.cop_entity_property_at(read, @record, i, text, size, value)
          end
          # Of several at different times the first.
          found[name] = Library.value(value) unless found.key?(name)
        end
        found
      end
    end
    alias to_h properties

    # One property: only that is decoded.
    #
    # @return [Object, nil] nil, too, if it has none
    def [](name)
      fetch(name, nil)
    end

    # @raise [KeyError] if it has none, and there is no default and no block
    def fetch(name, *default, &block)
      name = Library.string(name)
      return @properties.fetch(name, *default, &block) if @properties

      value = find(name)
      return Library.value(value) if value
      return yield(name) if block

      default.empty? ? raise_key_error(name) : default[0]
    end

    def key?(name)
      name = Library.string(name)
      @properties ? @properties.key?(name) : !find(name).nil?
    end
    alias include? key?

    # @yieldparam name [String]
    # @yieldparam value [Object]
    def each(&block)
      return enum_for(:each) unless block

      properties.each(&block)
      self
    end

    # @return [String, nil] bytes; nil: it has none
    # @raise [TooLargeError] for over 16 MiB: see {#read_content}
    def content
      return if @content_size.zero?

      @content ||= @snapshot.use do |read|
        data = Library.out
        size = Library.out
        Library.check Library.cop_entity_content(read, @record, data, size)
        data.read_pointer.read_bytes(size.get(:size_t, 0))
      end
    end

    # Part of the content, of any size; of an entity that a {Snapshot} gave.
    #
    # @return [String] fewer bytes than +size+ at its end only
    def read_content(offset = 0, size = 65_536)
      Library.number('offset', offset, Library::U64)
      size = Library.number('size', size, Library::U64)
      size = [size, [@content_size - offset, 0].max].min
      @snapshot.use do |read|
        data = FFI::MemoryPointer.new(:char, [size, 1].max)
        got = Library.out
        Library.check Library.cop_content_read(read, @record, offset, data,
                                               size, got)
        data.read_bytes(got.get(:size_t, 0))
      end
    end

    # @return [Array<Float>, nil] as it was put; nil: it has none
    def vector
      packed_vector&.unpack('f*')
    end

    # The same as bytes of float32, for {Reading#search}.
    #
    # @return [String, nil]
    def packed_vector
      return @packed_vector if defined? @packed_vector

      @packed_vector = @snapshot.use do |read|
        vector = Library.out
        Library.check Library.cop_vector(read, @id, vector)
        vector = vector.read_pointer
        vector.null? ? nil : vector.read_bytes(4 * @snapshot.dim).freeze
      end
    end

    # Two of the same version.
    def ==(other)
      other.is_a?(Entity) && id == other.id && version == other.version
    end
    alias eql? ==

    def hash
      [id, version].hash
    end

    def inspect
      "#<Coppice::Entity #{key.inspect}#{" (#{type})" if type}>"
    end
    alias to_s inspect

    # @private Reads everything, for when the snapshot is closed.
    def keep
      tags
      properties
      packed_vector
      content if @content_size <= Scratch::TEXT_BYTES
      self
    end

    private

    def find(name)
      @snapshot.use do |read|
        found = Library.out
        value = Library::Value.new
        Library.check Library.cop_entity_property(
          read, @record, name, name.bytesize, found, value
        )
        found.read_int.zero? ? nil : value
      end
    end

    def raise_key_error(name)
      raise KeyError.new("no property #{name.inspect}", receiver: self,
                                                        key: name)
    end
  end
end
