/*
 * config: what a configuration file says, as a plain result.
 *
 * Made whole by config_load() on the control thread, read by whoever builds a
 * snapshot from it, freed by config_free(). Every default has been filled in,
 * every value is inside its range, and every reference (a service's stable
 * version, its plan) has been checked. The keys, their types, defaults and ranges stand
 * in schema.c's table and nowhere else.
 *
 * Durations are nanoseconds, sizes bytes.
 */
#ifndef PERCH_CONFIG_CONFIG_H
#define PERCH_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/address.h"
#include "base/error.h"
#include "base/log.h"
#include "base/secret.h"

/* timeouts: the global ones; a service may override those marked (s). */
struct config_timeouts {
	uint64_t header_ns;        /* header: client's head, first byte to last; 10s */
	uint64_t body_ns;          /* body: client idle while a body is sent or taken; 30s */
	uint64_t idle_ns;          /* idle: client keep-alive; 60s */
	uint64_t half_closed_ns;   /* half_closed: client that closed its sending side; 10s */
	uint64_t unready_ns;       /* unready: not ready, but serving, before a graceful stop; 0 */
	uint64_t shutdown_ns;      /* shutdown: limit of a graceful stop; 30s */
	uint64_t upstream_idle_ns; /* upstream_idle: unused upstream connection; 60s */
	uint64_t connect_ns;       /* connect: to an endpoint (s); 2s */
	uint64_t queue_ns;         /* queue: wait for an upstream connection (s); 5s */
	uint64_t response_ns;      /* response: request sent to response head (s); 60s */
	uint64_t response_idle_ns; /* response_idle: between reads of a response body (s); 30s */
	uint64_t tunnel_ns;        /* tunnel: idle upgraded connection (s); 1h */
};

struct config_limits {
	uint64_t connections;          /* client connections, all workers; 20000 */
	uint64_t head;                 /* bytes of a head; 16KiB, 1KiB to 64KiB */
	uint64_t target;               /* bytes of a request target; 8KiB */
	uint64_t fields;               /* fields of a head; 100, 8 to 250 */
	uint64_t body;                 /* request body; 0: no limit; (s); 0 */
	uint64_t endpoint_connections; /* per endpoint, all workers; (s) 1024 */
	uint64_t endpoint_idle;        /* unused ones kept, per endpoint and worker; (s) 256 */
	uint64_t pending;              /* requests waiting for a connection, per endpoint and worker; (s) 1024 */
};

enum config_access_format {
	CONFIG_ACCESS_OFF, /* default */
	CONFIG_ACCESS_COMMON,
	CONFIG_ACCESS_COMBINED,
	CONFIG_ACCESS_JSON,
};

struct config_log {
	enum log_level level; /* error, warn, info (default), debug */
	char *target;         /* "stderr" (default), "syslog" or a path */
	struct {
		enum config_access_format format;
		char *file; /* a path, or "stdout" (default) */
	} access;
};

struct config_listener {
	struct address bind; /* IP and port; "*:80" is [::]:80 taking IPv4 too */
};

/* Where a client key or a balance key comes from. */
enum config_key_source {
	CONFIG_KEY_HEADER,  /* "header NAME" */
	CONFIG_KEY_COOKIE,  /* "cookie NAME" */
	CONFIG_KEY_ADDRESS, /* "address": the client's */
	CONFIG_KEY_CLIENT,  /* "client": its cell; balance.key only */
	CONFIG_KEY_PATH,    /* "path": target without query; balance.key only */
};

struct config_key {
	enum config_key_source source;
	char *name; /* of the header or cookie, else NULL */
};

/* An endpoint: "HOST:PORT" or {address: HOST:PORT, weight: 3}. */
struct config_endpoint {
	char *name; /* "host:port" as in logs, in its canonical form */
	char *host; /* no brackets */
	uint16_t port;
	unsigned weight; /* 1 to 1000; 1 */
};

