#include "config/schema.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"

#define MEMBER(object, member) .offset = offsetof(struct object, member)
#define SIZE_OF(object, member) .size = sizeof(((struct object *)0)->member)

#define ONE(path_, type_, object, member)                                      \
	.path = (path_), .shape = SCHEMA_ONE, .type = SCHEMA_##type_,          \
	MEMBER(object, member)
#define GROUP(path_, object, member)                                           \
	.path = (path_), .shape = SCHEMA_GROUP, MEMBER(object, member),        \
	SIZE_OF(object, member)
#define LIST(path_, type_, object, member, n_member)                           \
	.path = (path_), .shape = SCHEMA_LIST, .type = SCHEMA_##type_,         \
	MEMBER(object, member), .n_offset = offsetof(struct object, n_member)
#define OBJECTS(shape_, path_, object, member, n_member, item)                 \
	.path = (path_), .shape = SCHEMA_##shape_, .type = SCHEMA_OBJECT,      \
	MEMBER(object, member), .n_offset = offsetof(struct object, n_member), \
	.size = sizeof(struct item)

#define DEFAULT(text) .def = (text)
#define RANGE(min_, max_) .min = (min_), .max = (max_)
#define ITEMS(min_, max_) .min_items = (min_), .max_items = (max_)
/* The formatter takes the list for a block. */
/* clang-format off */
#define CHOICES(...) .choices = (const char *const[]){__VA_ARGS__, NULL}
/* clang-format on */
#define HELP(text) .help = text
#define EXAMPLE(text) .example = (text)

/* Long enough for anything, short enough to notice a wrong unit. */
#define ANY_TIME RANGE("1ms", "24h")

