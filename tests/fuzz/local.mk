# libFuzzer targets, built by --enable-fuzzing.
