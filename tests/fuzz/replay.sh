#!/bin/sh
# Gives each fuzz target its seed corpus, in builds without a fuzzer.
set -eu

for target in head chunked cookie; do
	"./tests/fuzz/replay_$target" "${srcdir:-.}/tests/fuzz/corpus/$target"
done
