/*
 * words: names, hosts, paths, addresses and keys, as a configuration writes
 * them; value.c's table says which type is read by which function.
 *
 * Each reads the whole of text and writes out in its canonical form. False
 * leaves out alone; the error is set where there is more to say than what the
 * type expects.
 */
#ifndef PERCH_CONFIG_WORDS_H
#define PERCH_CONFIG_WORDS_H

#include <stdbool.h>

#include "base/error.h"
#include "base/slice.h"
#include "config/schema.h"

/* To a char *, allocated; words_release_string() frees it. */
bool words_parse_name(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_user(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_path(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_log_target(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_access_file(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_field_name(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_protocol(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_cookie_name(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_domain(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_host(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_authority(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_prefix(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
bool words_parse_target(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
/* To a struct cidr. */
bool words_parse_cidr(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
/* To a struct address. */
bool words_parse_bind(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
/* To a char *. */
bool words_parse_admin_bind(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
/* To name, host and port of a struct config_endpoint. */
bool words_parse_endpoint(const struct schema_key *key, struct slice text,
	void *out, struct error *error);
/* To a char *. */
bool words_parse_url(const struct schema_key *key, struct slice text, void *out,
	struct error *error);
/* To a struct config_key. */
bool words_parse_key(const struct schema_key *key, struct slice text, void *out,
	struct error *error);

/* Free what the value points at. */
void words_release_string(void *value);
void words_release_endpoint(void *value);
void words_release_key(void *value);

#endif
