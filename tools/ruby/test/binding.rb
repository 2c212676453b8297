# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

# The gem: what it reads, writes and refuses; threads and forks.

require_relative 'claims'
require 'timeout'

path = ARGV.fetch(0)
Coppice.create path, dim: 3, metric: :cosine
store = Coppice.open(path, name: 'test')

# ---- writing, and reading what was written

given = { 'born' => 1815, 'height' => 1.5, 'alive' => false, 'none' => nil,
          'text' => "\u00e4\0\u{1f600}", 'list' => [1, [2.5, 'x'], []],
          'map' => { 'a' => 1, 'b' => { 'c' => [true] } }, 'empty' => {},
          'small' => -(1 << 63) }
commit = store.write do |tx|
  tx.put 'ada', given, type: 'person', tags: %w[math new],
                       content: "notes\0\xff".b, vector: [1, 0, 0]
  tx.put 'grace', type: 'person', tags: 'navy', vector: [0.9, 0.1, 0]
  tx.put :alan, { n: :symbol }, type: 'person', vector: [0, 1, 0].pack('f*')
  tx.put 'dog.n.1'
  tx.link 'ada', 'knows', 'grace', { since: 1952 }
  tx.link 'grace', 'knows', 'alan'
end
is commit, 1, 'a write is the first commit'
ada = store['ada']
is [ada.key, ada.type, ada.version], ['ada', 'person', 1], 'an entity'
is ada.tags, %w[math new], 'its tags'
is ada.properties, given, 'its properties, as they were put'
is [ada['born'], ada['nothing'], ada.key?('none'), ada.key?('nothing')],
   [1815, nil, true, false], 'one property by name'
is [ada.fetch('nothing', 7), ada.fetch('nothing') { |name| name },
    raised { ada.fetch('nothing') }], [7, 'nothing', KeyError], 'fetch'
is ada.map { |name, _| name }, given.keys, 'it is enumerable'
is ada.content, "notes\0\xff".b, 'its content, bytes'
is ada.vector, [1.0, 0.0, 0.0], 'its vector'
is store['alan']['n'], 'symbol', 'symbols are text'
is [store['dog.n.1'].vector, store['dog.n.1'].content,
    store['dog.n.1'].to_h], [nil, nil, {}], 'and none of these'
is [store['nobody'], store["\0"], store.key?('ada'), store.include?('x')],
   [nil, nil, true, false], 'absence is an answer'
is [store.fetch('x', 1), store.fetch('x') { 2 }, raised { store.fetch('x') }],
   [1, 2, KeyError], 'or what fetch is told'
is [store.size, store.empty?, store.dim, store.metric], [4, false, 3, :cosine],
   'figures'
is store.stat[:vectors], 3, 'and more of them'
is store.map { |key, _| key }, %w[ada alan dog.n.1 grace],
   'all entities in order of keys'
is store.to_h.transform_values(&:type)['ada'], 'person', 'as a Hash'
is store.each.with_index.map { |(key, _), i| [i, key] }[1], [1, 'alan'],
   'an Enumerator'
is [store.keys('a'), store.keys(limit: 1), store.keys('x'),
    store.keys(limit: 0)], [%w[ada alan], ['ada'], [], []], 'keys by prefix'
is store.each('dog.').to_a.flatten.map(&:to_s),
   ['dog.n.1', '#<Coppice::Entity "dog.n.1">'], 'entities by prefix'

# ---- search, walk, path

hits = store.search([1, 0, 0], k: 2)
is hits.map(&:key), %w[ada grace], 'the nearest come first'
ok hits[0].distance < 1e-3 && hits[0].distance < hits[1].distance,
   'with their distances', hits
is store.search(ada.packed_vector, k: 1).map(&:key), ['ada'], 'a packed vector'
is store.search([1, 0, 0], type: 'person', tag: 'navy').map(&:key), ['grace'],
   'type and tag'
is store.search([1, 0, 0], tag: %w[math new]).map(&:key), ['ada'],
   'all of several tags'
is store.search([1, 0, 0], any_tag: %w[math navy]).map(&:key), %w[ada grace],
   'any of several tags'
is store.search([1, 0, 0], prefix: 'al').map(&:key), ['alan'], 'prefix'
is store.search([0, 1, 0], within: 'ada', exclude: 'ada').map(&:key), ['grace'],
   'within, and exclude'
is store.search([0, 1, 0], threshold: 0.1, exact: true).map(&:key), ['alan'],
   'threshold, exact'
store.search([0, 1, 0], strategy: :scan, ef: 50, report: report = {})
is [report[:strategy], report[:is_complete]], [:scan, true],
   'a report says how it went'
