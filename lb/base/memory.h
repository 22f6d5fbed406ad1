/*
 * memory: allocation for start and reload, where running out ends the
 * program; the data path's own allocations are checked and refused instead.
 */
#ifndef PERCH_BASE_MEMORY_H
#define PERCH_BASE_MEMORY_H

#include <stddef.h>

/* Bytes of a cache line: what is read or written together should share few. */
#define MEMORY_LINE 64

/* Zeroed. Never NULL: exits with a message instead. */
void *memory_zalloc(size_t size);
/* n * size, zeroed, checked for overflow; never NULL, even where n is 0. */
void *memory_zalloc_array(size_t n, size_t size);
/* The same for one object, at the start of a cache line. */
void *memory_zalloc_lines(size_t size);
void *memory_realloc_array(void *old, size_t n, size_t size);
char *memory_strdup(const char *string);
/* A NUL-terminated copy. */
char *memory_strndup(const char *bytes, size_t len);

#endif
