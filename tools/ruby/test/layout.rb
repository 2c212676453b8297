# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

# Prints a C program that compiles only if each struct of the
# library is laid out as coppice.h says.

require_relative 'claims'

NAMES = { EntityRecord: :cop_entity, EdgeRecord: :cop_edge,
          HitRecord: :cop_hit, StepRecord: :cop_step,
          NeighborRecord: :cop_neighbor }.freeze

def c_name(name)
  NAMES[name] || "cop_#{name.to_s.gsub(/(?<!^)([A-Z])/, '_\1').downcase}"
end

puts '#include <assert.h>', '#include <coppice.h>'
Coppice::Library.constants.sort.each do |name|
  type = Coppice::Library.const_get(name)
  next unless type.is_a?(Class) && type < FFI::Struct

  struct = "struct #{c_name(name)}"
  puts %{static_assert(sizeof(#{struct}) == #{type.size}, "#{struct}");}
  type.new.layout.fields.each do |field|
    member = "#{struct}.#{field.name}"
    puts %{static_assert(offsetof(#{struct}, #{field.name}) == } +
         %{#{field.offset}, "#{member}");},
         %{static_assert(sizeof(((#{struct} *)0)->#{field.name}) == } +
         %{#{field.size}, "#{member}");}
  end
end
{ METRICS: 'COP_', CODES: 'COP_CODES_', STRATEGIES: 'COP_', DIRECTIONS: 'COP_',
  DANGLING: 'COP_DANGLING_', ROWS: 'COP_ROWS_' }.each do |table, prefix|
  Coppice::Library.const_get(table).each do |name, number|
    puts %{static_assert(#{prefix}#{name.upcase} == #{number}, "#{name}");}
  end
end
Coppice.constants.sort.each do |name|
  type = Coppice.const_get(name)
  next unless type.is_a?(Class) && type <= Coppice::Error && type::CODE != 0

  error = name.to_s.delete_suffix('Error').gsub(/(?<!^)([A-Z])/, '_\1').upcase
  puts %{static_assert(COP_#{error} == #{type::CODE}, "#{name}");}
end
