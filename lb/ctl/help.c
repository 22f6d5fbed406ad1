#include "ctl/help.h"

#include <string.h>

static const char page[] =
	"usage: perchctl [--admin ADDRESS] COMMAND\n"
	"\n"
	"UNIT is a service, or a group of services that are released "
	"together.\n"
	"\n"
	"  status [UNIT] [--json] [--watch [SECONDS]]\n"
	"                    releases, rates, errors and times of the last "
	"seconds\n"
	"  plan UNIT [--clients PER_SECOND] [--error-rate PERCENT] [--json]\n"
	"                    how soon each step of a release sees harm\n"
	"  history UNIT [--max N] [--json]\n"
	"                    who did what to its releases, when and why\n"
	"\n"
	"  release start UNIT VERSION|SERVICE=VERSION... [--share PERCENT]\n"
	"          [--plan NAME] [--auto|--manual]\n"
	"                    give a version more and more of the clients\n"
	"  pause UNIT        stay at this share\n"
	"  resume UNIT       go on from it\n"
	"  advance UNIT      go to the next step now\n"
	"  share UNIT PERCENT\n"
	"                    set the share and pause the plan there; resume to "
	"go on\n"
	"  promote UNIT      make the candidate the stable version\n"
	"  rollback UNIT     send everybody back to the stable version\n"
	"\n"
	"  Those that change something take --why TEXT and --who NAME for the "
	"history;\n"
	"  promote, rollback, a share that is lower or leaves steps out, and a "
	"start\n"
	"  that ends another release ask first on a terminal, unless --yes is "
	"there.\n"
	"\n"
	"  notify test       send an event to every webhook\n"
	"  version           say which perchctl this is\n"
	"  help [COMMAND]    say this, or all about a command\n"
	"\n"
	"ADDRESS is HOST:PORT or unix:PATH; default: $PERCH_ADMIN, "
	"else\n" HELP_DEFAULT_ADMIN ".\n";

#define UNIT "  UNIT           a service, or a group of services\n"
#define JSON "  --json         what the API says\n"
/* Of the words that change something. */
#define WHY                                                                    \
	"  --why TEXT     why, for the history and for whom events go to\n"    \
	"  --who NAME     who says it; default: $SUDO_USER, else $USER\n"
#define YES "  --yes, -y      don't ask\n"

