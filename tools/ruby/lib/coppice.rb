# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

require 'coppice/error'
require 'coppice/library'
require 'coppice/scratch'
require 'coppice/texts'
require 'coppice/handle'
require 'coppice/reading'
require 'coppice/entity'
require 'coppice/snapshot'
require 'coppice/write'
require 'coppice/store'

# One knowledge graph with vectors, shared by all processes of a machine.
#
#   Coppice.create('/srv/kg', dim: 3)
#   store = Coppice.open('/srv/kg')
#
# Write all or nothing:
#
#   store.write do |tx|
#     tx.put 'ada', { born: 1815 }, type: 'person', tags: ['math'],
#                                   vector: [1, 0, 0]
#     tx.put 'grace', type: 'person', vector: [0.9, 0.1, 0]
#     tx.link 'ada', 'knows', 'grace'
#   end
#
# Read what everybody has committed:
#
#   store['ada']['born']                        #=> 1815
#   store.search([1, 0, 0], k: 2).map(&:key)    #=> ["ada", "grace"]
#   store.neighbors('ada').first.relation       #=> "knows"
#
# A snapshot stays as it is, whatever others commit meanwhile:
#
#   store.snapshot do |snapshot|
#     store.write { |tx| tx.delete 'grace' }
#     [snapshot.key?('grace'), store.key?('grace')]   #=> [true, false]
#   end
#
# A store may be opened before a fork (Puma with preload_app!, Unicorn) and used
# in the children: each attaches by itself at its first call.  Any number of
# threads may use a store; a search, a wait and a commit let the others run.
#
# libcoppice.so.0 must be where the linker finds it, or COPPICE_LIBRARY names
# it.
module Coppice
  VERSION = '0.1.0'

  module_function

  # Makes a new store in a folder that does not exist or is empty.
  #
  # @param dim [Integer] of its vectors, 2 to 4096; 0: it has none
  # @param metric [Symbol] :cosine, :l2 or :ip
  # @param rows [Symbol] :f16 or :f32: what ranks a search's candidates
  # @param codes [Symbol] :auto, :u8, :f16, :bf16, :f32 or :b1: what it walks
  #   over
  # @param mode [Integer] permissions of all files; 0o660 and a +group+, its
  #   number, for a store that several users share
  # @param shm_dir [String] a folder on a tmpfs, in place of /dev/shm
  # @return [nil]
  # @raise [ExistsError, InvalidError, NoSpaceError, SystemCallError]
  def create(path, dim: 0, metric: :cosine, rows: :f16, codes: :auto,
             mode: 0o600, group: nil, shm_dir: nil, expected_entities: 0,
             cache_bytes: 0)
    scratch = Scratch.new
    options = Library.sized(Library::Options)
    options[:dim] = Library.number('dim', dim)
    options[:metric] = Library.choice('metric', metric, Library::METRICS)
    options[:rows] = Library.choice('rows', rows, Library::ROWS)
    options[:codes] = Library.choice('codes', codes, Library::CODES)
    options[:mode] = Library.number('mode', mode, 0o777)
    options[:group] =
      group ? Library.number('group', group, 0xfffffffe) + 1 : 0
    options[:shm_dir] = scratch.name('shm_dir', shm_dir)
    options[:expected_entities] =
      Library.number('expected_entities', expected_entities, Library::U64)
    options[:cache_bytes] =
      Library.number('cache_bytes', cache_bytes, Library::U64)
    Library.check Library.cop_create(scratch.path(path), options)
  end

  # Opens a store; see {Store.open}.
  #
  # @return [Store]
  def open(path, **options, &block)
    Store.open(path, **options, &block)
  end

  # Removes a store's shared memory; nothing durable changes.
  #
  # @raise [BusyError] while any process is attached
  def detach(path)
    Library.check Library.cop_detach(Scratch.new.path(path))
  end
end