const struct schema_key schema_keys[] = {
	{ONE("workers", WORKERS, config, workers), DEFAULT("auto"),
		RANGE("1", "256"),
		HELP("Threads that serve clients; auto is one per core. Does "
		     "not change at a reload."),
		EXAMPLE("4")},
	{ONE("user", USER, config, user),
		HELP("The user to become when started as root; without it, "
		     "perch stays root."),
		EXAMPLE("perch")},
	{LIST("trusted_proxies", CIDR, config, trusted_proxies,
		 n_trusted_proxies),
		DEFAULT("127.0.0.0/8, ::1"), ITEMS(0, 1024),
		HELP("Who may name a version in sticky.header, and whose "
		     "X-Forwarded-For is believed: addresses or blocks."),
		EXAMPLE("[10.0.0.0/8, \"::1\"]")},

	{GROUP("timeouts", config, timeouts),
		HELP("How long perch waits, and for what.")},
	{ONE("timeouts.header", DURATION, config, timeouts.header_ns),
		DEFAULT("10s"), ANY_TIME,
		HELP("For a client's request head, from its first byte to its "
		     "last; then 408.")},
	{ONE("timeouts.body", DURATION, config, timeouts.body_ns),
		DEFAULT("30s"), ANY_TIME,
		HELP("For a client that neither sends nor takes any of a body "
		     "that is under way.")},
	{ONE("timeouts.idle", DURATION, config, timeouts.idle_ns),
		DEFAULT("60s"), ANY_TIME,
		HELP("For the next request on a client's connection.")},
	{ONE("timeouts.half_closed", DURATION, config, timeouts.half_closed_ns),
		DEFAULT("10s"), ANY_TIME,
		HELP("For a client that has closed its sending side to take "
		     "the rest.")},
	{ONE("timeouts.shutdown", DURATION, config, timeouts.shutdown_ns),
		DEFAULT("30s"), ANY_TIME,
		HELP("For what is running to end after SIGQUIT.")},
	{ONE("timeouts.upstream_idle", DURATION, config,
		 timeouts.upstream_idle_ns),
		DEFAULT("60s"), ANY_TIME,
		HELP("How long an unused connection to an endpoint is kept. "
		     "Stay below the endpoint's own limit.")},
	{ONE("timeouts.connect", DURATION, config, timeouts.connect_ns),
		DEFAULT("2s"), ANY_TIME,
		HELP("For a connection to an endpoint; then another is "
		     "tried.")},
	{ONE("timeouts.queue", DURATION, config, timeouts.queue_ns),
		DEFAULT("5s"), ANY_TIME,
		HELP("For a free connection to an endpoint that is at its "
		     "limit; then 503.")},
	{ONE("timeouts.response", DURATION, config, timeouts.response_ns),
		DEFAULT("30s"), ANY_TIME,
		HELP("From a request sent to the head of its response; then "
		     "504.")},
	{ONE("timeouts.response_idle", DURATION, config,
		 timeouts.response_idle_ns),
		DEFAULT("30s"), ANY_TIME,
		HELP("Between two reads of a response's body.")},
	{ONE("timeouts.tunnel", DURATION, config, timeouts.tunnel_ns),
		DEFAULT("1h"), RANGE("1ms", "720h"),
		HELP("For an upgraded connection (WebSocket) on which nothing "
		     "moves.")},

	{GROUP("limits", config, limits), HELP("How much perch takes.")},
	{ONE("limits.connections", COUNT, config, limits.connections),
		DEFAULT("20000"), RANGE("1", "10000000"),
		HELP("Client connections, over all workers; more are turned "
		     "away.")},
	{ONE("limits.head", SIZE, config, limits.head), DEFAULT("16KiB"),
		RANGE("1KiB", "64KiB"),
		HELP("Bytes of a request's or response's head; above it 431 "
		     "or 502.")},
	{ONE("limits.target", SIZE, config, limits.target), DEFAULT("8KiB"),
		RANGE("64", "64KiB"),
		HELP("Bytes of a request's target; above it 414.")},
	{ONE("limits.fields", COUNT, config, limits.fields), DEFAULT("100"),
		RANGE("8", "250"),
		HELP("Fields of a head; above it 431 or 502.")},
	{ONE("limits.body", SIZE, config, limits.body), DEFAULT("0"),
		RANGE("0", "1024TiB"),
		HELP("Bytes of a request's body; above it 413. 0 sets no "
		     "limit."),
		EXAMPLE("100MiB")},
	{ONE("limits.endpoint_connections", COUNT, config,
		 limits.endpoint_connections),
		DEFAULT("1024"), RANGE("1", "1000000"),
		HELP("Connections to one endpoint, over all workers.")},
	{ONE("limits.endpoint_idle", COUNT, config, limits.endpoint_idle),
		DEFAULT("256"), RANGE("0", "1000000"),
		HELP("Unused connections kept to one endpoint, in each "
		     "worker.")},
	{ONE("limits.pending", COUNT, config, limits.pending), DEFAULT("1024"),
		RANGE("0", "1000000"),
		HELP("Requests that wait for a connection to one endpoint, in "
		     "each worker; above it 503.")},

	{GROUP("log", config, log), HELP("What perch writes down, and where.")},
	{ONE("log.level", CHOICE, config, log.level), DEFAULT("info"),
		CHOICES("error", "warn", "info", "debug"),
		HELP("The least important messages to keep.")},
	{ONE("log.target", LOG_TARGET, config, log.target), DEFAULT("stderr"),
		HELP("Where messages go: stderr, syslog or a file, which "
		     "SIGUSR1 opens anew."),
		EXAMPLE("/var/log/perch/perch.log")},
	{GROUP("log.access", config, log.access),
		HELP("The access log: one line for each exchange.")},
	{ONE("log.access.format", CHOICE, config, log.access.format),
		DEFAULT("off"), CHOICES("off", "common", "combined", "json"),
		HELP("The form of its lines. What only perch knows (service, "
		     "version, reason, endpoint, times) stands behind common "
		     "and combined as name=value.")},
	{ONE("log.access.file", ACCESS_FILE, config, log.access.file),
		DEFAULT("stdout"),
		HELP("Where it goes: stdout or a file, which SIGUSR1 opens "
		     "anew."),
		EXAMPLE("/var/log/perch/access.log")},

	{OBJECTS(LIST, "listeners", config, listeners, n_listeners,
		 config_listener),
		ITEMS(1, 64), .is_required = true,
		HELP("Where perch listens for clients.")},
	{ONE("listeners[].bind", BIND, config_listener, bind),
		.is_required = true,
		HELP("IP address and port. *:PORT is every address, IPv6 and "
		     "IPv4."),
		EXAMPLE("0.0.0.0:80")},

	{OBJECTS(NAMED, "services", config, services, n_services,
		 config_service),
		ITEMS(1, 65536), .is_required = true,
		HELP("What clients see, each under a name for use in commands "
		     "and metrics.")},
	{GROUP("services.NAME.match", config_service, match),
		HELP("The requests that are the service's. The longest path "
		     "of the most exact host wins.")},
	{LIST("services.NAME.match.hosts", HOST, config_service, match.hosts,
		 match.n_hosts),
		DEFAULT("*"), ITEMS(1, 1024),
		HELP("Host names without port; *.example.com is any name "
		     "below example.com, * any at all."),
		EXAMPLE("[www.example.com, \"*.example.org\"]")},
	{LIST("services.NAME.match.paths", PREFIX, config_service, match.paths,
		 match.n_paths),
		DEFAULT("/"), ITEMS(1, 1024),
		HELP("Prefixes of the path: /api is /api and /api/users, but "
		     "not /apix."),
		EXAMPLE("[/api, /auth]")},
	{OBJECTS(NAMED, "services.NAME.versions", config_service, versions,
		 n_versions, config_version),
		ITEMS(1, 256), .is_required = true,
		HELP("The versions of the service, each a pool of "
		     "endpoints.")},
	{OBJECTS(LIST, "services.NAME.versions.NAME.endpoints", config_version,
		 endpoints, n_endpoints, config_endpoint),
		ITEMS(1, 65536), .is_required = true, .shorthand = "address",
		HELP("The servers of the version: HOST:PORT, or a map."),
		EXAMPLE("[10.0.0.11:8080, {address: app.internal:8080, "
			"weight: 3}]")},
	{ONE("services.NAME.versions.NAME.endpoints[].address", ENDPOINT,
		 config_endpoint, name),
		.is_required = true,
		HELP("HOST:PORT or [IPV6]:PORT. A name is resolved at the "
		     "start and again from time to time."),
		EXAMPLE("10.0.0.11:8080")},
	{ONE("services.NAME.versions.NAME.endpoints[].weight", WEIGHT,
		 config_endpoint, weight),
		DEFAULT("1"), RANGE("1", "1000"),
		HELP("Its part of the requests, against the others of the "
		     "version.")},
	{ONE("services.NAME.stable", NAME, config_service, stable),
		HELP("The version that answers while no release runs. May be "
		     "left out where there is just one."),
		EXAMPLE("v1")},
	{GROUP("services.NAME.sticky", config_service, sticky),
		HELP("How a client is kept on one version.")},
	{ONE("services.NAME.sticky.header", FIELD_NAME, config_service,
		 sticky.header),
		DEFAULT("X-Perch-Version"),
		HELP("The field in which trusted clients ask for a version, "
		     "and in which backends are told the one chosen.")},
	{ONE("services.NAME.sticky.cookie", COOKIE_NAME, config_service,
		 sticky.cookie),
		DEFAULT("perch"),
		HELP("perch's own cookie. Services that share a host get a "
		     "suffix.")},
	{LIST("services.NAME.sticky.key", CLIENT_KEY, config_service,
		 sticky.key, sticky.n_key),
		DEFAULT(""), ITEMS(0, 8),
		HELP("What a client is known by before it has the cookie: the "
		     "first that is present of header NAME, cookie NAME, "
		     "address. Without one, it is drawn at random."),
		EXAMPLE("[header X-User-Id, cookie session]")},
	{ONE("services.NAME.sticky.pin", CHOICE, config_service, sticky.pin),
		DEFAULT("document"), CHOICES("document", "session", "none"),
		HELP("What keeps its version: document, a loaded page until "
		     "the next navigation; session, everything until the "
		     "release ends; none, nothing but the client's share.")},
	{ONE("services.NAME.sticky.override", CHOICE, config_service,
		 sticky.override),
		DEFAULT("trusted"), CHOICES("trusted", "any"),
		HELP("Who may name a version in sticky.header: "
		     "trusted_proxies, or any client.")},
	{ONE("services.NAME.sticky.identity", CHOICE, config_service,
		 sticky.identity),
		DEFAULT("cookie"), CHOICES("cookie", "key"),
		HELP("Which wins where a client has both: cookie keeps a "
		     "client where it is when it logs in, key does not.")},
	{ONE("services.NAME.sticky.cacheable", CHOICE, config_service,
		 sticky.cacheable),
		DEFAULT("private"), CHOICES("private", "keep"),
		HELP("While a release runs, a page that shared caches might "
		     "give to everybody is marked private; keep leaves it as "
		     "it is.")},
	{ONE("services.NAME.sticky.domain", DOMAIN, config_service,
		 sticky.domain),
		HELP("The Domain of the cookie; without it, the host alone."),
		EXAMPLE("example.com")},
	{ONE("services.NAME.sticky.lifetime", DURATION, config_service,
		 sticky.lifetime_ns),
		/* Browsers cut longer ones to 400 days. */
		DEFAULT("0"), RANGE("0", "9600h"),
		HELP("The cookie's Max-Age in whole seconds; 0 makes it end "
		     "with the browser's session."),
		EXAMPLE("24h")},
	{GROUP("services.NAME.balance", config_service, balance),
		HELP("Which endpoint of the version answers.")},
	{ONE("services.NAME.balance.policy", CHOICE, config_service,
		 balance.policy),
		DEFAULT("least_request"),
		CHOICES("least_request", "round_robin", "maglev"),
		HELP("least_request: the less busy of two drawn at random; "
		     "round_robin: each in turn; maglev: the same one for "
		     "the same balance.key.")},
	{LIST("services.NAME.balance.key", BALANCE_KEY, config_service,
		 balance.key, balance.n_key),
		DEFAULT("client"), ITEMS(1, 8),
		HELP("For maglev, the first that is present of header NAME, "
		     "cookie NAME, address, client (whom sticky knows), "
		     "path."),
		EXAMPLE("[header X-Tenant, client]")},
	{ONE("services.NAME.balance.affinity", CHOICE, config_service,
		 balance.affinity),
		DEFAULT("false"), CHOICES("false", "true"),
		HELP("true: a client keeps its endpoint, by the cookie, while "
		     "that one is there, whatever becomes of the others.")},
	{ONE("services.NAME.balance.bounded_load", CHOICE, config_service,
		 balance.bounded_load),
		DEFAULT("false"), CHOICES("false", "true"),
		HELP("true: with maglev no endpoint gets more than 1.25 times "
		     "its part of what is in flight; the rest goes elsewhere, "
		     "consistently.")},
	{ONE("services.NAME.drain", DURATION, config_service, drain_ns),
		DEFAULT("10m"), RANGE("0", "720h"),
		HELP("How long pages of the old version still reach it after "
		     "a promotion.")},
	{GROUP("services.NAME.rescue", config_service, rescue),
		HELP("What one version answers with 404 or 410, or with a page "
		     "where none was asked for, is asked of another.")},
	{ONE("services.NAME.rescue.budget", COUNT, config_service,
		 rescue.budget),
		DEFAULT("20"), RANGE("0", "100"),
		HELP("At most so many percent of the service's requests; 0 "
		     "turns rescue off.")},
	{ONE("services.NAME.rescue.for", DURATION, config_service,
		 rescue.for_ns),
		DEFAULT("1h"), RANGE("0", "720h"),
		HELP("How long a version helps out after a rollback, or after "
		     "it has drained; tabs stay open long.")},
	{GROUP("services.NAME.shield", config_service, shield),
		HELP("What the candidate of a running release fails is asked "
		     "once of the stable version.")},
	{ONE("services.NAME.shield.budget", COUNT, config_service,
		 shield.budget),
		DEFAULT("20"), RANGE("0", "100"),
		HELP("At most so many percent of the service's requests of the "
		     "last 10 seconds, but 10 a second in any case; 0 turns "
		     "the shield off.")},
	{LIST("services.NAME.shield.methods", CHOICE, config_service,
		 shield.methods, shield.n_methods),
		DEFAULT("GET, HEAD, OPTIONS, TRACE"), ITEMS(0, 6),
		CHOICES("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"),
		HELP("The requests that may be asked twice. PUT and DELETE "
		     "where both versions write to the same place."),
		EXAMPLE("[GET, HEAD, OPTIONS, TRACE, PUT]")},
	{GROUP("services.NAME.timeouts", config_service, timeouts),
		.inherits = "timeouts",
		HELP("What is different from timeouts for this service.")},
	{ONE("services.NAME.timeouts.connect", DURATION, config_service,
		 timeouts.connect_ns),
		.inherits = "timeouts.connect", ANY_TIME,
		HELP("As timeouts.connect.")},
	{ONE("services.NAME.timeouts.queue", DURATION, config_service,
		 timeouts.queue_ns),
		.inherits = "timeouts.queue", ANY_TIME,
		HELP("As timeouts.queue.")},
	{ONE("services.NAME.timeouts.response", DURATION, config_service,
		 timeouts.response_ns),
		.inherits = "timeouts.response", ANY_TIME,
		HELP("As timeouts.response.")},
	{ONE("services.NAME.timeouts.response_idle", DURATION, config_service,
		 timeouts.response_idle_ns),
		.inherits = "timeouts.response_idle", ANY_TIME,
		HELP("As timeouts.response_idle.")},
	{ONE("services.NAME.timeouts.tunnel", DURATION, config_service,
		 timeouts.tunnel_ns),
		.inherits = "timeouts.tunnel", RANGE("1ms", "720h"),
		HELP("As timeouts.tunnel.")},
	{GROUP("services.NAME.limits", config_service, limits),
		.inherits = "limits",
		HELP("What is different from limits for this service.")},
	{ONE("services.NAME.limits.body", SIZE, config_service, limits.body),
		.inherits = "limits.body", RANGE("0", "1024TiB"),
		HELP("As limits.body."), EXAMPLE("1GiB")},
	{ONE("services.NAME.limits.endpoint_connections", COUNT, config_service,
		 limits.endpoint_connections),
		.inherits = "limits.endpoint_connections",
		RANGE("1", "1000000"), HELP("As limits.endpoint_connections.")},
	{ONE("services.NAME.limits.endpoint_idle", COUNT, config_service,
		 limits.endpoint_idle),
		.inherits = "limits.endpoint_idle", RANGE("0", "1000000"),
		HELP("As limits.endpoint_idle.")},
	{ONE("services.NAME.limits.pending", COUNT, config_service,
		 limits.pending),
		.inherits = "limits.pending", RANGE("0", "1000000"),
		HELP("As limits.pending.")},

	{GROUP("admin", config, admin),
		HELP("The server for perchctl, metrics and the API. It asks "
		     "for no password.")},
	{LIST("admin.bind", ADMIN_BIND, config, admin.bind, admin.n_bind),
		DEFAULT("127.0.0.1:9900"), ITEMS(0, 8),
		HELP("IP:PORT or unix:PATH; an empty list is no admin "
		     "server."),
		EXAMPLE("[127.0.0.1:9900, \"unix:/run/perch/admin.sock\"]")},
	{ONE("state_dir", PATH, config, state_dir),
		HELP("The directory that keeps stable versions, releases and "
		     "seeds over a restart. Without it, a restart draws "
		     "clients anew."),
		EXAMPLE("/var/lib/perch")},
};

