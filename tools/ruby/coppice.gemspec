# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = 'coppice'
  spec.version = '0.1.0'
  spec.summary = 'One knowledge graph with vectors, shared by all ' \
                 'processes of a machine'
  spec.description = <<~TEXT
    Each process attaches one shared copy and searches and walks it at
    in-process speed; any of them may write, and what one commits every other
    one sees.  The gem calls libcoppice.so.0, which is installed apart.
  TEXT
  spec.authors = ['The coppice authors']
  spec.license = 'Apache-2.0'
  spec.required_ruby_version = '>= 3.0'
  spec.files = Dir['lib/**/*.rb', 'README.md', base: __dir__]
  spec.add_runtime_dependency 'ffi', '~> 1.15'
end
