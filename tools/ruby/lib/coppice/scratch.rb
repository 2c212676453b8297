# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

module Coppice
  # What a call needs in C's memory until it is over: a field of a struct does
  # not keep what it points to.  It is kept by a variable of the method that
  # makes the call.
  #
  # @private
  class Scratch
    NESTING = 32
    TEXT_BYTES = 16_777_216

    def initialize
      @kept = []
    end

    # Zeros, for so many of a struct or a type.
    def array(type, count)
      memory = FFI::MemoryPointer.new(type, [1, count].max)
      @kept << memory
      memory
    end

    # [address, size] of bytes, with a NUL behind them.
    def bytes(bytes)
      unless bytes.is_a?(String)
        raise TypeError, "a String is wanted, not a #{bytes.class}"
      end

      memory = array(:char, bytes.bytesize + 1)
      memory.put_bytes(0, bytes)
      [memory, bytes.bytesize]
    end

    # [address, size] of a key, a name or other text.
    def text(text)
      bytes(Library.string(text))
    end

    # The same, [nil, 0] for nil.
    def text_or_none(text)
      text.nil? ? [nil, 0] : text(text)
    end

    # A name that the library reads up to its NUL; nil for nil.
    def name(what, name)
      return if name.nil?

      name = Library.string(name)
      raise InvalidError, "#{what} has a NUL byte in it" if name.include?("\0")

      bytes(name)[0]
    end

    # [address, count] of such names, of an Array or one alone.
    def names(what, names)
      names = [names].compact unless names.is_a?(Array)
      array = array(:pointer, names.size)
      array.write_array_of_pointer(names.map do |name|
        name(what, name) || raise(TypeError, "#{what} is nil")
      end)
      [array, names.size]
    end

    # A path, for a function.
    def path(path)
      path = path.to_path if path.respond_to?(:to_path)
      name('a path', path) || raise(TypeError, 'a path is wanted, not nil')
    end

    # [address, count] of float32: an Array of numbers, or what pack('e*') made.
    def floats(vector)
      if vector.is_a?(String)
        return packed(vector) if (vector.bytesize % 4).zero?

        raise BadVectorError, "a packed vector of #{vector.bytesize} bytes " \
                              'is no float32 each 4'
      end
      unless vector.respond_to?(:to_ary)
        raise TypeError, "a vector is an Array of numbers, not a " \
                         "#{vector.class}"
      end
      numbers(vector.to_ary)
    end

    def packed(bytes)
      floats = array(:float, bytes.bytesize / 4)
      floats.put_bytes(0, bytes)
      [floats, bytes.bytesize / 4]
    end
    private :packed

    def numbers(vector)
      vector.each_with_index do |number, i|
        next if number.is_a?(Integer) || number.is_a?(Float)

        raise BadVectorError, "number #{i} of a vector is a #{number.class}"
      end
      packed(vector.map(&:to_f).pack('f*'))
    end
    private :numbers

    # [address, count] of properties, a Hash.
    def properties(properties, depth = 0)
      unless properties.respond_to?(:to_hash)
        raise TypeError, "properties are a Hash, not a #{properties.class}"
      end

      properties = properties.to_hash
      array = array(Library::Property, properties.size)
      properties.each_with_index do |(name, value), i|
        property = Library::Property.new(array + i * Library::Property.size)
        property[:name], property[:name_size] = text(name)
        value(property[:value], value, depth)
      end
      [properties.empty? ? nil : array, properties.size]
    end

    def value(out, value, depth)
      case value
      when nil then out[:kind] = 0
      when true, false
        out[:kind] = 1
        out[:integer] = value ? 1 : 0
      when Integer then integer(out, value)
      when Float
        out[:kind] = 3
        out[:real] = value
      when String, Symbol then string(out, value)
      when Array, Hash then nested(out, value, depth + 1)
      else
        raise InvalidError, "a property cannot be a #{value.class}; there " \
                            'are nil, true, false, Integer, Float, String, ' \
                            'Array and Hash'
      end
    end
    private :value

    def integer(out, value)
      if value.bit_length > 63
        raise InvalidError, "#{value} does not fit into 64 bits"
      end

      out[:kind] = 2
      out[:integer] = value
    end
    private :integer

    def string(out, value)
      memory, size = text(value)
      if size > TEXT_BYTES
        raise TooLargeError, 'a text of over 16 MiB; content may be larger'
      end

      out[:kind] = 4
      out[:count] = size
      out[:data] = memory
    end
    private :string

    def nested(out, value, depth)
      if depth > NESTING
        raise TooLargeError, 'lists and maps inside one another are over ' \
                             "#{NESTING} deep"
      end

      out[:kind] = value.is_a?(Hash) ? 6 : 5
      out[:data], out[:count] =
        value.is_a?(Hash) ? properties(value, depth) : list(value, depth)
    end
    private :nested

    def list(list, depth)
      array = array(Library::Value, list.size)
      list.each_with_index do |value, i|
        value(Library::Value.new(array + i * Library::Value.size), value, depth)
      end
      [array, list.size]
    end
    private :list

    # When an edge or a tag is valid: a Range or [from, to], nil for ever.
    def validity(valid)
      return if valid.nil?

      from, to = valid.is_a?(Range) ? [valid.begin, valid.end] : valid
      memory = array(Library::Validity, 1)
      pair = Library::Validity.new(memory)
      forever = (1 << 63) - 1
      pair[:from][:seconds], pair[:from][:nanos] =
        from.nil? ? [-forever - 1, 0] : Library.instant(from)
      pair[:to][:seconds], pair[:to][:nanos] =
        to.nil? ? [forever, 0] : Library.instant(to)
      memory
    end
  end
end
