# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

# Calls with arguments of every kind, by chance: exceptions are answers, the end
# of the interpreter is not; and memory that does not grow over 100,000 calls.
# SEED=n makes a run again, CALLS=n sets how many.

require_relative 'claims'

seed = Integer(ENV['SEED'] || rand(1 << 30))
calls = Integer(ENV['CALLS'] || 100_000)
puts "# SEED=#{seed}"
chance = Random.new(seed)
path = ARGV.fetch(0)
Coppice.create path, dim: 4
store = Coppice.open(path)
fill = lambda do
  store.write do |tx|
    50.times do |i|
      tx.put "key-#{i}", { n: i, list: [1, 'two', { x: 3 }] },
             type: 'T', tags: ["t#{i}", 'all'], content: 'c' * 10 * i,
             vector: [1, i, i * i, 1]
      tx.link "key-#{i}", 'next', "key-#{(i + 1) % 50}", dangling: :stub
    end
  end
end
fill.call

# ---- anything for anything

loop_hash = { 'x' => 1 }
loop_hash['loop'] = loop_hash
loop_list = [1, 2, 3]
loop_list << loop_list
ODD = [
  nil, true, 0, 1, -1, 1 << 31, 1 << 32, (1 << 32) + 1, 1 << 63, 1 << 64,
  -(1 << 200), 1e300, Float::NAN, -Float::INFINITY, 0.5, 1r, 2i, '', "\0",
  "a\0b", "\xff\xfe", "\xff".b, 'key-7', 'next', 'all', 'k' * 481,
  'x' * (1 << 20), "\u00e9".encode('UTF-16LE'),
  "\xd8".dup.force_encoding('UTF-16BE'),
  :key, :both, :in, :scan, 'kdtree', [], [1, 2, 3, 4], [Float::NAN, 1, 1, 1],
  [0, 0, 0, 0], [1e39, 0, 0, 0], ['1', 2, 3, 4], [[1], 2, 3, 4],
  [1 << 200, 1, 1, 1], [nil] * 4, [1r, 2, 3, 4], Array.new(5000, 0.5),
  [1, 2, 3, 4].pack('f*'), [1, 2, 3].pack('f*') + 'x', {}, loop_hash, loop_list,
  { a: { b: 1 } }, { nil => 1 }, { [1] => 2 }, { 'a' => Object.new }, Time.now,
  Time.at(1 << 40), (Time.now..), (1..2), ('a'..'b'), Object.new, BasicObject,
  Class, $stdout, -> {}, %w[all T], ['all'] * 20, ["a\0b"], [Object.new],
  Struct.new(:a).new(1), FFI::MemoryPointer.new(8), Coppice::KEEP, 2, 3
].freeze
any = -> { ODD.sample(random: chance) }
# What is as it should be, more often than not.
likely = lambda do |name|
  next any.call if chance.rand(3).zero?

  case name
  when :vector then [1, 2, 3, 4]
  when :properties then { 'a' => [1, { b: nil }] }
  when :k, :hops, :limit, :ef, :version, :size, :offset, :discriminator, :commit
    chance.rand(50)
  when :prefix then 'key-1'
  when :direction then %i[in out both].sample(random: chance)
  when :strategy then %i[auto scan hnsw].sample(random: chance)
  when :threshold, :timeout then chance.rand * 2
  when :relation then 'next'
  when :tag, :tags, :any_tag then 'all'
  when :type then 'T'
  when :report then {}
  when :exact, :lazy then true
  when :as_of, :time then chance.rand(9)
  when :valid then [Time.at(0), nil]
  when :dangling then :stub
  else "key-#{chance.rand(60)}"
  end
end
raised = Hash.new(0)
SKIPPED = %i[write update close abort use keep snapshot closed? each_entry
             cycle lazy].freeze
methods_of = lambda do |type|
  names = type.public_instance_methods(false)
  names |= Coppice::Reading.public_instance_methods(false) if
    type < Coppice::Reading
  names - SKIPPED