is store.search([0, 1, 0], type: 'never seen'), [], 'a type never seen'
steps = store.walk('ada', hops: 2)
is steps.map(&:key), %w[ada grace alan], 'a walk'
is [steps[2].hops, steps[2].relation, steps[2].direction, steps[2].origin,
    steps[0].relation], [2, 'knows', :out, 1, nil], 'its steps'
is store.walk('alan', hops: nil, direction: :in).map(&:key),
   %w[alan grace ada], 'as far as it goes, against the edges'
is store.path('ada', 'alan').map(&:key), %w[ada grace alan], 'a path'
is store.path('alan', 'ada'), [], 'and none'
is store.neighbors('grace', direction: :both)
        .map { |near| [near.key, near.relation, near.direction] },
   [['alan', 'knows', :out], ['ada', 'knows', :in]], 'neighbors'
is store.neighbors('grace', relation: 'knows', direction: :both, limit: 1).size,
   1, 'and not all of them'
is store.edge('ada', 'knows', 'grace').properties, { 'since' => 1952 },
   'an edge with its properties'
is [store.edge('grace', 'knows', 'ada'), store.edge('x', 'y', 'z')],
   [nil, nil], 'and none'

# ---- snapshots

snapshot = store.snapshot
store.write do |tx|
  tx.delete 'grace'
  tx.tag 'ada', 'third'
  tx.untag 'ada', 'new'
end
is [snapshot.key?('grace'), store.key?('grace')], [true, false],
   'a snapshot stays as it is'
is [snapshot.commit, store.snapshot(&:commit)], [1, 2], 'its commit'
is store['ada'].tags, %w[math third], 'tags come and go'
is(store.snapshot(as_of: 1) { |old| old.search([1, 0, 0], k: 2).map(&:key) },
   %w[ada grace], 'a search of the past')
is store.snapshot(as_of: Time.now + 3600, &:commit), 2,
   'the newest commit at a time'
store.write { |tx| tx.undelete 'grace' }
is store['grace'].tags, ['navy'], 'undelete'
store.write do |tx|
  tx.link 'ada', 'was', 'alan', valid: Time.utc(2000)..Time.utc(2001)
end
counts = [1999, 2000, 2001].map do |year|
  store.snapshot do |now|
    now.valid_at(Time.utc(year, 6)).neighbors('ada', relation: 'was').size
  end
end
is counts, [0, 1, 0], 'valid at a time in the world'
entity = snapshot['ada']
is entity.read_content(3, 100), "es\0\xff".b, 'part of the content'
snapshot.close
is [raised { snapshot['ada'] }, raised { entity.tags }, snapshot.closed?],
   [Coppice::ClosedError, Coppice::ClosedError, true], 'closed is closed'

# ---- writes that fail

before = store.snapshot(&:commit)
is raised { store.write { |tx| tx.put('half') && raise(IndexError) } },
   IndexError, 'what is raised in a write comes out'
store.write { |tx| tx.put('half') && break }
is raised {
  store.write do |tx|
    tx.put 'half', vector: [1, 0, 0]
    tx.link 'half', 'to', 'nobody'
  end
}, Coppice::DanglingError, 'an edge to nobody'
is [store.key?('half'), store.snapshot(&:commit)], [false, before],
   'nothing is half applied'
store.write { |tx| tx.link 'ada', 'to', 'stub', dangling: :stub }
ok store.key?('stub'), 'a stub is put if that is wanted'
is raised { store.write { |tx| tx.expect('ada', 1).put('ada') } },
   Coppice::ConflictError, 'a version that is not the expected one'
is store.update('ada') { |old| { 'born' => old['born'] + 1 } },
   { 'born' => 1816 }, 'an update'
is [store['ada'].type, store['ada'].content, store['ada'].vector],
   ['person', "notes\0\xff".b, [1.0, 0.0, 0.0]], 'leaves all else'
tx = store.write
tx.put 'late'
is tx.size, 1, 'a write counts'
ok tx.commit(lazy: true, timeout: 5) > before, 'a lazy commit'
tx.put_vector 'late', [0, 0, 1]
tx.commit
tx.put_vector 'late', nil
tx.delete('stub').unlink('ada', 'was', 'alan').commit
is [store['late'].vector, store.neighbors('ada', relation: 'was')], [nil, []],
   'more than one commit by hand'
tx.abort
is raised { tx.put('x') }, Coppice::ClosedError, 'and no more then'

# ---- what is refused

