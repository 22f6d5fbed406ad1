#!/bin/sh
# Gives each fuzz target its seed corpus, in builds without a fuzzer.
set -eu

for target in head chunked cookie config forward forward_response \
	journal path; do
	"./tests/fuzz/replay_$target" "${srcdir:-.}/tests/fuzz/corpus/$target"
done