end
call = lambda do |object, name|
  positional = []
  named = {}
  object.method(name).parameters.each do |kind, parameter|
    case kind
    when :req then positional << likely.call(parameter)
    when :opt then positional << likely.call(parameter) if chance.rand(2).zero?
    when :key
      named[parameter] = likely.call(parameter) if chance.rand(3).zero?
    when :rest then positional << any.call if chance.rand(4).zero?
    end
  end
  begin
    answer = object.public_send(name, *positional, **named)
    answer.first(3) if answer.is_a?(Enumerator)
  rescue StandardError => e
    raised[e.class] += 1
  end
end
tables = [Coppice::Store, Coppice::Snapshot, Coppice::Entity, Coppice::Write]
         .to_h { |type| [type, methods_of.call(type)] }
tx = snapshot = entity = nil
calls.times do |i|
  if (i % 97).zero?
    tx&.abort
    snapshot&.close if chance.rand(4).positive?
    tx = store.write
    snapshot = store.snapshot
    entity = snapshot["key-#{chance.rand(50)}"] || store['key-1']
  end
  object = [store, snapshot, entity, tx].compact.sample(random: chance)
  call.call object, tables[object.class].sample(random: chance)
end
ok true, "#{calls} calls with anything for arguments leave Ruby alive"
unexpected = raised.keys.reject do |error|
  error <= Coppice::Error ||
    [TypeError, KeyError, ArgumentError, RangeError,
     Coppice::ClosedError].include?(error)
end
ok raised.size >= 8 && unexpected.empty?, 'and are answered by errors', raised
[
  -> { Coppice.create("#{path}-odd", dim: 1) },
  -> { Coppice.create("#{path}-odd", dim: -1) },
  -> { Coppice.create("#{path}-odd", dim: 1 << 64) },
  -> { Coppice.create("#{path}-odd", dim: 3, metric: 'none') },
  -> { Coppice.create("#{path}-odd", mode: 0o1777) },
  -> { Coppice.create("#{path}-odd", shm_dir: '/nowhere') },
  -> { Coppice.open(path, timeout: Float::NAN) },
  -> { Coppice.open(path, timeout: -1) },
  -> { Coppice.open(path, name: "a\0") }
].each_with_index do |work, i|
  is raised(&work), Coppice::InvalidError, "refused: #{i}"
end
is raised { Marshal.dump(snapshot) }, TypeError, 'a snapshot is not dumped'
empty = [Coppice::Snapshot, Coppice::Write, Coppice::Store].map(&:allocate)
is empty.map { |one| raised { one.size } }, [NoMethodError] * 3,
   'what was never begun is of no use'

# ---- collected at any moment

tx.abort
snapshot.close
fill.call
GC.stress = true
3.times do |i|
  store.search([1, 2, 3, i], k: 3, tag: 'all').size
  store['key-3'].properties
  store.keys('key-1')
  store.write { |w| w.put 'key-3', { list: [1, { a: 'b' }] }, tags: %w[a all] }
end
GC.stress = false
is store['key-3'].to_h, { 'list' => [1, { 'a' => 'b' }] },
   'under GC.stress nothing goes that is in use'

# ---- memory

resident = lambda do
  File.read('/proc/self/status')[/^RssAnon:\s+(\d+)/, 1].to_i
end
round = lambda do |times|
  times.times do |i|
    key = "key-#{i % 50}"
    store.search([1, 2, i % 7, 1], k: 5, tag: 'all')
    store[key]&.properties
    store.neighbors('key-1', direction: :both)
    store.keys('key-1')
    write = store.write
    write.put key, { n: i, list: [1, { a: 2 }] },
              tags: ['all'], content: 'text', vector: [1, 2, 3, i]
    write.abort unless (i % 3).zero?
  end
end
round.call 5000
GC.start
before = resident.call
round.call calls / 5
GC.start
after = resident.call
ok after - before < 16_384, "#{calls} calls more take no memory", before, after
store.close