struct config_version {
	char *name; /* [A-Za-z0-9._-]{1,64} */
	struct config_endpoint *endpoints; /* at least one, no two alike */
	size_t n_endpoints;
};

enum config_switch { CONFIG_FALSE, CONFIG_TRUE };

enum config_policy {
	CONFIG_LEAST_REQUEST, /* default */
	CONFIG_ROUND_ROBIN,
	CONFIG_MAGLEV,
};

enum config_pin { CONFIG_PIN_DOCUMENT, CONFIG_PIN_SESSION, CONFIG_PIN_NONE };
enum config_override {
	CONFIG_OVERRIDE_OFF, /* default */
	CONFIG_OVERRIDE_TRUSTED,
	CONFIG_OVERRIDE_ANY,
	CONFIG_OVERRIDE_KEY,
};
enum config_identity { CONFIG_IDENTITY_COOKIE, CONFIG_IDENTITY_KEY };
/* Who has neither cookie nor key, and won't get one. */
enum config_anonymous {
	CONFIG_ANONYMOUS_ADDRESS, /* default */
	CONFIG_ANONYMOUS_RANDOM,
	CONFIG_ANONYMOUS_STABLE,
};
enum config_same_site {
	CONFIG_SAME_SITE_LAX, /* default */
	CONFIG_SAME_SITE_NONE,
	CONFIG_SAME_SITE_STRICT,
};
enum config_secure {
	CONFIG_SECURE_AUTO, /* default */
	CONFIG_SECURE_ALWAYS,
	CONFIG_SECURE_NEVER,
};
enum config_cacheable {
	CONFIG_CACHEABLE_PRIVATE, /* default */
	CONFIG_CACHEABLE_STRICT,
	CONFIG_CACHEABLE_KEEP, /* warns when the file is loaded */
};

struct config_sticky {
	char *header; /* X-Perch-Version; a field name */
	char *cookie; /* perch; a cookie name */
	struct config_key *key; /* default empty */
	size_t n_key;
	enum config_pin pin;
	enum config_override override;
	enum config_identity identity;
	enum config_anonymous anonymous;
	enum config_cacheable cacheable;
	char *domain; /* Domain of the cookie; NULL: none */
	uint64_t lifetime_ns; /* Max-Age; 0 (default): a session cookie */
	enum config_same_site same_site;
	enum config_switch partitioned; /* false */
	enum config_secure secure;
	char *override_keys; /* a file of secrets; NULL: none */
	struct secrets override_secrets; /* what is in it */
};

/* Status codes from first to last, both among them: "404", "500-599". */
struct config_statuses {
	unsigned first;
	unsigned last;
};

/* Active checks of a service's endpoints. */
struct config_health {
	bool is_on;           /* the key is there, even if empty */
	char *path;           /* target of the GET; NULL: a TCP connect will do */
	char *host; /* its Host; NULL: see proxy/health */
	uint64_t interval_ns; /* from a check's end to the next one; 2s */
	uint64_t timeout_ns;  /* for the whole check; 1s */
	unsigned rise;        /* so many good ones in a row: up; 2 */
	unsigned fall;        /* so many bad ones in a row: down; 3 */
	struct config_statuses *statuses; /* which are good; 200-399 */
	size_t n_statuses;
};

/* Methods that may be asked twice. */
enum config_shield_method {
	CONFIG_SHIELD_GET,
	CONFIG_SHIELD_HEAD,
	CONFIG_SHIELD_OPTIONS,
	CONFIG_SHIELD_TRACE,
	CONFIG_SHIELD_PUT,
	CONFIG_SHIELD_DELETE,
};

struct config_shield {
	uint64_t budget; /* percent of requests, 0 to 100: off; 20 */
	enum config_shield_method *methods; /* GET, HEAD, OPTIONS, TRACE */
	size_t n_methods;
};

enum config_on_rollback { CONFIG_TUNNELS_CLOSE, CONFIG_TUNNELS_KEEP };