const size_t schema_n_keys = sizeof(schema_keys) / sizeof(schema_keys[0]);

/* The rest of the path below the prefix; NULL if it isn't below. */
static const char *
path_below(const struct schema_key *key, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(key->path, prefix, len) == 0 ? key->path + len : NULL;
}

static const struct schema_key *
first_or_after(const struct schema_key *previous)
{
	return previous == NULL ? schema_keys : previous + 1;
}

const struct schema_key *
schema_next_child(const char *prefix, const struct schema_key *previous)
{
	const struct schema_key *key = first_or_after(previous);

	for (; key < schema_keys + schema_n_keys; key++) {
		const char *rest = path_below(key, prefix);

		if (rest != NULL && strpbrk(rest, ".[") == NULL)
			return key;
	}
	return NULL;
}

const struct schema_key *
schema_next_member(const char *prefix, const struct schema_key *previous)
{
	const struct schema_key *key = first_or_after(previous);

	for (; key < schema_keys + schema_n_keys; key++) {
		const char *rest = path_below(key, prefix);

		if (rest != NULL && strstr(rest, ".NAME.") == NULL &&
			strstr(rest, "[].") == NULL)
			return key;
	}
	return NULL;
}

const struct schema_key *
schema_find(const char *path)
{
	size_t i;

	for (i = 0; i < schema_n_keys; i++) {
		if (strcmp(schema_keys[i].path, path) == 0)
			return &schema_keys[i];
	}
	return NULL;
}

const char *
schema_key_name(const struct schema_key *key)
{
	const char *dot = strrchr(key->path, '.');

	return dot != NULL ? dot + 1 : key->path;
}

void
schema_prefix(const struct schema_key *key, char out[SCHEMA_PREFIX_SIZE])
{
	const char *below = ".";

	if (key->shape == SCHEMA_NAMED)
		below = ".NAME.";
	else if (key->shape == SCHEMA_LIST)
		below = "[].";
	snprintf(out, SCHEMA_PREFIX_SIZE, "%s%s", key->path, below);
}

bool
schema_next_default(const char **rest, struct slice *item)
{
	const char *comma;

	if (*rest == NULL || **rest == '\0')
		return false;
	comma = strstr(*rest, ", ");
	item->ptr = *rest;
	item->len = comma != NULL ? (size_t)(comma - *rest) : strlen(*rest);
	*rest = comma != NULL ? comma + 2 : NULL;
	return true;
}
