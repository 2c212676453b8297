# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

module Coppice
  # Keys and names of a read, by number.
  #
  # @private
  class Texts
    DIRECTIONS = [nil, :out, :in].freeze

    def initialize(read)
      @read = read
      @pointer = Library.out
      @size = Library.out
      @names = {}
    end

    # The key of an id.
    def key(id)
      Library.check Library.cop_key(@read, id, @pointer, @size)
      text
    end

    # A type, a relation, a tag or a property; nil for 0.
    def name(number)
      return if number.zero?

      @names[number] ||= begin
        Library.check Library.cop_name(@read, number, @pointer, @size)
        text.freeze
      end
    end

    # What a call that takes these two writes to them.
    def out
      error = yield @pointer, @size
      Library.check error
      text
    end

    private

    def text
      Library.text(@pointer.read_pointer, @size.get(:size_t, 0))
    end
  end
end
