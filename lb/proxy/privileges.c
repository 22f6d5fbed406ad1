#include "proxy/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static bool
make_dir(const char *dir, struct error *error)
{
	if (dir == NULL || mkdir(dir, 0750) == 0 || errno == EEXIST)
		return true;
	error_set(error, "cannot make %s: %s", dir, strerror(errno));
	return false;
}

/* Only the effective and permitted CAP_NET_BIND_SERVICE. */
static bool
keep_binding(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	data[0].effective = 1u << CAP_NET_BIND_SERVICE;
	data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
	return syscall(SYS_capset, &header, data) == 0;
}

static bool
become(const struct passwd *entry)
{
	return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 &&
	       initgroups(entry->pw_name, entry->pw_gid) == 0 &&
	       setgid(entry->pw_gid) == 0 && setuid(entry->pw_uid) == 0;
}

bool
privileges_drop(const char *user, const char *dir, struct error *error)
{
	struct passwd *entry;

	if (!make_dir(dir, error))
		return false;
	if (user == NULL || geteuid() != 0)
		return true;
	entry = getpwnam(user);
	if (entry == NULL) {
		error_set(error, "user: no user \"%s\" on this system", user);
		return false;
	}
	if (dir != NULL && chown(dir, entry->pw_uid, entry->pw_gid) != 0) {
		error_set(error, "cannot give %s to %s: %s", dir, user,
			strerror(errno));
		return false;
	}
	if (!become(entry) || !keep_binding()) {
		error_set(error, "cannot become user %s: %s", user,
			strerror(errno));
		return false;
	}
	return true;
}

unsigned long
privileges_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}
