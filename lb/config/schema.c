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

#define GIVEN(object, member) .given_offset = offsetof(struct object, member)
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
		HELP("The user to become when started as root, who must be "
		     "there; without it, perch stays root."),
		EXAMPLE("perch")},
	{LIST("trusted_proxies", CIDR, config, trusted_proxies,
		 n_trusted_proxies),
		DEFAULT("127.0.0.0/8, ::1"), ITEMS(0, 1024),
		HELP("Whose X-Forwarded-For and X-Forwarded-Proto are believed, "
		     "and who may name a version where sticky.override says "
		     "so: addresses or blocks."),
		EXAMPLE("[10.0.0.0/8, \"::1\"]")},
	{ONE("paths", CHOICE, config, paths), DEFAULT("canonical"),
		CHOICES("canonical", "as_is"),
		HELP("How a request's path is compared with match.paths. "
		     "canonical: percent codes decoded once, encoded slashes "
		     "and backslashes as slashes, slashes folded, dot "
		     "segments walked, without \";\" and what follows it in "
		     "a segment; 400 where a server could read the path as "
		     "another service's, and for malformed codes and encoded "
		     "control bytes. as_is: byte for byte, for services that "
		     "guard nothing from each other. Case counts either way, "
		     "and a path is passed on as it came.")},
	{LIST("forwarded_fields", FIELD_NAME, config, forwarded_fields,
		 n_forwarded_fields),
		DEFAULT(""), ITEMS(0, 64),
		HELP("Fields that say on whose behalf a request comes "
		     "(Forwarded, "
		     "X-Forwarded-Port, X-Real-IP, X-Original-URL and their "
		     "like) and are passed on from anybody. Else only those of "
		     "trusted_proxies are."),
		EXAMPLE("[CF-Connecting-IP]")},
	{ONE("underscores", CHOICE, config, underscores), DEFAULT("drop"),
		CHOICES("drop", "pass", "refuse"),
		HELP("What becomes of a field whose name has a meaning if its "
		     "underscores are read as dashes, as many backends read "
		     "them (Content_Length, X_Forwarded_For): it is left out, "
		     "passed on, or the request answered with 400. Other "
		     "fields with underscores pass.")},
	{LIST("upgrades", PROTOCOL, config, upgrades, n_upgrades),
		DEFAULT("websocket"), ITEMS(0, 16),
		HELP("Protocols that a client may switch to by Upgrade; its "
		     "bytes then pass unread both ways. h2c and other forms "
		     "of HTTP can't be among them: requests would pass "
		     "unseen."),
		EXAMPLE("[websocket, tcp, SPDY/3.1]")},

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
	{ONE("timeouts.unready", DURATION, config, timeouts.unready_ns),
		DEFAULT("0"), RANGE("0", "1h"),
		HELP("After SIGQUIT, how long connections are still accepted "
		     "while /readyz says 503 already. Behind a balancer: as "
		     "long as it takes to notice, twice its interval and "
		     "some."),
		EXAMPLE("10s")},
	{ONE("timeouts.shutdown", DURATION, config, timeouts.shutdown_ns),
		DEFAULT("30s"), ANY_TIME,
		HELP("For what is running to end after SIGQUIT, from when "
		     "nothing is accepted any more.")},
	{ONE("timeouts.upstream_idle", DURATION, config,
		 timeouts.upstream_idle_ns),
		DEFAULT("60s"), ANY_TIME,
		HELP("How long an unused connection to an endpoint is kept. "
		     "Stay below the endpoint's own limit.")},
	{ONE("timeouts.connect", DURATION, config, timeouts.connect_ns),
		DEFAULT("2s"), ANY_TIME,
		HELP("For a connection to an endpoint; then another is "
		     "tried. Where no other will do, one that refuses, as "
		     "while it restarts, is asked again each 250 ms for so "
		     "long.")},
	{ONE("timeouts.queue", DURATION, config, timeouts.queue_ns),
		DEFAULT("5s"), ANY_TIME,
		HELP("For a free connection to an endpoint that is at its "
		     "limit; then 503.")},
	{ONE("timeouts.response", DURATION, config, timeouts.response_ns),
		DEFAULT("60s"), ANY_TIME,
		HELP("From a request sent to the head of its response; then "
		     "504. The candidate of a release is waited for less long "
		     "where the shield can take over: ten times stable's "
		     "p99, but 5 s at least.")},
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
		     "away. Fewer where the system doesn't allow two "
		     "descriptors for each.")},
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
		     "version, reason, endpoint, cause, times) stands behind "
		     "common and combined as name=value.")},
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
		HELP("The field in which clients may ask for a version, as "
		     "override says, and in which backends are told the one chosen.")},
	{ONE("services.NAME.sticky.cookie", COOKIE_NAME, config_service,
		 sticky.cookie),
		DEFAULT("perch"),
		HELP("perch's own cookie. Services that share a host, or of "
		     "which one's domain covers another's host, get a "
		     "suffix.")},
	{LIST("services.NAME.sticky.key", CLIENT_KEY, config_service,
		 sticky.key, sticky.n_key),
		DEFAULT(""), ITEMS(0, 8),
		HELP("What a client is known by before it has the cookie: the "
		     "first that is present of header NAME, cookie NAME, "
		     "address. Without one, a browser's page is drawn at "
		     "random, and anything else goes by anonymous."),
		EXAMPLE("[header X-User-Id, cookie session]")},
	{ONE("services.NAME.sticky.pin", CHOICE, config_service, sticky.pin),
		DEFAULT("document"), CHOICES("document", "session", "none"),
		HELP("What keeps its version: document, a loaded page until "
		     "the next navigation; session, everything until the "
		     "release ends; none, nothing but the client's share.")},
	{ONE("services.NAME.sticky.override", CHOICE, config_service,
		 sticky.override),
		DEFAULT("off"), CHOICES("off", "trusted", "any", "key"),
		HELP("Who may name a version in sticky.header: nobody; "
		     "trusted_proxies, so that every client may for whom one "
		     "of them passes the field on; any client; or who sends "
		     "a secret of override_keys in X-Perch-Key.")},
	{ONE("services.NAME.sticky.override_keys", PATH, config_service,
		 sticky.override_keys),
		HELP("A file with a secret in each line, of 16 bytes or more, "
		     "for override: key. Read when the config is loaded."),
		EXAMPLE("/etc/perch/testers")},
	{ONE("services.NAME.sticky.identity", CHOICE, config_service,
		 sticky.identity),
		DEFAULT("cookie"), CHOICES("cookie", "key"),
		HELP("Which wins where a client has both: cookie keeps a "
		     "client where it is when it logs in, key does not.")},
	{ONE("services.NAME.sticky.anonymous", CHOICE, config_service,
		 sticky.anonymous),
		DEFAULT("address"), CHOICES("address", "random", "stable"),
		HELP("Where a client goes that has neither cookie nor key and "
		     "asks for no page (an app, a program): by its "
		     "address, so that it stays; each request as "
		     "chance has it; or to stable.")},
	{ONE("services.NAME.sticky.cacheable", CHOICE, config_service,
		 sticky.cacheable),
		DEFAULT("private"), CHOICES("private", "strict", "keep"),
		HELP("While a release runs, a page that shared caches might "
		     "give to everybody is marked private; strict does so "
		     "with every answer, keep with none.")},
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
	{ONE("services.NAME.sticky.same_site", CHOICE, config_service,
		 sticky.same_site),
		DEFAULT("lax"), CHOICES("lax", "none", "strict"),
		HELP("The cookie's SameSite. none is for pages that other "
		     "sites embed or post to, and only goes out as Secure; "
		     "with strict, who comes from another site is drawn "
		     "anew.")},
	{ONE("services.NAME.sticky.partitioned", CHOICE, config_service,
		 sticky.partitioned),
		DEFAULT("false"), CHOICES("false", "true"),
		HELP("true: the cookie is Partitioned, so that browsers that "
		     "block cookies of other sites keep one for each site "
		     "that embeds the page. With same_site: none.")},
	{ONE("services.NAME.sticky.secure", CHOICE, config_service,
		 sticky.secure),
		DEFAULT("auto"), CHOICES("auto", "always", "never"),
		HELP("Whether the cookie is Secure: auto, where the request "
		     "came by https, to perch or, as X-Forwarded-Proto says, "
		     "to a trusted proxy.")},
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
	{ONE("services.NAME.rescue.timeout", DURATION, config_service,
		 rescue.timeout_ns),
		DEFAULT("1s"), ANY_TIME,
		HELP("How long another version may take to begin its answer; "
		     "one that was late isn't asked for 10 seconds.")},
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
	{GROUP("services.NAME.tunnels", config_service, tunnels),
		HELP("What becomes of a candidate's WebSockets and other "
		     "upgraded connections, and of answers that go on, as "
		     "event streams do, when it is rolled back.")},
	{ONE("services.NAME.tunnels.on_rollback", CHOICE, config_service,
		 tunnels.on_rollback),
		DEFAULT("close"), CHOICES("close", "keep"),
		HELP("close: they are cut, so that their clients come anew and "
		     "get stable; answers only if they have been under way "
		     "for 5 s (or close_after, if that is less). keep: they live on at the candidate.")},
	{ONE("services.NAME.tunnels.close_after", DURATION, config_service,
		 tunnels.close_after_ns),
		DEFAULT("30s"), RANGE("0", "24h"),
		HELP("Each is closed at a random moment within this, so that "
		     "not all come back at once.")},
	{ONE("services.NAME.group", NAME, config_service, group),
		HELP("Services with the same group are released together: one "
		     "share, one judgement, and a client gets the candidate of "
		     "all or of none. No service may have the group's name."),
		EXAMPLE("shop")},
	{ONE("services.NAME.plan", NAME, config_service, plan),
		HELP("How its releases go on: one of plans. Without it, the "
		     "plan named default, which has the default of each key. "
		     "The services of a group have the same plan."),
		EXAMPLE("gradual")},
	{ONE("services.NAME.warmup", DURATION, config_service, warmup_ns),
		DEFAULT("30s"), RANGE("0", "24h"),
		HELP("How long an endpoint that is new, or came back, isn't "
		     "judged by its latency; by its errors it always is.")},
	{GROUP("services.NAME.health", config_service, health),
		GIVEN(config_service, health.is_on),
		HELP("Each endpoint is asked whether it is well, and gets no "
		     "requests while it isn't. Without this key none is "
		     "asked; with it, even if it is empty, all are.")},
	{ONE("services.NAME.health.path", TARGET, config_service, health.path),
		HELP("What is asked for, with GET. Without it, a TCP "
		     "connection that is accepted is enough."),
		EXAMPLE("/healthz")},
	{ONE("services.NAME.health.host", AUTHORITY, config_service,
		 health.host),
		HELP("The Host that the question is for. Without it, the first "
		     "of match.hosts that isn't a pattern, else the endpoint's "
		     "address."),
		EXAMPLE("www.example.com")},
	{ONE("services.NAME.health.interval", DURATION, config_service,
		 health.interval_ns),
		DEFAULT("2s"), RANGE("10ms", "24h"),
		HELP("From the end of a check to the next one, give or take a "
		     "tenth.")},
	{ONE("services.NAME.health.timeout", DURATION, config_service,
		 health.timeout_ns),
		DEFAULT("1s"), ANY_TIME,
		HELP("For a whole check; one that takes longer has failed.")},
	{ONE("services.NAME.health.rise", WEIGHT, config_service, health.rise),
		DEFAULT("2"), RANGE("1", "100"),
		HELP("So many checks in a row must succeed until an endpoint "
		     "that was down is up.")},
	{ONE("services.NAME.health.fall", WEIGHT, config_service, health.fall),
		DEFAULT("3"), RANGE("1", "100"),
		HELP("So many checks in a row must fail until an endpoint is "
		     "down.")},
	{LIST("services.NAME.health.statuses", STATUSES, config_service,
		 health.statuses, health.n_statuses),
		DEFAULT("200-399"), RANGE("100", "999"), ITEMS(1, 64),
		HELP("The answers that mean that it is well."),
		EXAMPLE("[200, 204]")},
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
	{LIST("services.NAME.upgrades", PROTOCOL, config_service, upgrades,
		 n_upgrades),
		.inherits = "upgrades", ITEMS(0, 16), HELP("As upgrades."),
		EXAMPLE("[]")},
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

	{OBJECTS(NAMED, "plans", config, plans, n_plans, config_plan),
		ITEMS(0, 1024),
		HELP("How a release goes from a few clients to all of them, "
		     "each under a name for services.NAME.plan.")},
	{LIST("plans.NAME.steps", PERCENT, config_plan, steps_bp, n_steps),
		DEFAULT("1, 5, 10, 20, 50, 80, 100"), RANGE("0.01", "100"),
		ITEMS(1, 31),
		HELP("The shares of clients that the candidate gets, one after "
		     "the other, in percent: rising, the last one 100."),
		EXAMPLE("[0.5, 5, 25, 100]")},
	{ONE("plans.NAME.hold", DURATION, config_plan, hold_ns), DEFAULT("60s"),
		RANGE("0", "720h"), HELP("The least time at each step.")},
	{ONE("plans.NAME.min_clients", COUNT, config_plan, min_clients),
		DEFAULT("50"), RANGE("0", "1000000"),
		HELP("So many clients of the candidate must have been seen at "
		     "a step before the next one.")},
	{ONE("plans.NAME.auto", CHOICE, config_plan, is_auto), DEFAULT("true"),
		CHOICES("false", "true"),
		HELP("false: the release waits at each step for perchctl "
		     "advance. It is rolled back by itself all the same.")},
	{ONE("plans.NAME.advance", CHOICE, config_plan, advance),
		DEFAULT("timed"), CHOICES("timed", "proven"),
		HELP("timed: the next step comes when hold has passed and "
		     "nothing speaks against it; proven: only when it is shown "
		     "too that the candidate isn't worse times as bad as "
		     "stable.")},
	{ONE("plans.NAME.on_harm", CHOICE, config_plan, on_harm),
		DEFAULT("rollback"), CHOICES("rollback", "freeze"),
		HELP("What is done when the candidate is shown to hurt more "
		     "clients than stable: rollback, all go back to stable; "
		     "freeze, the share stays as it is and people are told.")},
	{ONE("plans.NAME.false_rollback", REAL, config_plan, false_rollback),
		DEFAULT("0.001"), RANGE("0.0001", "0.1"),
		HELP("The probability that a release without any harm is "
		     "rolled back all the same.")},
	{ONE("plans.NAME.tolerance", REAL, config_plan, tolerance),
		DEFAULT("1"), RANGE("1", "10"),
		HELP("A candidate that hurts up to so many times as many "
		     "clients as stable does no harm."),
		EXAMPLE("1.5")},
	{ONE("plans.NAME.worse", REAL, config_plan, worse), DEFAULT("2"),
		RANGE("1.1", "100"),
		HELP("With advance: proven, it must be shown that the "
		     "candidate hurts less than so many times as many clients "
		     "as stable.")},
	{LIST("plans.NAME.error_statuses", STATUSES, config_plan,
		 error_statuses, n_error_statuses),
		DEFAULT("500-599"), RANGE("100", "999"), ITEMS(1, 64),
		HELP("The answers that hurt a client: statuses and ranges of "
		     "them; 600 and above as 500. A failed connection, a "
		     "timeout and a body cut short do so always."),
		EXAMPLE("[429, 500-599]")},
	{GROUP("plans.NAME.latency", config_plan, latency),
		HELP("How much slower than stable's the candidate's answers "
		     "may be.")},
	{ONE("plans.NAME.latency.tolerance", REAL, config_plan,
		 latency.tolerance),
		DEFAULT("1.2"), RANGE("1", "10"),
		HELP("So many times stable's latency, and the margin on top, "
		     "is no harm.")},
	{ONE("plans.NAME.latency.margin", DURATION, config_plan,
		 latency.margin_ns),
		DEFAULT("5ms"), RANGE("0", "1h"),
		HELP("What is added to that; it counts where answers are "
		     "fast.")},
	{LIST("plans.NAME.watch", NAME, config_plan, watch, n_watch),
		DEFAULT(""), ITEMS(0, 16),
		HELP("Other services, which the candidate may break: a client "
		     "that meets errors there was hurt by the version it "
		     "has here."),
		EXAMPLE("[api]")},
	{ONE("plans.NAME.watch_client_errors", CHOICE, config_plan,
		 watch_client_errors),
		DEFAULT("false"), CHOICES("false", "true"),
		HELP("true: answers from 400 to 499 of a watched service hurt "
		     "too.")},
	{ONE("plans.NAME.max_error_rate", PERCENT, config_plan,
		 max_error_rate_bp),
		DEFAULT("0"), RANGE("0", "100"),
		HELP("More clients of the candidate hurt than so many percent "
		     "is harm, whatever stable does. 0 sets no limit."),
		EXAMPLE("5")},
	{OBJECTS(LIST, "notify", config, notify, n_notify, config_webhook),
		ITEMS(0, 16),
		HELP("Webhooks: where events are sent to, each as a POST. See "
		     "EVENTS.")},
	{ONE("notify[].url", URL, config_webhook, url), .is_required = true,
		HELP("http or https. The server of an https URL must have a "
		     "certificate for its host."),
		EXAMPLE("https://hooks.example.com/perch")},
	{LIST("notify[].events", CHOICE, config_webhook, events, n_events),
		DEFAULT("started, advanced, retreated, held, running, paused, "
			"resumed, "
			"share_set, frozen, rolled_back, promoted, untrusted, "
			"journal_failed, journal_recovered"),
		.choices = config_event_names, ITEMS(1, CONFIG_N_EVENTS),
		HELP("The events to send; all of them by default."),
		EXAMPLE("[rolled_back, promoted]")},
	{ONE("notify[].format", CHOICE, config_webhook, format),
		DEFAULT("json"), CHOICES("json", "slack"),
		HELP("json: the event as it is; slack: a sentence, as Slack "
		     "and those like it take it.")},
	{ONE("notify[].ca", PATH, config_webhook, ca),
		HELP("A PEM file of those who may sign the server's "
		     "certificate, instead of whom the system trusts."),
		EXAMPLE("/etc/perch/ca.pem")},

	{GROUP("admin", config, admin),
		HELP("The server for perchctl, metrics and the API. It asks "
		     "for no password.")},
	{LIST("admin.bind", ADMIN_BIND, config, admin.bind, admin.n_bind),
		DEFAULT("127.0.0.1:9900"), ITEMS(0, 8),
		HELP("IP:PORT or unix:PATH; an empty list is no admin "
		     "server."),
		EXAMPLE("[127.0.0.1:9900, \"unix:/run/perch/admin.sock\"]")},
	{GROUP("sticky", config, sticky),
		HELP("What is the same for every service's sticky.")},
	{ONE("sticky.secret", PATH, config, sticky.secret),
		HELP("A file with a secret in each line, of 16 bytes or more, "
		     "8 at most: the first signs perch's cookies, all are "
		     "believed, and so is the one that perch keeps in "
		     "state_dir. To change it, put the new one first. Every "
		     "perch of a service has the same."),
		EXAMPLE("/etc/perch/secret")},
	{ONE("state_dir", PATH, config, state_dir),
		HELP("The directory that keeps stable versions, releases and "
		     "seeds over a restart. Without it, a restart draws "
		     "clients anew."),
		EXAMPLE("/var/lib/perch")},
};

const size_t schema_n_keys = sizeof(schema_keys) / sizeof(schema_keys[0]);

const char *const config_event_names[CONFIG_N_EVENTS + 1] = {
	[CONFIG_EVENT_STARTED] = "started",
	[CONFIG_EVENT_ADVANCED] = "advanced",
	[CONFIG_EVENT_RETREATED] = "retreated",
	[CONFIG_EVENT_HELD] = "held",
	[CONFIG_EVENT_RUNNING] = "running",
	[CONFIG_EVENT_PAUSED] = "paused",
	[CONFIG_EVENT_RESUMED] = "resumed",
	[CONFIG_EVENT_SHARE_SET] = "share_set",
	[CONFIG_EVENT_FROZEN] = "frozen",
	[CONFIG_EVENT_ROLLED_BACK] = "rolled_back",
	[CONFIG_EVENT_PROMOTED] = "promoted",
	[CONFIG_EVENT_UNTRUSTED] = "untrusted",
	[CONFIG_EVENT_JOURNAL_FAILED] = "journal_failed",
	[CONFIG_EVENT_JOURNAL_RECOVERED] = "journal_recovered",
};

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
