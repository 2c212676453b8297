# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

require 'coppice'
require 'json'
require 'uri'

# The example service: entities, searches and additions over HTTP, JSON in and
# out; a Rack application without a framework.
#
#   GET  /entity?key=K
#   GET  /search?q=TEXT&k=10&type=T&tag=T    by words
#   POST /search    {"vector":[..],"k":10,"type":..,"tag":..}
#   POST /add       {"key":..,"type":..,"tags":[..],"properties":{..},
#                    "content":"text","vector":[..],
#                    "edges":[{"relation":..,"target":..}]}
class Service
  K_MAX = 1000
  NEIGHBORS_MAX = 100
  WORD_ENTITIES = 8
  BODY_BYTES = 24 << 20

  ENDPOINTS = {
    '/entity' => { 'GET' => :entity },
    '/search' => { 'GET' => :search_words, 'POST' => :search_vector },
    '/add' => { 'POST' => :add }
  }.freeze

  # An answer that is not 200.
  class Refusal < StandardError
    attr_reader :status, :headers

    def initialize(status, message, headers = {})
      super(message)
      @status = status
      @headers = headers
    end
  end

  # @param store [Coppice::Store] opened before the workers are forked
  def initialize(store)
    @store = store
  end

  def call(env)
    answer 200, send(endpoint(env), env)
  rescue Refusal => e
    answer e.status, { error: e.message }, e.headers
  rescue Coppice::RequestError => e
    answer 400, { error: e.message }
  rescue Coppice::Error, SystemCallError => e
    answer 503, { error: e.message }
  rescue StandardError => e # a fault of this file's
    env['rack.errors'].puts e.full_message(highlight: false)
    answer 500, { error: 'see the log' }
  end

  private

  # ---- the endpoints

  def entity(env)
    key = arguments(env)['key'] || refuse(400, 'which key?')
    @store.snapshot do |snapshot|
      entity = snapshot[key] || refuse(404, "there is no entity '#{key}'")
      near = snapshot.neighbors(key, direction: :both, limit: NEIGHBORS_MAX)
      { key: entity.key, type: entity.type, tags: entity.tags,
        properties: entity.properties, content: entity.content,
        neighbors: near.map { |one| one.to_h.except(:id) } }
    end
  end

  def search_words(env)
    arguments = arguments(env)
    text = arguments['q'] || refuse(400, 'what to search for? q=')
    k = hits_wanted(arguments.fetch('k', '10'))
    @store.snapshot do |snapshot|
      vector = mean_of(snapshot, text)
      next { hits: [] } unless vector

      hits snapshot, vector, k, arguments['type'], arguments['tag']
    end
  end

  def search_vector(env)
    body = body(env)
    vector = member(body, 'vector', Array) || refuse(400, "'vector' is missing")
    k = hits_wanted(body.fetch('k', 10))
    @store.snapshot do |snapshot|
      hits snapshot, vector, k, member(body, 'type', String),
           member(body, 'tag', String)
    end
  end

  def add(env)
    body = body(env)
    key = required(body, 'key')
    number = @store.write do |tx|
      tx.put key, member(body, 'properties', Hash) || {},
             type: member(body, 'type', String),
             tags: strings(member(body, 'tags', Array) || []),
             content: member(body, 'content', String),
             vector: member(body, 'vector', Array) || Coppice::KEEP
      (member(body, 'edges', Array) || []).each { |edge| link(tx, key, edge) }
    end
    { commit: number }
  end

  def link(write, key, edge)
    refuse 400, 'an edge is no object' unless edge.is_a?(Hash)
    write.link key, required(edge, 'relation'), required(edge, 'target'),
               member(edge, 'properties', Hash) || {}
  end

  # The mean of the vectors of what the words name, nil if nothing has one.
  def mean_of(snapshot, text)
    vectors = text.downcase.scan(/[\p{L}\p{N}_'-]+/).uniq.flat_map do |word|
      snapshot.each("#{word}.", limit: 1000)
              .lazy.filter_map { |_, entity| entity.vector }
              .first(WORD_ENTITIES)
    end
    return if vectors.empty?

    vectors.transpose.map { |numbers| numbers.sum / vectors.size }
  end

  def hits(snapshot, vector, k, type, tag)
    found = snapshot.search(vector, k: k, type: type, tag: tag)
    { hits: found.map do |hit|
      { key: hit.key, distance: hit.distance,
        properties: snapshot[hit.key].to_h }
    end }
  end

  # ---- what a request says

  def endpoint(env)
    methods = ENDPOINTS[env['PATH_INFO']] || refuse(404, 'no such place')
    methods[env['REQUEST_METHOD']] ||
      refuse(405, "#{env['REQUEST_METHOD']} is not for #{env['PATH_INFO']}",
             'Allow' => methods.keys.join(', '))
  end

  def arguments(env)
    pairs = URI.decode_www_form(env['QUERY_STRING'])
    twice = pairs.map(&:first).tally.find { |_, count| count > 1 }
    refuse 400, "#{twice[0]} is there twice" if twice
    pairs.to_h { |name, value| [name, value.scrub] }
  rescue ArgumentError => e
    refuse 400, e.message
  end

  def body(env)
    text = (env['rack.input'].read(BODY_BYTES + 1) || '').dup
    refuse 413, 'the body is too large' if text.bytesize > BODY_BYTES
    text.force_encoding(Encoding::UTF_8)
    refuse 400, 'the body is not UTF-8' unless text.valid_encoding?
    body = JSON.parse(text, create_additions: false)
    body.is_a?(Hash) ? body : refuse(400, 'the body is no JSON object')
  rescue JSON::ParserError, EncodingError
    refuse 400, 'the body is no JSON'
  end

  # A member of a body, of the kind that is wanted, or nil.
  def member(body, name, kind)
    value = body[name]
    return value if value.nil? || value.is_a?(kind)

    refuse 400, "'#{name}' is no #{kind.name.downcase}"
  end

  def required(body, name)
    member(body, name, String) || refuse(400, "'#{name}' is missing")
  end

  def strings(list)
    list.all?(String) ? list : refuse(400, 'a tag is no string')
  end

  def hits_wanted(number)
    number = number.to_i if number.is_a?(String) && number.match?(/\A\d{1,9}\z/)
    return number if number.is_a?(Integer) && number.between?(1, K_MAX)

    refuse 400, "k is a number from 1 to #{K_MAX}"
  end

  def refuse(...)
    raise Refusal.new(...)
  end

  # ---- an answer

  def answer(status, what, headers = {})
    text = "#{JSON.generate(scrubbed(what))}\n"
    [status, { 'Content-Type' => 'application/json',
               'Content-Length' => text.bytesize.to_s,
               'X-Worker' => Process.pid.to_s }.merge(headers), [text]]
  end

  # JSON is UTF-8, and keys and content need not be.
  def scrubbed(what)
    case what
    when Hash then what.to_h { |name, value| [scrubbed(name), scrubbed(value)] }
    when Array then what.map { |value| scrubbed(value) }
    when String then what.dup.force_encoding(Encoding::UTF_8).scrub
    else what
    end
  end
end