static const struct help {
	const char *name;
	const char *synopsis; /* further lines are indented by as much as
	                         "usage: perchctl " is */
	const char *text;
} helps[] = {
	{"status", "status [UNIT] [--json] [--watch [SECONDS]]",
		"Shows all services, a line for each; or one unit with its "
		"release, versions\n"
		"and endpoints, and their rates, errors and times of the last "
		"seconds.\n"
		"\n" UNIT JSON "  --watch [SECONDS]\n"
		"                 again and again, every 2 or so many seconds, "
		"until Ctrl-C\n"},
	{"plan",
		"plan UNIT [--clients PER_SECOND] [--error-rate PERCENT]\n"
		"                [--json]",
		"Shows the steps of the plan that the unit's release goes by, "
		"or would, and how\n"
		"long each needs until it sees that the candidate has 2 times, "
		"and 10 times,\n"
		"the stable version's errors. What isn't given is measured.\n"
		"\n" UNIT "  --clients PER_SECOND\n"
		"                 how many clients are seen, of both versions\n"
		"  --error-rate PERCENT\n"
		"                 how many of them meet an error of the stable "
		"version\n" JSON},
	{"history", "history UNIT [--max N] [--json]",
		"Shows who did what to the unit's releases, when and why, "
		"newest first.\n"
		"\n" UNIT
		"  --max N        so many entries; default: 50\n" JSON},
	{"release",
		"release start UNIT VERSION|SERVICE=VERSION...\n"
		"                [--share PERCENT] [--plan NAME] "
		"[--auto|--manual]\n"
		"                [--why TEXT] [--who NAME] [--yes]",
		"Begins a release: VERSION becomes the candidate, and gets the "
		"plan's first step\n"
		"of the clients. From there the share rises by the plan as "
		"long as the candidate\n"
		"hurts no more clients than the stable version does, and falls "
		"to nothing at once\n"
		"where it does. A release of the unit that runs is rolled back "
		"first; on a\n"
		"terminal it asks before that.\n"
		"\n" UNIT
		"  VERSION        of all services of a group that have one of "
		"that name\n"
		"  SERVICE=VERSION...\n"
		"                 of these services of a group\n"
		"  --share PERCENT\n"
		"                 begin at this share, and go on with the "
		"steps "
		"above it\n"
		"  --plan NAME    go by this plan of the config\n"
		"  --auto         go from step to step by itself, whatever the "
		"plan says\n"
		"  --manual       wait at each step for advance, whatever the "
		"plan says\n" WHY YES},
	{"pause", "pause UNIT [--why TEXT] [--who NAME]",
		"Stays at this share until resume. Harm still rolls it back.\n"
		"\n" UNIT WHY},
	{"resume", "resume UNIT [--why TEXT] [--who NAME]",
		"Goes on from the share that it is at; the step's hold begins "
		"anew.\n"
		"\n" UNIT WHY},
	{"advance", "advance UNIT [--why TEXT] [--who NAME] [--yes]",
		"Goes to the next step now, whatever is missing for it; from "
		"100 % to the end:\n"
		"on a terminal it asks before that.\n"
		"\n" UNIT WHY YES},
	{"share", "share UNIT PERCENT [--why TEXT] [--who NAME] [--yes]",
		"Sets the candidate's share and pauses the plan there; resume "
		"to go on. Asks\n"
		"first on a terminal where that is lower, or leaves steps of "
		"the plan out.\n"
		"\n" UNIT
		"  PERCENT        above 0 and up to 100, with at most two "
		"decimals\n" WHY YES},
	{"promote", "promote UNIT [--why TEXT] [--who NAME] [--yes]",
		"Makes the candidate the stable version, now. Asks first on a "
		"terminal.\n"
		"\n" UNIT WHY YES},
	{"rollback", "rollback UNIT [--why TEXT] [--who NAME] [--yes]",
		"Sends everybody back to the stable version with the next "
		"request. Asks first on\n"
		"a terminal.\n"
		"\n" UNIT WHY YES},
	{"notify", "notify test",
		"Sends an event named \"test\" to every webhook; what fails, "
		"perch's log says.\n"},
	{"version", "version", "Says which perchctl this is.\n"},
	{"help", "help [COMMAND]",
		"Says what commands there are, or all about one.\n"},
};

static const struct help *
find(const char *name)
{
	for (size_t i = 0; i < sizeof(helps) / sizeof(helps[0]); i++)
		if (strcmp(helps[i].name, name) == 0)
			return &helps[i];
	return NULL;
}

/* Is word the second one of the synopsis, as it is to be written? */
static bool
has_second(const struct help *help, const char *word)
{
	const char *at = help->synopsis + strlen(help->name);
	size_t len = strlen(word);

	return *at == ' ' && word[0] >= 'a' && word[0] <= 'z' &&
	       strncmp(at + 1, word, len) == 0 &&
	       (at[1 + len] == ' ' || at[1 + len] == '\0');
}

void
help_print(FILE *out)
{
	fputs(page, out);
}

bool
help_print_command(FILE *out, const char *name, const char *second)
{
	const struct help *help = find(name);

	if (help == NULL || (second != NULL && !has_second(help, second)))
		return false;
	fprintf(out, "usage: perchctl %s\n\n%s", help->synopsis, help->text);
	return true;
}

void
help_print_usage(FILE *out, const char *name)
{
	const struct help *help = find(name);

	if (help != NULL)
		fprintf(out, "usage: perchctl %s\nTry \"perchctl help %s\".\n",
			help->synopsis, name);
}