[
  [Coppice::NotAStoreError, 'no folder', -> { Coppice.open("#{path}-none") }],
  [Coppice::NotAStoreError, 'no store', -> { Coppice.open(__dir__) }],
  [Coppice::ExistsError, 'a second one', -> { Coppice.create(path) }],
  [Coppice::InvalidError, 'a NUL', -> { Coppice.open("#{path}\0") }],
  [Coppice::BadVectorError, 'too short', -> { store.search([1, 0]) }],
  [Coppice::BadVectorError, 'NaN', -> { store.search([1, 0, Float::NAN]) }],
  [Coppice::BadVectorError, 'no number', -> { store.search([1, 0, '1']) }],
  [TypeError, 'no vector', -> { store.search(5) }],
  [Coppice::InvalidError, 'a k too large',
   -> { store.search([1, 0, 0], k: 1 << 32 | 1) }],
  [Coppice::InvalidError, 'a k of 0', -> { store.search([1, 0, 0], k: 0) }],
  [TypeError, 'a k of text', -> { store.search([1, 0, 0], k: '3') }],
  [Coppice::NotFoundError, 'within nobody',
   -> { store.search([1, 0, 0], within: 'nobody') }],
  [Coppice::NoNameError, 'a relation never seen',
   -> { store.walk('ada', relation: 'never') }],
  [Coppice::InvalidError, 'a direction',
   -> { store.walk('ada', direction: 1) }],
  [Coppice::BadKeyError, 'an empty key', -> { store.write.put('') }],
  [Coppice::BadTextError, 'a property that is no UTF-8',
   -> { store.write.put('k', { 'a' => "\xff" }) }],
  [Coppice::BadTextError, 'text that cannot be UTF-8',
   -> { store.write.put("\xd8\x00".dup.force_encoding('UTF-16BE')) }],
  [Coppice::InvalidError, 'an Integer of 64 bits',
   -> { store.write.put('k', { 'a' => 1 << 63 }) }],
  [TypeError, 'no key', -> { store.write.put(nil) }]
].each { |error, what, work| is raised(&work), error, "refused: #{what}" }
begin
  store.write.put('')
rescue Coppice::Error => e
  ok e.code == -31001 && e.message.include?('key'),
     'an error has the words and the number of the library', e
end

10.times { store.dup.dim }
GC.start
is store.dim, 3, 'a copy is another name of it, and may go'

# ---- threads

many = Array.new(8) do |number|
  Thread.new do
    200.times do |i|
      store.search([1, number, i])
      store.write(lazy: true) { |mine| mine.put "t#{number}" } if (i % 20).zero?
      store.fetch('ada').tags
    end
  end
end
ok many.map(&:value).size == 8, 'eight threads use one store'
shared = store.snapshot
list = shared['ada']
many = Array.new(8) do
  Thread.new do
    300.times do
      shared.search([1, 0, 0])
      list.fetch('born')
      shared.keys('t')
    end
  rescue Coppice::ClosedError
    :closed
  end
end
sleep 0.05
shared.close
ok many.map(&:value).uniq - [:closed, 300] == [],
   'and one snapshot, until it is closed under them'
running = Thread.new { 200.times { store.search([1, 0, 0]) } }
running.join
done = 0
counting = Thread.new { loop { done += 1 } }
writing = Array.new(4) do |number|
  Thread.new { 25.times { store.write { |mine| mine.put "w#{number}" } } }
end
writing.each(&:join)
counting.kill
ok done.positive?, 'others run while it commits'
killed = Array.new(60) do |i|
  thread = Thread.new { loop { store.keys && store.search([1, 0, 0]) } }
  sleep 0.0005 * (i % 9)
  thread.kill
  thread
end
killed.each(&:join)
is raised { Timeout.timeout(0.05) { loop { store.keys } } }, Timeout::Error,
   'threads are killed, and time is up, in the middle of calls'
ok store.key?('ada'), 'and it serves on'

# ---- forks

kept = store.snapshot
reader, writer = IO.pipe
child = fork do
  writer.puts [raised { kept['ada'] }, store['ada'].type].inspect
  store.write { |mine| mine.put 'from-the-child' }
end
Process.wait child
writer.close
is [$?.exitstatus, reader.read.chomp],
   [0, '[Coppice::ForkedError, "person"]'],
   'a child uses the store, and not the snapshot'
ok store.key?('from-the-child') && kept['ada'], 'its parent goes on'

# ---- lifetimes

store.close
is raised { store['ada'] }, Coppice::ClosedError, 'a closed store'
is kept['ada'].type, 'person', 'its snapshots live on'
is raised { Coppice.detach(path) }, Coppice::BusyError, 'and keep it attached'
kept.close
tx = entity = list = snapshot = shared = nil
left = 100.times.find do
  GC.start
  raised { Coppice.detach(path) }.nil?
end
ok left, 'until they are closed, or collected'
system RbConfig.ruby, '-I', $LOAD_PATH[0], '-rcoppice', '-e', <<~'RUBY', path
  store = Coppice.open(ARGV[0])
  $kept = 50.times.map { [store.snapshot, store.write.put('x'), store['ada']] }
  $store = store
RUBY
is $?.exitstatus, 0, 'what is left at exit is given back in any order'
Coppice.detach path