/* What a rolled-back candidate still has open. */
struct config_tunnels {
	enum config_on_rollback on_rollback; /* close */
	uint64_t close_after_ns; /* each at a random moment within; 30s */
};

struct config_balance {
	enum config_policy policy;
	struct config_key *key; /* default [client]; first that is present */
	size_t n_key;
	enum config_switch affinity;     /* endpoint in the cookie; false */
	enum config_switch bounded_load; /* maglev: 1.25; false */
};

struct config_rescue {
	uint64_t budget; /* percent of requests, 0 to 100: off; 20 */
	uint64_t timeout_ns; /* timeout: another version's response head; 1s */
	uint64_t for_ns; /* for: how long a version helps out; 1h */
};

struct config_service {
	char *name; /* [A-Za-z0-9._-]{1,64}, unique */
	char *group; /* released with the others of that name; NULL: alone */
	char *plan;  /* one of plans, or "default"; NULL: that one */
	struct {
		char **hosts; /* lower-case; "a.b", "*.b"; default ["*"]: any host */
		size_t n_hosts;
		char **paths; /* prefixes that start with "/"; default ["/"] */
		size_t n_paths;
	} match;
	struct config_version *versions; /* at least one, in file order */
	size_t n_versions;
	char *stable; /* one of versions; required unless there is just one */
	struct config_sticky sticky;
	struct config_balance balance;
	uint64_t drain_ns; /* drain: old version after a promotion; 10m */
	struct config_rescue rescue;
	uint64_t warmup_ns; /* warmup: an endpoint that came up isn't timed; 30s */
	struct config_health health;
	struct config_shield shield;
	struct config_tunnels tunnels;
	char **upgrades; /* the global ones, overridden */
	size_t n_upgrades;
	struct config_timeouts timeouts; /* the global ones, overridden */
	struct config_limits limits;     /* the global ones, overridden */
};

enum config_advance { CONFIG_ADVANCE_TIMED, CONFIG_ADVANCE_PROVEN };
enum config_on_harm { CONFIG_ON_HARM_ROLLBACK, CONFIG_ON_HARM_FREEZE };

/* How a release goes from its first share to everybody. */
struct config_plan {
	char *name;         /* never "default" in a file */
	unsigned *steps_bp; /* steps: hundredths of a percent, rising to 10000 */
	size_t n_steps;     /* at least one */
	uint64_t hold_ns;   /* hold: the least time at a step; 60s */
	uint64_t min_clients; /* of the candidate, seen at a step; 50 */
	enum config_switch is_auto;  /* auto: goes on by itself; true */
	enum config_advance advance; /* timed; or proven to be safe */
	enum config_on_harm on_harm; /* rollback; or freeze the share */
	double false_rollback; /* alpha of a whole release; 0.001 */
	double tolerance;      /* times as many hurt as stable's is no harm; 1 */
	double worse;          /* proven: not so many times as bad; 2 */
	struct config_statuses *error_statuses; /* 500-599 */
	size_t n_error_statuses;
	struct {
		double tolerance;   /* stable's times this ... */
		uint64_t margin_ns; /* ... and this is no harm; 1.2, 5ms */
	} latency;
	char **watch; /* services of other units, no two alike; none */
	size_t n_watch;
	enum config_switch watch_client_errors; /* their 4xx count too; false */
	unsigned max_error_rate_bp; /* of clients, hundredths of a percent; 0: off */
};

/* What notify.events lists; config_event_names has their names. */
enum config_event {
	CONFIG_EVENT_STARTED,
	CONFIG_EVENT_ADVANCED,
	CONFIG_EVENT_RETREATED,
	CONFIG_EVENT_HELD,
	CONFIG_EVENT_RUNNING,
	CONFIG_EVENT_PAUSED,
	CONFIG_EVENT_RESUMED,
	CONFIG_EVENT_SHARE_SET,
	CONFIG_EVENT_FROZEN,
	CONFIG_EVENT_ROLLED_BACK,
	CONFIG_EVENT_PROMOTED,
	CONFIG_EVENT_UNTRUSTED,
	CONFIG_EVENT_JOURNAL_FAILED,
	CONFIG_EVENT_JOURNAL_RECOVERED,
	CONFIG_N_EVENTS,
};

