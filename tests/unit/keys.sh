#!/bin/sh
# Every key of perch.yaml is documented, has an example and is used.
exec "${srcdir:-.}/tools/check_keys.py" "${srcdir:-.}" ./perch