/* By enum config_event; NULL after the last one. */
extern const char *const config_event_names[CONFIG_N_EVENTS + 1];

enum config_webhook_format {
	CONFIG_WEBHOOK_JSON, /* default */
	CONFIG_WEBHOOK_SLACK,
	CONFIG_N_WEBHOOK_FORMATS,
};

struct config_webhook {
	char *url; /* that base/url takes apart; no two alike */
	enum config_event *events; /* default: all */
	size_t n_events;
	enum config_webhook_format format;
	char *ca; /* a PEM file; NULL: whom the system trusts */
};

struct config_admin {
	char **bind; /* "127.0.0.1:9900" (default), "[::1]:9900", "unix:/run/perch.sock" */
	size_t n_bind; /* 0 where `bind: []`: no admin server */
};

/* How a request's path is compared with match.paths. */
enum config_paths { CONFIG_PATHS_CANONICAL, CONFIG_PATHS_AS_IS };

/* What becomes of a field that passes for another by its underscores. */
enum config_underscores {
	CONFIG_UNDERSCORES_DROP,
	CONFIG_UNDERSCORES_PASS,
	CONFIG_UNDERSCORES_REFUSE,
};

struct config {
	unsigned workers; /* 0: auto, one per core; at most 256 */
	char *user;       /* NULL: stay */
	struct cidr *trusted_proxies; /* default 127.0.0.0/8 and ::1 */
	size_t n_trusted_proxies;
	enum config_paths paths; /* canonical (default); as_is: as it came */
	char **forwarded_fields; /* a proxy's claims that anybody may make; none */
	size_t n_forwarded_fields;
	enum config_underscores underscores; /* drop (default), pass, refuse */
	char **upgrades; /* protocols that may be switched to; (s) websocket */
	size_t n_upgrades;
	struct config_timeouts timeouts;
	struct config_limits limits;
	struct config_log log;
	struct config_listener *listeners; /* at least one, no two alike */
	size_t n_listeners;
	struct config_service *services; /* at least one; no two with one host and path */
	size_t n_services;
	struct config_plan *plans; /* may be none */
	size_t n_plans;
	struct config_webhook *notify;
	size_t n_notify;
	struct config_admin admin;
	struct {
		char *secret; /* a file of secrets; NULL: state_dir's own */
		struct secrets secrets; /* what is in it */
	} sticky;
	char *state_dir; /* NULL: keep no state, and warn */
};

/*
 * All that is wrong with a file, in the order of its places. Each message is
 * one line, "perch.yaml:12:7: ...".
 */
struct config_report {
	char **errors;
	size_t n_errors;
	char **warnings;
	size_t n_warnings;
};

void config_report_free(struct config_report *report);

/*
 * Reads and checks a file. NULL if anything is wrong; report then says what.
 * The report is the caller's to free either way.
 */
struct config *config_load(const char *path, struct config_report *report);

/* The same from memory; name stands in messages for the file's name. */
struct config *config_parse(const char *name, const char *text, size_t len,
	struct config_report *report);

void config_free(struct config *config);

/*
 * The plan named "default", which has the default of each key. Made at the
 * first call, on the control thread, and never freed.
 */
const struct config_plan *config_default_plan(void);

/* Whether one of the ranges has the status. */
static inline bool
config_statuses_have(
	const struct config_statuses *ranges, size_t n, unsigned status)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (status >= ranges[i].first && status <= ranges[i].last)
			return true;
	return false;
}

/* What the schema's table generates. */
void config_print_json_schema(FILE *out);
void config_print_reference_man(FILE *out);      /* the key list of perch.yaml(5) */
void config_print_reference_markdown(FILE *out); /* the same for docs */

#endif
